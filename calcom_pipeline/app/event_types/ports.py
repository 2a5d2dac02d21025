"""What use cases need of event types: Cal.com and their mirror."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.event_types.absence import Absent
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.models import Team


class EventTypeApi(Protocol):
    """Event types as Cal.com lists them: complete per owner, in no order, without timestamps (fact sheet 4.1)."""

    def list_personal(self) -> Listed[EventType]:
        """All personal event types of the key's user, hidden ones included."""
        ...

    def list_team(self, team: Team) -> Listed[EventType]:
        """All event types of a team."""
        ...

    def list_owner(self, owner: Owner) -> Listed[EventType]:
        """One listing, one call, for comparing: `schedule_zone` is not looked up and stays UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write, read from Cal.com's own answer to it.

    `ignored` names the fields that were sent and that the answer does not show: accepted but ignored. `adopted` says
    that the event type was found after a doubt instead of being told by the answer to its create.
    """

    event_type: EventType
    ignored: tuple[str, ...] = ()
    adopted: bool = False


class EventTypeReads(Protocol):
    """Event types one by one."""

    def get_event_type(self, event_type_id: int, *, owner: Owner | None = None) -> EventType:
        """One event type, with fields that a listing hides. `owner` chooses the team's route, else the personal one.

        Raises:
            NotFound: gone, never there, or not to be seen with this key.
        """
        ...


class EventTypeWrites(EventTypeReads, Protocol):
    """Event types, read one by one and written. Field names are the attributes of `EventType`.

    Managed parents, read-only fields and wrong values are refused with `InvalidInput` before anything is sent.
    """

    def create_event_type(self, owner: Owner, fields: Mapping[str, object], *, above_id: int = 0) -> Written:
        """Create one event type, exactly once. `above_id` is the highest id known before the intent was stored.

        After any doubt (no answer, a 5xx, an unreadable answer) the owner's listing is looked through for the slug and
        an id above `above_id`, again and again until the grace time is over; then what was found is adopted and made
        equal to `fields`, or the create is sent again. With `above_id` 0 one listing is read first.

        Raises:
            Conflict: the owner has another event type with this slug.
            OutcomeUnknown: the doubt could not be cleared.
        """
        ...

    def update_event_type(self, event_type: EventType, changes: Mapping[str, object]) -> Written:
        """State new values for some fields; repeated safely, since values are absolute."""
        ...

    def delete_event_type(self, event_type: EventType) -> None:
        """Delete an event type; one that is already gone is no error. Its bookings stay, without their type."""
        ...


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a listing did to the mirror of one owner, and which event types it no longer shows."""

    changes: Changes = field(default_factory=Changes)
    absent: tuple[Absent, ...] = ()


class EventTypeMirror(Protocol):
    """The table `event_types`."""

    def replace(self, owner: Owner, listing: Listed[EventType], *, read_at: datetime) -> Replaced:
        """Take over a complete listing of one owner. What it lacks is noted, not deleted; what is odd is kept apart."""
        ...

    def note_teams(self, teams: Listed[Team], *, read_at: datetime) -> None:
        """Put rows of the list of teams that could not be read into quarantine, and settle those that were."""
        ...

    def note_absent_owners(self, owners: Sequence[Owner], *, read_at: datetime) -> list[Absent]:
        """Note that what belongs to other owners was not there to be read; all of that."""
        ...

    def drop_owners(self, owners: Sequence[Owner], *, read_at: datetime) -> int:
        """Mark what belongs to owners that nobody wants read any more as deleted; how many that were."""
        ...

    def mark_gone(self, event_type_ids: Sequence[int], *, read_at: datetime) -> int:
        """Mark those that are still missing as deleted, with the facts of it; how many."""
        ...

    def doubt(self, event_type_ids: Sequence[int], why: str) -> None:
        """Keep why those that are missing are not taken for gone."""
        ...

    def owners(self) -> list[Owner]:
        """Whose event types are there."""
        ...

    def present(self) -> list[EventType]:
        """All event types that are there, by id."""
        ...

    def bookable(self) -> list[EventType]:
        """Event types that are there and can have slots (managed parents cannot)."""
        ...

    def bookable_one(self, event_type_id: int) -> EventType | None:
        """The same of one event type, whatever their number."""
        ...
