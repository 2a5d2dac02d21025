"""The endpoint groups of Cal.com as small typed clients over one transport."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.booking_rows import booking_rows
from calcom_pipeline.adapters.calcom.schemas import ScheduleZones
from calcom_pipeline.adapters.calcom.transport import Answer, Call, Limiter, Transport, TransportOptions
from calcom_pipeline.domain.models import Account, EventType, Owner, Schedule, SlotDay, SlotQuery, Team
from calcom_pipeline.ports import BookingPage, BookingQuery, Lane, Spent

# The version belongs to the endpoint group; a wrong one is answered with another shape and 200 (fact sheet 1.3).
EVENT_TYPES_VERSION = "2024-06-14"
SLOTS_VERSION = "2024-09-04"
SCHEDULES_VERSION = "2024-06-11"


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Time-outs in seconds and versions; see the settings of the same names."""

    read_timeout_seconds: float
    create_timeout_seconds: float
    bookings_version: str


class CalcomClient:
    """All of Cal.com that the pipeline uses. One instance may be shared by threads."""

    def __init__(self, transport: Transport, options: ClientOptions, *, lane: Lane = "sync") -> None:
        self._transport = transport
        self._options = options
        self._lane: Lane = lane

    def in_lane(self, lane: Lane) -> "CalcomClient":
        """The same client with another place in the limiter's queue."""
        return CalcomClient(self._transport, self._options, lane=lane)

    def spent(self) -> Spent:
        """What this client has cost so far."""
        return self._transport.spent()

    def limit_seen(self) -> int | None:
        """Requests per window that Cal.com named in its last answer; None when it names no limit."""
        return self._transport.limit_seen()

    # --- account -----------------------------------------------------------------------------------------

    def me(self) -> Account:
        """The key's own user."""
        answer = self._get("Reading the account", "/me")
        return schemas.account(answer.data(), answer.exchange)

    def teams(self) -> list[Team]:
        """The teams that user belongs to."""
        answer = self._get("Listing teams", "/teams")
        return schemas.teams(answer.data(), answer.exchange)

    def schedules(self) -> list[Schedule]:
        """The user's own schedules."""
        answer = self._get("Listing schedules", "/schedules", version=SCHEDULES_VERSION)
        return schemas.schedules(answer.data(), answer.exchange)

    # --- event types -------------------------------------------------------------------------------------

    def list_personal(self) -> list[EventType]:
        """All personal event types of the key's user."""
        answer = self._get("Listing event types", "/event-types", version=EVENT_TYPES_VERSION)
        return schemas.event_types(answer.data(), answer.exchange, ScheduleZones(self._schedules, self._zone))

    def list_team(self, team: Team) -> list[EventType]:
        """All event types of a team; this endpoint answers to any version (fact sheet 1.3)."""
        answer = self._get("Listing team event types", f"/teams/{team.id}/event-types", version=EVENT_TYPES_VERSION)
        return schemas.event_types(answer.data(), answer.exchange, ScheduleZones.of_team(self._schedules, team))

    def list_owner(self, owner: Owner) -> list[EventType]:
        """One listing, one call, for comparing: `schedule_zone` is not looked up and stays UTC."""
        path = "/event-types" if owner.kind == "user" else f"/teams/{owner.id}/event-types"
        answer = self._get("Listing event types", path, version=EVENT_TYPES_VERSION)
        return schemas.event_types(answer.data(), answer.exchange, ScheduleZones((), "UTC"))

    # --- slots -------------------------------------------------------------------------------------------

    def free_days(self, query: SlotQuery) -> list[SlotDay]:
        """Whole days of free starts; `fetched_at` is our clock before the request was sent (UTC)."""
        first, last = whole_days(query)
        params: dict[str, Any] = {
            "eventTypeId": query.event_type_id,
            "start": _instant(first),
            "end": _instant(last),
            "timeZone": query.zone,
        }
        if query.choose_duration:
            params["duration"] = query.duration_minutes
        answer = self._get("Reading slots", "/slots", version=SLOTS_VERSION, params=params)
        return schemas.slot_days(answer.data(), query, answer.sent_at, answer.exchange)

    # --- bookings ----------------------------------------------------------------------------------------

    def page(self, query: BookingQuery) -> BookingPage:
        """One page of bookings, of the caller or of one team."""
        path = "/bookings" if query.team_id is None else f"/teams/{query.team_id}/bookings"
        answer = self._get(
            "Listing bookings", path, version=self._options.bookings_version, params=_booking_params(query)
        )
        bookings, unreadable = booking_rows(answer.json(), answer.exchange)
        return BookingPage(bookings, unreadable, answer.answered_at, answer.sent_at)

    # --- inside ------------------------------------------------------------------------------------------

    @cached_property
    def _schedules(self) -> list[Schedule]:
        return self.schedules()

    @cached_property
    def _zone(self) -> str:
        return self.me().time_zone

    def _get(
        self, operation: str, path: str, *, version: str | None = None, params: dict[str, Any] | None = None
    ) -> Answer:
        return self._transport.send(
            Call(
                operation=operation,
                method="GET",
                path=path,
                version=version,
                params=params,
                lane=self._lane,
                timeout_seconds=self._options.read_timeout_seconds,
            )
        )


@contextmanager
def open_calcom(
    *,
    base_url: str,
    api_key: str,
    limiter: Limiter,
    client: ClientOptions,
    transport: TransportOptions,
) -> Generator[CalcomClient]:
    """A client that is open as long as the block."""
    opened = Transport(base_url=base_url, api_key=api_key, limiter=limiter, options=transport)
    try:
        yield CalcomClient(opened, client)
    finally:
        opened.close()


_SORTS = {"updatedAt": "sortUpdatedAt", "createdAt": "sortCreated", "start": "sortStart"}


def _booking_params(query: BookingQuery) -> dict[str, Any]:
    instants: dict[str, datetime | None] = {
        "afterUpdatedAt": query.after_updated_at,
        "beforeUpdatedAt": query.before_updated_at,
        "afterCreatedAt": query.after_created_at,
        "beforeCreatedAt": query.before_created_at,
        "afterStart": query.after_start,
        "beforeEnd": query.before_end,
    }
    params: dict[str, Any] = {name: _instant(value) for name, value in instants.items() if value is not None}
    params[_SORTS[query.sort]] = "asc"
    params["take"] = query.take
    if query.skip:
        params["skip"] = query.skip
    if query.event_type_id is not None:
        params["eventTypeId"] = query.event_type_id
    return params


def whole_days(query: SlotQuery) -> tuple[datetime, datetime]:
    """First and last instant of the days asked for, in their own zone; UTC.

    The end stays a second short of midnight: an `end` at exactly 00:00:00 UTC is moved a day on (fact sheet 5.1).
    """
    zone = ZoneInfo(query.zone)
    first = datetime.combine(query.first_day, time(), zone)
    after = datetime.combine(query.last_day + timedelta(days=1), time(), zone)
    return first.astimezone(UTC), after.astimezone(UTC) - timedelta(seconds=1)


def _instant(moment: datetime) -> str:
    """Strict ISO 8601 with milliseconds, as the filters want it (fact sheet 6.1)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
