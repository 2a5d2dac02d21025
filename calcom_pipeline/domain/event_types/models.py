"""An event type and its owner."""

from dataclasses import dataclass, field
from typing import Any, Literal

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
    """What can be booked at Cal.com."""

    id: int
    owner: Owner
    slug: str
    title: str
    duration_minutes: int
    description: str = ""
    duration_options: tuple[int, ...] = ()
    hidden: bool = False
    schedule_id: int | None = None
    schedule_zone: str | None = None
    scheduling_type: str | None = None
    parent_id: int | None = None
    slot_interval_minutes: int | None = None
    minimum_notice_minutes: int = 120
    before_buffer_minutes: int = 0
    after_buffer_minutes: int = 0
    seats_per_slot: int | None = None
    requires_confirmation: bool = False
    recurring: bool = False
    price_minor: int = 0
    currency: str = "usd"
    host_ids: tuple[int, ...] = ()
    assign_all_team_members: bool = False
    limit_periods: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict[str, Any], compare=False, repr=False)
    content_hash: str = field(default="", compare=False)

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
