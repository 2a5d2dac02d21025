"""The ports of services and of their plans: `ports.py` holds those of Cal.com, the mirrors and the caches.

All of them reach PostgreSQL and may raise `StoreError`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action


class ServiceStore(Protocol):
    """Services, read and written through `services_source` alone, and their links."""

    def services(self, ids: Sequence[str] | None = None) -> list[Service]:
        """All services by id, or those that are named."""
        ...

    def links(self) -> list[Link]:
        """All links."""
        ...

    def known_event_types(self) -> Mapping[Owner, int]:
        """How many event types each owner has in the mirror, to tell a listing that shrank."""
        ...

    def settle(self, links: Sequence[Link]) -> None:
        """Store bookkeeping that planning found settled."""
        ...

    def begin(self, link: Link) -> None:
        """Store an intent before anything is written to Cal.com."""
        ...

    def finish(self, link: Link, facts: Sequence[ChangeEvent] = ()) -> None:
        """Store what came of it, with the facts of the change, in one transaction."""
        ...

    def pull(self, link: Link, columns: Mapping[str, object], *, version: str) -> bool:
        """Write columns of a service and its link in one transaction; False, and nothing, if its version moved on."""
        ...

    def add(self, columns: Mapping[str, object], event_type: EventType) -> Service:
        """Insert a service for an event type, with its link, in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as it was kept: `held` names kinds of action that wait for approval by name, with their reasons."""

    id: str
    hash: str
    source: str
    created_at: datetime
    expires_at: datetime
    actions: tuple[Action, ...]
    counts: Mapping[str, int]
    held: Mapping[str, Reason] = field(default_factory=dict[str, Reason])
    state: str = "planned"

    def why_held(self, action: Action) -> Reason:
        """Why one of its actions waits until it is applied by name; empty when it does not wait."""
        if action.kind == "import":
            return Reason("import_needs_approval")
        return action.why_held(self.held)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came of one action. `before` and `after` hold values by side: local, remote."""

    position: int
    outcome: str
    message: str
    service_id: str
    kind: str
    event_type_id: int | None = None
    before: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    after: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    error: str | None = None
    #: Names why it was held, left or failed, for programs; empty when it was done.
    code: str = ""

    @property
    def success(self) -> bool:
        """Whether it was done."""
        return self.outcome == "done"


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Changes that nobody can still commit behind. `cursor` is past all that was looked at, our own writes included.

    `everything` says that the position was lost (another cluster, a first look, one after so long a time that the feed
    was deleted): plan as if all services had changed.
    """

    cursor: str
    service_ids: tuple[str, ...]
    everything: bool = False

    @property
    def key(self) -> str:
        """Names the cause of a run."""
        return f"services:{self.cursor}"


class ServiceFeed(Protocol):
    """Changes of services that somebody else made, in the order in which they were committed."""

    def reached(self, reader: str) -> str | None:
        """How far a reader has dealt with them; None for one that is not known."""
        ...

    def settled_after(self, cursor: str | None) -> FeedBatch:
        """What was changed after a position."""
        ...

    def keep(self, reader: str, cursor: str) -> None:
        """The reader has dealt with all up to there."""
        ...


class PlanStore(Protocol):
    """Plans and what came of them."""

    def save(self, plan: StoredPlan) -> None:
        """Keep a plan; earlier ones that were not applied are superseded."""
        ...

    def renewed(self, plan: StoredPlan) -> StoredPlan | None:
        """The open plan, if it says the same as `plan`; it lives on as long as that would, under its own name."""
        ...

    def supersede(self) -> None:
        """Plans that were not applied no longer hold."""
        ...

    def latest_open(self) -> StoredPlan | None:
        """The newest plan, unless it was applied."""
        ...

    def load(self, plan_id: str) -> StoredPlan | None:
        """The plan of this id."""
        ...

    def record(self, plan_id: str, results: Sequence[ActionResult]) -> None:
        """Keep what came of some actions."""
        ...

    def done(self, plan_id: str) -> frozenset[int]:
        """Positions of the actions that an apply has done already."""
        ...

    def close(self, plan_id: str, *, at: datetime) -> None:
        """Mark a plan as applied."""
        ...

    def exclusive(self, *, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
        """One apply at a time per account, across processes. Raises `AnotherApply` when one goes on for longer."""
        ...
