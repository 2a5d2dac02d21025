"""What taking in and dealing with deliveries needs. One that reaches PostgreSQL may raise `StoreError`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calcom_pipeline.domain.webhooks.deliveries import Delivery, State


class DeliveryEntry(Protocol):
    """Where deliveries are kept, with the facts of what they make doubtful."""

    def add(self, deliveries: Sequence[Delivery]) -> set[bytes]:
        """Keep them on disk, with their facts, all or nothing; the digests of those that were not known before."""
        ...


class SpoolFull(Exception):  # noqa: N818 - says what the spool is
    """Nothing more can be kept: its bound is reached, or the disk is full."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """Deliveries that were put into the spool together."""

    name: str
    deliveries: tuple[Delivery, ...]


class DeliverySpool(Protocol):
    """A local folder for deliveries while PostgreSQL is away. Whatever `put` returned from survives a power cut."""

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Keep them on disk, all or nothing. Raises `SpoolFull`."""
        ...

    def oldest(self) -> Spooled | None:
        """What was put first and not yet discarded; None if there is nothing."""
        ...

    def discard(self, name: str) -> None:
        """These are elsewhere by now; doing it twice does no harm."""
        ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """An open delivery that is this drain's until its lease ends. `attempts` failed for a reason of their own."""

    id: int
    trigger: str
    uid: str | None
    old_uid: str | None
    received_at: datetime
    attempts: int
    claims: int

    @property
    def uids(self) -> tuple[str, ...]:
        """The bookings to read."""
        return tuple(uid for uid in (self.uid, self.old_uid) if uid is not None)


@dataclass(frozen=True, slots=True)
class InboxBacklog:
    """Open deliveries, how many of them are due, and a name of what is due: it changes with every attempt."""

    open: int
    due: int
    key: str


class Inbox(DeliveryEntry, Protocol):
    """The table `webhook_inbox`."""

    def claim(self, claim: str, *, now: datetime, until: datetime, limit: int) -> list[Claimed]:
        """Open deliveries that are due, at most `limit`, oldest first, and with them those about the same bookings.

        Nobody else gets them until then.
        """
        ...

    def close(self, ids: Sequence[int], state: State, *, claim: str, now: datetime, reason: str = "") -> int:
        """These are dealt with; how many still were this claim's."""
        ...

    def postpone(self, ids: Sequence[int], *, claim: str, at: datetime, reason: str, counted: bool) -> int:
        """These are due again then. `counted`: the attempt failed for a reason of its own."""
        ...

    def backlog(self, *, now: datetime) -> InboxBacklog:
        """How much is open."""
        ...

    def tighten(self) -> int:
        """Empty the bodies, where the attendee policy does not keep people any more; how many."""
        ...
