"""Free starts: `/slots`, asked with the canonical query only. Fact sheet section 5."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from calcom_pipeline.adapters.calcom.bookings.lists import instant
from calcom_pipeline.adapters.calcom.endpoint import ApiEndpoints, EndpointGroup
from calcom_pipeline.adapters.calcom.lists import (
    ROWS_OF_A_NEW_SHAPE,
    Odd,
    WrongRowError,
    checked_row,
    data_of,
    read_row,
)
from calcom_pipeline.adapters.calcom.schemas import WireSlot
from calcom_pipeline.adapters.calcom.transport.messages import Answer
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.errors import ContractBroken, Exchange
from calcom_pipeline.domain.listed import SLOTS_STREAM, Listed, UnreadableRow
from calcom_pipeline.domain.zones import zone_of

GROUP = EndpointGroup("slots", "2024-09-04")

_DAY = TypeAdapter(list[WireSlot])


class SlotEndpoints(ApiEndpoints):
    """Reads of slots."""

    groups = (GROUP,)

    def free_days(self, query: SlotQuery) -> Listed[SlotDay]:
        """Whole days of free starts, those that cannot be read apart; `fetched_at` is our clock before the request.

        Raises:
            UnknownZoneError: the query's zone is none that we know.
        """
        answer = self._slots(query)
        return slot_days(answer.content, query, answer.sent_at, answer.exchange)

    def offsets_shown(self, query: SlotQuery) -> Mapping[datetime, timedelta]:
        """By start (UTC) the offset to UTC that Cal.com writes it with: what its own zone rules say.

        Days and starts that cannot be read are left out.
        """
        answer = self._slots(query)
        data, _ = data_of(answer.content, answer.exchange)
        shown: dict[datetime, timedelta] = {}
        for day in _days(data, answer.exchange).values():
            with suppress(ValueError, OverflowError):  # a wrong row is a ValueError too
                for wire in checked_row(_DAY, day):
                    start = datetime.fromisoformat(wire.start)
                    shown[start.astimezone(UTC)] = start.utcoffset() or timedelta()
        return shown

    def _slots(self, query: SlotQuery) -> Answer:
        first, last = whole_days(query)
        params: dict[str, Any] = {
            "eventTypeId": query.event_type_id,
            "start": instant(first),
            "end": instant(last),
            "timeZone": query.zone,
        }
        if query.choose_duration:
            params["duration"] = query.duration_minutes
        return self._get("Reading slots", "/slots", group=GROUP, params=params)


def whole_days(query: SlotQuery) -> tuple[datetime, datetime]:
    """First and last instant of the days asked for, in their own zone; UTC.

    The end stays a second short of midnight: an `end` at exactly 00:00:00 UTC is moved a day on (fact sheet 5.1). A
    query's spelling moves it within its last minute, so that Cal.com takes it for another query (fact sheet 11).
    """
    zone = zone_of(query.zone)
    first = datetime.combine(query.first_day, time(), zone)
    after = datetime.combine(query.last_day + timedelta(days=1), time(), zone)
    return first.astimezone(UTC), after.astimezone(UTC) - timedelta(seconds=1 + query.spelling)


def slot_days(content: bytes, query: SlotQuery, fetched_at: datetime, exchange: Exchange) -> Listed[SlotDay]:
    """The answer of /v2/slots as whole days: a day without slots has no key there (fact sheet 5.1), but a row here.

    A day of which one start cannot be read is unreadable as a whole: nobody knows what else it should show. While an
    entry stands under something that is no day, a day without an entry may be that one, and has no row.

    Raises:
        ContractBroken: nothing of it has the shape that was promised.
    """
    data, intact = data_of(content, exchange)
    entries = _days(data, exchange)
    zone = zone_of(query.zone)
    stray = _stray(entries, query, intact=intact)
    days: list[SlotDay] = []
    odd: list[Odd] = []
    for offset in range((query.last_day - query.first_day).days + 1):
        day = query.first_day + timedelta(days=offset)
        if stray and day.isoformat() not in entries:
            continue
        key = SlotKey(query.event_type_id, query.duration_minutes, query.zone, day)
        row = entries.get(day.isoformat(), [])
        found = read_row(row, _reader(zone, day), stream=SLOTS_STREAM, key=str(key), intact=intact)
        if isinstance(found, Odd):
            odd.append(found)
        else:
            days.append(SlotDay(key, found, fetched_at))
    another_shape = len(odd) >= ROWS_OF_A_NEW_SHAPE and all(one.wrong_shape for one in odd)
    if entries and not any(day.slots for day in days) and (another_shape or len(stray) == len(entries)):
        raise _no_days(exchange)
    return Listed(tuple(days), (*(one.row for one in odd), *stray))


def _days(data: Any, exchange: Exchange) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _no_days(exchange)
    return cast("dict[str, Any]", data)


def _no_days(exchange: Exchange) -> ContractBroken:
    return ContractBroken(
        f"{exchange.operation} answered another shape than lists of starts by day",
        exchange=exchange,
        advice="Check the cal-api-version header of this endpoint group and CALCOM_BASE_URL.",
    )


def _stray(entries: Mapping[str, Any], query: SlotQuery, *, intact: bool) -> list[UnreadableRow]:
    """Entries under keys that are no days. Days outside the query are no concern of it."""

    def read(_: Any) -> None:
        raise WrongRowError("its key is no day")

    key = f"{query.event_type_id}/{query.duration_minutes}"
    named = [{name: row} for name, row in entries.items() if not _is_day(name)]
    found = [read_row(row, read, stream=SLOTS_STREAM, key=key, intact=intact) for row in named]
    return [odd.row for odd in found if isinstance(odd, Odd)]


def _reader(zone: ZoneInfo, day: date) -> Callable[[Any], tuple[Slot, ...]]:
    return lambda row: _starts(checked_row(_DAY, row), zone, day)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _starts(wires: list[WireSlot], zone: ZoneInfo, day: date) -> tuple[Slot, ...]:
    slots: dict[datetime, Slot] = {}
    for wire in wires:
        try:
            start = datetime.fromisoformat(wire.start)
            local = start.astimezone(zone)
        except (ValueError, OverflowError):
            raise WrongRowError("start: is no time between the years 1 and 9999") from None
        if start.tzinfo is None:
            raise WrongRowError("start: names no offset to UTC")
        if local.date() != day:
            raise WrongRowError("start: is on another day than the one it stands under")
        slots.setdefault(start.astimezone(UTC), Slot(start.astimezone(UTC), wire.seatsRemaining, wire.seatsTotal))
    return tuple(slots.values())
