"""An event type and its owner."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from calcom_pipeline.domain.columns import Column
from calcom_pipeline.domain.models import Json
from calcom_pipeline.domain.text import content_hash

OwnerKind = Literal["user", "team"]


# Parts of an event type that change without the event type having changed: pictures and brands of its people.
_NOT_CONTENT = frozenset({"users", "hosts", "team"})


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """Whose event type it is. Slugs are unique within an owner (fact sheet 4.1)."""

    kind: OwnerKind
    id: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """Read what `str()` wrote. Raises ValueError for anything else."""
        kind, _, number = text.partition(":")
        if kind not in ("user", "team"):
            raise ValueError(f"{text!r} is no owner")
        return cls(kind, int(number))  # type: ignore[arg-type]  # narrowed by the line above


@dataclass(frozen=True, slots=True)
class EventType:
    """What can be booked at Cal.com, and the columns of the table `event_types`."""

    id: Annotated[int, Column("bigint", "Cal.com's id")]
    owner: Annotated[Owner, Column("text", "user:ID or team:ID; slugs are unique within it")]
    slug: Annotated[str, Column("text", "last part of the booking page's address")]
    title: Annotated[str, Column("text", "name shown to people who book")]
    duration_minutes: Annotated[int, Column("integer", "default length")]
    description: Annotated[str, Column("text", "empty when unset")] = ""
    duration_options: Annotated[
        tuple[int, ...], Column("integer[]", "lengths to choose from; empty when there is one")
    ] = ()
    hidden: Annotated[bool, Column("boolean", "not listed publicly, still bookable by id")] = False
    schedule_id: Annotated[int | None, Column("bigint", "null: the owner's default schedule")] = None
    schedule_zone: Annotated[str | None, Column("text", "IANA zone its slots are asked for in")] = None
    scheduling_type: Annotated[
        str | None, Column("text", "roundRobin, collective, managed, or null for personal ones")
    ] = None
    parent_id: Annotated[int | None, Column("bigint", "managed parent, for children")] = None
    slot_interval_minutes: Annotated[int | None, Column("integer", "null: the length")] = None
    minimum_notice_minutes: Annotated[int, Column("integer", "shortest time between booking and start")] = 120
    before_buffer_minutes: Annotated[int, Column("integer", "kept free before")] = 0
    after_buffer_minutes: Annotated[int, Column("integer", "kept free after")] = 0
    seats_per_slot: Annotated[int | None, Column("integer", "null: one booking a slot")] = None
    requires_confirmation: Annotated[bool, Column("boolean", "bookings start as pending")] = False
    recurring: Annotated[bool, Column("boolean", "one booking makes a series")] = False
    price_minor: Annotated[int, Column("bigint", "minor units; read-only at Cal.com")] = 0
    currency: Annotated[str, Column("text", "lower-case ISO code; read-only at Cal.com")] = "usd"
    host_ids: Annotated[tuple[int, ...], Column("bigint[]", "users who take the bookings")] = ()
    assign_all_team_members: Annotated[bool, Column("boolean", "every member is a host")] = False
    limit_periods: Annotated[
        tuple[str, ...], Column("text[]", "of day, week, month, year: periods that a full limit closes")
    ] = ()
    raw: Annotated[Json, Column("jsonb", "as Cal.com answered")] = field(
        default_factory=dict[str, Any], compare=False, repr=False
    )
    content_hash: Annotated[str, Column("text", "tells a change; event types carry no timestamps")] = field(
        default="", compare=False
    )

    @property
    def content(self) -> dict[str, Any]:
        """The payload without what changes although the event type has not."""
        return {key: value for key, value in self.raw.items() if key not in _NOT_CONTENT}

    @property
    def listing_hash(self) -> str:
        """A hash of what a listing alone tells; `content_hash` covers the zone too, which takes more calls."""
        return content_hash([self.content, list(self.host_ids)])

    @property
    def is_managed_parent(self) -> bool:
        """Managed parents have no slots of their own and take no bookings (captures 29e, 29f)."""
        return self.scheduling_type == "managed" and self.parent_id is None
