"""One delivery of a webhook: whether it is Cal.com's, what it names, and what it makes doubtful at once. Pure.

A delivery is a nudge: nothing in it is believed but which booking to read again, and whose cached days may be wrong.
Fact sheet section 7.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import orjson

from calcom_pipeline.domain.availability.changes import ChangeEvent, Span, delivered
from calcom_pipeline.domain.webhooks.triggers import TEST, TRIGGERS, trigger_of

_SIGNATURE = re.compile(r"[0-9a-f]{64}")  # hex of a SHA-256, no prefix (fact sheet 7.3)
_UNSIGNED = "no-secret-provided"
_LONGEST_NAME = 200  # of a uid or a trigger; Cal.com's have 22 and 44 characters
_LARGEST_ID = 2**63 - 1
# What takes longer concerns all days: days are listed one by one.
_LONGEST_SPAN = timedelta(days=366)

Json = Mapping[str, Any]
#: `open`: its booking is to be read. `unknown`: a trigger that the fact sheet does not know, kept as it came.
State = Literal["open", "done", "unknown", "quarantined"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is kept of a delivery until its booking was read. Instants are UTC.

    `digest` (SHA-256 of the raw body) tells a repetition; `reason` says why it names nothing, if it does not. `old_uid`
    is the booking that a rescheduled one replaces. `facts` are what it makes doubtful at once.
    """

    digest: bytes
    trigger: str
    uid: str | None
    old_uid: str | None
    created_at: datetime | None
    received_at: datetime
    reason: str = ""
    facts: tuple[ChangeEvent, ...] = ()
    body: bytes = field(default=b"", repr=False)

    @property
    def is_known(self) -> bool:
        """Whether the fact sheet knows the trigger."""
        return self.trigger in TRIGGERS

    @property
    def first_state(self) -> State:
        """What it is when it comes in: open only if a booking is to be read."""
        if self.reason:
            return "quarantined"
        if self.trigger == TEST:
            return "done"
        if self.uid is not None or self.old_uid is not None:
            return "open"
        return "done" if self.is_known else "unknown"

    @property
    def uids(self) -> tuple[str, ...]:
        """The bookings to read."""
        return tuple(uid for uid in (self.uid, self.old_uid) if uid is not None)


@dataclass(frozen=True, slots=True)
class Refused:
    """Not taken, and why: `unsigned`, `signature`, `too_old`."""

    why: str


def is_signed(raw: bytes, signature: str | None, secrets: Sequence[bytes]) -> bool:
    """Whether one of the secrets signed these bytes. Takes as long for a wrong signature as for a right one."""
    if signature is None or not _SIGNATURE.fullmatch(signature):
        return False
    given = signature.encode()
    right = [hmac.compare_digest(given, _signature(raw, secret)) for secret in secrets if secret]
    return any(right)


def _signature(raw: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, raw, "sha256").hex().encode()


def judge(
    raw: bytes, signature: str | None, *, secrets: Sequence[bytes], now: datetime, window: timedelta
) -> Delivery | Refused:
    """The delivery, if it is Cal.com's and of now.

    `window` is how far `createdAt` may be from now on either side: an older one was recorded and sent again. What is
    signed but cannot be read is a delivery with a reason.
    """
    if signature in {None, "", _UNSIGNED}:
        return Refused("unsigned")
    if not is_signed(raw, signature, secrets):
        return Refused("signature")
    delivery, dated = _read(raw, now)
    if dated and delivery.created_at is not None and abs(now - delivery.created_at) > window:
        return Refused("too_old")
    return delivery


def _read(raw: bytes, now: datetime) -> tuple[Delivery, bool]:
    """What a signed body names, and whether its `createdAt` is the instant it was sent."""
    digest = hashlib.sha256(raw).digest()
    try:
        envelope = orjson.loads(raw)
    except orjson.JSONDecodeError:
        envelope = None
    if not isinstance(envelope, dict):
        return Delivery(digest, "", None, None, None, now, "the body is no JSON object", body=raw), False
    whole = cast("dict[str, Any]", envelope)
    trigger, created_at = _name(whole.get("triggerEvent")), _instant(whole.get("createdAt"))
    payload = _object(whole.get("payload")) or whole
    uid = _name(payload.get("uid")) or _name(payload.get("bookingUid"))
    read = Delivery(
        digest,
        trigger or "",
        uid,
        _name(payload.get("rescheduleUid")),
        created_at,
        now,
        "" if trigger or uid else "the body names no trigger and no booking",
        tuple(_facts(trigger or "", payload, now)),
        raw,
    )
    return read, payload is not whole or not trigger_of(trigger or "").is_flat


# --- what it makes doubtful ----------------------------------------------------------------------------------------


def _facts(trigger: str, payload: Json, now: datetime) -> Iterator[ChangeEvent]:
    """At most one fact: the old and the new time of everybody whom the payload names as a user."""
    if not trigger_of(trigger).moves_time:
        return
    away = _object(payload.get("oooEntry"))
    if away:
        users, spans = _ids([_object(away.get("user"))]), _spans([(away.get("start"), away.get("end"))])
    else:
        users = tuple(sorted(set(_users(payload))))
        moved = (payload.get("rescheduleStartTime"), payload.get("rescheduleEndTime"))
        spans = _spans([(payload.get("startTime"), payload.get("endTime")), moved])
    event_type_id = _id(payload.get("eventTypeId"))
    if (not users and event_type_id is None) or not spans:
        return
    if all(end < now - timedelta(days=1) for _, end in spans):  # a day on either side covers every zone
        return
    whole = any(end - start > _LONGEST_SPAN for start, end in spans)
    yield ChangeEvent("booking", delivered(trigger), event_type_id, users, () if whole else spans)


def _users(payload: Json) -> Iterator[int]:
    """Ids of users where they stand: organizer, attendees, the team's members."""
    yield from _ids([_object(payload.get("organizer"))])
    yield from _ids(_objects(payload.get("attendees")))
    team = _object(payload.get("team")) or {}
    yield from _ids(_objects(team.get("members")))


def _ids(people: Iterable[Json | None]) -> tuple[int, ...]:
    found = (_id(person.get("userId", person.get("id"))) for person in people if person)
    return tuple(number for number in found if number is not None)


def _spans(pairs: Iterable[tuple[Any, Any]]) -> tuple[Span, ...]:
    read = ((_instant(start), _instant(end)) for start, end in pairs)
    return tuple((start, end) for start, end in read if start is not None and end is not None and start < end)


# --- values as they may come ---------------------------------------------------------------------------------------


def _object(value: Any) -> Json | None:
    return cast("Json", value) if isinstance(value, dict) else None


def _objects(value: Any) -> list[Json | None]:
    return [_object(entry) for entry in cast("list[Any]", value)] if isinstance(value, list) else []


def _name(value: Any) -> str | None:
    """A uid or a trigger: something that may stand in a column and in a path."""
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and " " not in value
    return cast("str", value) if fits else None


def _id(value: Any) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_ID
    return cast("int", value) if fits else None


def _instant(value: Any) -> datetime | None:
    """An instant in UTC; one without a zone tells nothing."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
