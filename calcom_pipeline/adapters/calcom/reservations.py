"""Holds: `/slots/reservations`. Fact sheet 5.2, captures 17.

Anybody may hold a start; only a key that is related to the event type may say for how long. A hold is known by its uid
alone, so one whose answer was lost can neither be read nor released: it ends by itself.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter

from calcom_pipeline.adapters.calcom.bookings.lists import instant
from calcom_pipeline.adapters.calcom.endpoint import ApiEndpoints
from calcom_pipeline.adapters.calcom.lists import Id, Name, Wire, checked
from calcom_pipeline.adapters.calcom.slots import GROUP
from calcom_pipeline.adapters.calcom.transport.messages import Answer
from calcom_pipeline.domain.availability.holds import Hold
from calcom_pipeline.domain.errors import CalcomError, ContractBroken

_PATH = "/slots/reservations"


class _WireHold(Wire):
    reservationUid: Name  # noqa: N815 - Cal.com's names
    eventTypeId: Id  # noqa: N815
    slotStart: Name  # noqa: N815
    slotEnd: Name  # noqa: N815
    reservationUntil: Name  # noqa: N815


_HOLD = TypeAdapter(_WireHold)


class ReservationEndpoints(ApiEndpoints):
    """Reads and writes of holds."""

    groups = (GROUP,)

    def hold_start(
        self, event_type_id: int, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> Hold:
        """Hold a start; see the port."""
        body = _body(event_type_id, start, minutes, duration_minutes)
        answer = self._send("Holding a start", "POST", _PATH, group=GROUP, kind="create", body=body)
        return _hold(answer.data(), answer)

    def move_hold(
        self, hold: Hold, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> Hold:
        """Hold another start instead. A second sending would meet the first as a conflict, so a doubt is read away."""
        body = _body(hold.event_type_id, start, minutes, duration_minutes)
        try:
            answer = self._send("Moving a hold", "PATCH", _one(hold.uid), group=GROUP, kind="create", body=body)
            return _hold(answer.data(), answer)
        except CalcomError as error:
            found = self.read_hold(hold.uid) if error.exchange.in_doubt else None
            if found is None or found.start != start or found.until == hold.until:
                raise
            return found

    def read_hold(self, uid: str) -> Hold | None:
        """See the port: an unknown one is answered with 200 and null, one that is over perhaps as it was."""
        answer = self._get("Reading a hold", _one(uid), group=GROUP)
        data = answer.data()
        hold = None if data is None else _hold(data, answer)
        return hold if hold is not None and hold.until > answer.answered_at else None

    def release_hold(self, uid: str) -> None:
        """See the port: Cal.com says yes to any uid."""
        self._send("Releasing a hold", "DELETE", _one(uid), group=GROUP, kind="absolute")


def _one(uid: str) -> str:
    return f"{_PATH}/{quote(uid, safe='')}"


def _body(event_type_id: int, start: datetime, minutes: int | None, duration_minutes: int | None) -> dict[str, Any]:
    body = {
        "eventTypeId": event_type_id,
        "slotStart": instant(start),
        "reservationDuration": minutes,
        "slotDuration": duration_minutes,
    }
    return {name: value for name, value in body.items() if value is not None}


def _hold(data: Any, answer: Answer) -> Hold:
    wire = checked(_HOLD, data, answer.exchange)
    start, end, until = (_instant(text, answer) for text in (wire.slotStart, wire.slotEnd, wire.reservationUntil))
    if not start < end:
        raise ContractBroken(f"{answer.exchange.operation} answered a time without length", exchange=answer.exchange)
    return Hold(wire.reservationUid, wire.eventTypeId, start, end, until)


def _instant(text: str, answer: Answer) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ContractBroken(f"{answer.exchange.operation} answered a time that is none", exchange=answer.exchange)
