"""One small Protocol per collaborator. Use cases ask for these; adapters answer them, tests bring stateful fakes.

A port that reaches Cal.com may raise any `CalcomError`; one that reaches PostgreSQL `StoreError`; one that reaches
Redis `CacheError`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol

from calcom_pipeline.domain.errors import CalcomError
from calcom_pipeline.domain.invalidation import Fact, Stain
from calcom_pipeline.domain.models import (
    Account,
    Booking,
    EventType,
    Owner,
    Schedule,
    SlotDay,
    SlotKey,
    SlotQuery,
    Team,
)
from calcom_pipeline.domain.outcomes import OpenOutcome
from calcom_pipeline.domain.requests import BookingRequest
from calcom_pipeline.domain.webhooks import NewWebhook, Webhook, WebhookScope

#: Who goes first when requests have to wait. Lower lanes keep a tenth each of what is not interactive.
Lane = Literal["interactive", "sync", "warm", "backfill"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What talking to Cal.com has cost so far: calls sent, calls refused with 429, seconds waited for a turn."""

    calls: int = 0
    refused: int = 0
    waited_seconds: float = 0.0

    def since(self, earlier: "Spent") -> "Spent":
        """The difference to an earlier reading."""
        return Spent(
            self.calls - earlier.calls,
            self.refused - earlier.refused,
            round(self.waited_seconds - earlier.waited_seconds, 3),
        )


class CallMeter(Protocol):
    """Counts what was spent on Cal.com by this client."""

    def spent(self) -> Spent:
        """The totals of this client since it was opened."""
        ...


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request to Cal.com, fit for a log: nothing of its query or its body.

    `outcome` is `started`, `ok`, or the name of the error. `sent` is False for one that was refused on our side.
    """

    started_at: datetime
    operation: str
    endpoint_group: str
    method: str
    lane: Lane
    attempt: int
    outcome: str
    sent: bool
    status: int | None
    request_id: str | None
    waited_seconds: float
    duration_seconds: float


class CallObserver(Protocol):
    """Told of every request. What it raises never reaches the call."""

    def started(self, record: CallRecord) -> None:
        """A request is about to wait for its turn."""
        ...

    def completed(self, record: CallRecord) -> None:
        """A successful answer is here."""
        ...

    def failed(self, record: CallRecord) -> None:
        """No answer, or an unsuccessful one."""
        ...


#: For an error tracker: called with the error and with what a log may know of it, when a call has failed for good.
ErrorHook = Callable[[CalcomError, Mapping[str, object]], None]


class AccountApi(Protocol):
    """Who the key belongs to and what it may see."""

    def me(self) -> Account:
        """The key's own user."""
        ...

    def teams(self) -> list[Team]:
        """The teams that user belongs to."""
        ...

    def schedules(self) -> list[Schedule]:
        """The user's own schedules; those of other hosts cannot be read."""
        ...


class EventTypeApi(Protocol):
    """Event types as Cal.com lists them: complete per owner, in no order, without timestamps (fact sheet 4.1)."""

    def list_personal(self) -> list[EventType]:
        """All personal event types of the key's user, hidden ones included."""
        ...

    def list_team(self, team: Team) -> list[EventType]:
        """All event types of a team."""
        ...

    def list_owner(self, owner: Owner) -> list[EventType]:
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


class EventTypeWrites(Protocol):
    """Event types, read one by one and written. Field names are the attributes of `EventType`.

    Managed parents, read-only fields and wrong values are refused with `InvalidInput` before anything is sent.
    """

    def get_event_type(self, event_type_id: int, *, owner: Owner | None = None) -> EventType:
        """One event type, with fields that a listing hides. `owner` chooses the team's route, else the personal one.

        Raises:
            NotFound: gone, never there, or not to be seen with this key.
        """
        ...

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
class Booked:
    """A booking that was made or moved. `series` holds all occurrences of a recurring one, else just it.

    `adopted` says that it was there already: found after a doubt or by a key that came twice, or answered by Cal.com
    instead of a second one. `ignored` names details that were sent and that the answer does not show: accepted but
    ignored.
    """

    booking: Booking
    series: tuple[Booking, ...] = ()
    adopted: bool = False
    ignored: tuple[str, ...] = ()


class BookingWrites(Protocol):
    """Bookings one by one: read, made, moved, cancelled, accepted, declined."""

    def get_booking(self, uid: str) -> Booking:
        """One booking. Raises NotFound when there is none with this uid."""
        ...

    def find_booking(
        self, key: str, *, event_type_id: int, start: datetime, email: str | None = None
    ) -> Booking | None:
        """The booking that carries this key of ours, if this API key can see it."""
        ...

    def create_booking(self, request: BookingRequest) -> Booked:
        """Book, exactly once: after a doubt the booking is looked for by attendee, start and our key in its metadata.

        A request that may come twice (`may_come_twice`) is looked for before it is sent, which costs a call.

        Raises:
            Conflict: the time is taken.
            OutcomeUnknown: seated, round-robin and recurring bookings after a doubt, which are never repeated, and all
                whose doubt could not be cleared. Its `key` is the request's.
        """
        ...

    def may_be_repeated(self, event_type_id: int) -> bool:
        """Whether a second create of a time can make no second booking; False where that cannot be found out."""
        ...

    def cancel_booking(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> Booking:
        """Cancel a booking, or one seat of it; a host has to give a reason."""
        ...

    def reschedule_booking(
        self, uid: str, start: datetime, *, reason: str = "", rescheduled_by: str | None = None
    ) -> Booked:
        """Move a booking to a start (UTC): a new one with another uid takes its place, the old one is cancelled."""
        ...

    def confirm_booking(self, uid: str) -> Booking:
        """Accept a pending booking."""
        ...

    def decline_booking(self, uid: str, *, reason: str = "") -> Booking:
        """Reject a pending booking."""
        ...


class OutcomeStore(Protocol):
    """Creates that ended in doubt, until somebody knows."""

    def open(self, outcome: OpenOutcome) -> None:
        """Write a doubt down; of several under one key the newest counts."""
        ...

    def opened_at(self, key: str) -> datetime | None:
        """When the doubt about this key was written down, if nobody has cleared it yet."""
        ...

    def still_open(self) -> list[OpenOutcome]:
        """All that nobody knows yet, oldest first."""
        ...

    def close(self, key: str, *, at: datetime, booking_uid: str | None) -> None:
        """It was made as `booking_uid`, or (None) never."""
        ...

    def looked(self, key: str, *, at: datetime) -> None:
        """Nothing was found so far."""
        ...

    def forget(self, key: str) -> None:
        """There is no doubt: whoever wrote it down knows how it ended."""
        ...


class KeyLocks(Protocol):
    """A lock per key of a caller, across processes. None is left behind by a process that was killed."""

    def holding(self, key: str) -> AbstractContextManager[bool]:
        """Nobody else holds this key during the block; False when somebody does, however long they were waited for.

        Where the server of the locks is away nobody is held up: the block goes on as if there were no lock.
        """
        ...


class WebhookApi(Protocol):
    """Webhook subscriptions, of the key's own user or of an event type."""

    def list_webhooks(self, scope: WebhookScope = ...) -> list[Webhook]:
        """All subscriptions of a scope."""
        ...

    def create_webhook(self, webhook: NewWebhook, scope: WebhookScope = ...) -> Webhook:
        """Subscribe, exactly once. Raises Conflict when the URL is subscribed already."""
        ...

    def update_webhook(self, webhook_id: str, webhook: NewWebhook, scope: WebhookScope = ...) -> Webhook:
        """Make a subscription what it should be."""
        ...

    def delete_webhook(self, webhook_id: str, scope: WebhookScope = ...) -> None:
        """Unsubscribe; a subscription that is gone already is no error."""
        ...


class SlotApi(Protocol):
    """Free starts, asked for with the canonical query only."""

    def free_days(self, query: SlotQuery) -> list[SlotDay]:
        """One entry per day asked for, empty days included, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What a write did to a mirror. `written` counts rows touched; an unchanged row is never touched."""

    added: int = 0
    changed: int = 0
    gone: int = 0
    unchanged: int = 0

    @property
    def written(self) -> int:
        """Rows that were written."""
        return self.added + self.changed + self.gone

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(
            self.added + other.added,
            self.changed + other.changed,
            self.gone + other.gone,
            self.unchanged + other.unchanged,
        )


class EventTypeMirror(Protocol):
    """The table `event_types`."""

    def replace(self, owner: Owner, event_types: Iterable[EventType], *, read_at: datetime) -> Changes:
        """Make the mirror of one owner equal to a complete listing; what is missing there is marked deleted."""
        ...

    def keep_owners(self, owners: Sequence[Owner], *, read_at: datetime) -> int:
        """Mark what belongs to other owners as deleted: the key no longer sees them. How many that were."""
        ...

    def present(self) -> list[EventType]:
        """All event types that are there, by id."""
        ...

    def bookable(self) -> list[EventType]:
        """Event types that are there and can have slots (managed parents cannot)."""
        ...


class SlotMirror(Protocol):
    """The table `slots`."""

    def store(self, days: Sequence[SlotDay]) -> Changes:
        """Write whole days; a day that is the same only gets its `fetched_at`."""
        ...

    def days(self, query: SlotQuery) -> list[SlotDay]:
        """The stored days of a query, in order."""
        ...

    def prune(self, *, first_day: date, event_type_ids: Sequence[int]) -> int:
        """Drop days before `first_day` and days of event types that are not named; how many."""
        ...


class SlotCache(Protocol):
    """The days in Redis that the website reads."""

    def generations(self, event_type_ids: Sequence[int]) -> Mapping[int, int]:
        """How often each event type was cleared; read before Cal.com is asked."""
        ...

    def store(self, days: Sequence[SlotDay], *, generations: Mapping[int, int]) -> int:
        """Keep whole days for their lifetime, unless they were cleared since; how many were kept."""
        ...

    def get(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, SlotDay]:
        """The days that are there."""
        ...


class Progress(Protocol):
    """Told about steps of a longer job, for a bar on a terminal or a line in a log."""

    def __call__(self, done: int, total: int | None, what: str) -> None:
        """`total` is None while nobody knows it."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is pending in the outbox, and how much of it is due. It differs whenever a fact is added, tried or done."""

    pending: int
    newest: int | None
    attempts: int
    due: int

    @property
    def key(self) -> str:
        """Names the cause of a run."""
        return f"invalidations:{self.newest}:{self.pending}:{self.attempts}"


class Outbox(Protocol):
    """Facts of changes that caches have not heard of yet."""

    def pending(self, *, limit: int) -> list[Fact]:
        """Facts that are due, oldest first."""
        ...

    def concerned(self, fact: Fact) -> list[EventType]:
        """The event types a fact is about: its own, and all that its users host."""
        ...

    def done(self, facts: Iterable[Fact], result: Mapping[str, Any]) -> int:
        """These were applied; how many nobody had closed before."""
        ...

    def failed(self, facts: Iterable[Fact], error: str) -> int:
        """These stay pending and are due again after a growing pause; how many nobody had closed before."""
        ...


@dataclass(frozen=True, slots=True)
class CacheClearResult:
    """What clearing did to one layer of the cache: keys that were there and are gone, and errors."""

    layer: str
    keys: int
    errors: tuple[str, ...] = ()


class CacheClearer(Protocol):
    """Clears what may be wrong; every layer is tried, whatever became of the others."""

    def clear(self, stained: Sequence[Stain]) -> list[CacheClearResult]:
        """One result per layer."""
        ...
