"""How the people in a booking are kept: as they come, as keyed hashes, or not at all; and what erasing one leaves.

What may hold a person's words or addresses is named nowhere: under `hash` and `drop` only fields that cannot are kept,
so that a field Cal.com adds tomorrow does not leak. Pure; the key comes from the caller.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from urllib.parse import quote, unquote

import orjson

from calcom_pipeline.domain.bookings import Unreadable, payload_hash
from calcom_pipeline.domain.models import Attendee, Booking, Host

AttendeePolicy = Literal["keep", "hash", "drop"]

Row = dict[str, Any]

# Fields of a row that say nothing about who booked.
_SAFE = (
    "id",
    "uid",
    "status",
    "start",
    "end",
    "duration",
    "eventTypeId",
    "eventType",
    "absentHost",
    "createdAt",
    "updatedAt",
    "rescheduledFromUid",
    "rescheduledToUid",
    "recurringBookingUid",
    "rating",
)
_SAFE_OF_HASHED_ATTENDEE = ("timeZone", "language", "absent", "seatUid")
_BY = ("cancelledByEmail", "rescheduledByEmail")
_ADDRESS = re.compile(r"[^\s\"'<>()\[\]{},;:\\/?&=]+@[^\s\"'<>()\[\]{},;:\\/?&=]+")
_TOKEN_HEX_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Keyed hashes of addresses: the same person has the same one, and nobody without the key can tell whose it is."""

    key: bytes = field(repr=False)

    def subject(self, address: str) -> bytes:
        """What a tombstone holds: 32 bytes. Case and surrounding blanks do not matter."""
        return hmac.digest(self.key, address.strip().lower().encode(errors="surrogatepass"), "sha256")

    def token(self, text: str) -> str:
        """What stands in an address's place."""
        return "h:" + self.subject(text).hex()[:_TOKEN_HEX_DIGITS]

    @property
    def fingerprint(self) -> bytes:
        """Tells two keys apart without telling anything about them."""
        return hashlib.sha256(b"fingerprint" + self.key).digest()[:8]


def addresses_in(raw: bytes) -> set[str]:
    """Everything in a payload that looks like an address, in lower case; those in web addresses too."""
    text = raw.decode(errors="replace").replace("%40", "@").replace("\\u0040", "@")
    if "@" not in text:
        return set()
    found = {address.strip(".").lower() for address in _ADDRESS.findall(text)}
    return found | {unquote(address) for address in found if "%" in address}


def spellings_of(address: str) -> set[str]:
    """How an address may stand in a payload, in lower case: as it is, and as web addresses write it."""
    return {
        spelled.lower() for spelled in (address, address.replace("@", "%40"), quote(address, safe="@"), quote(address))
    }


@dataclass(frozen=True, slots=True)
class People:
    """The rule for one mirror. `erased` holds the subjects of tombstones."""

    policy: AttendeePolicy = "keep"
    pseudonyms: Pseudonyms = Pseudonyms(b"")
    erased: frozenset[bytes] = frozenset()

    def is_erased(self, address: str | None) -> bool:
        """Whether a person asked to be forgotten."""
        return bool(self.erased) and bool(address) and self.pseudonyms.subject(address or "") in self.erased

    def mentions_erased(self, raw: bytes, *, hosts: Iterable[Host] = ()) -> bool:
        """Whether an erased person's address stands anywhere in a payload, other than as a host's."""
        if not self.erased:
            return False
        return any(map(self.is_erased, addresses_in(raw) - {(host.email or "").lower() for host in hosts}))

    def kept(self, booking: Booking) -> Booking:
        """A booking as it may be stored. Unchanged under `keep`, unless somebody in it was erased."""
        if self.policy == "keep" and not self.mentions_erased(booking.raw, hosts=booking.hosts):
            return booking
        row = cast("Row", orjson.loads(booking.raw))
        wire, attendees = _each(row.get("attendees"), booking.attendees)
        kept = [self._attendee(entry, attendee) for entry, attendee in zip(wire, attendees, strict=True)]
        payload = {name: row[name] for name in _SAFE if name in row}
        payload |= {"hosts": row.get("hosts", []), "attendees": [entry for entry, _ in kept]}
        payload |= {"guests": self._addresses(row.get("guests"))}
        payload |= {name: (self._addresses([row[name]]) or [""])[0] for name in _BY if row.get(name)}
        return _bare(booking, payload, attendees=tuple(attendee for _, attendee in kept))

    def kept_record(self, record: Unreadable) -> Unreadable:
        """A record for quarantine. It cannot be taken apart, so where people are not kept only its reason is."""
        if self.policy == "keep" and not self.mentions_erased(record.raw):
            return record
        return replace(record, raw=b"")

    def _attendee(self, entry: Row, attendee: Attendee) -> tuple[Row, Attendee]:
        erased = self.is_erased(attendee.email) or self.is_erased(_text(entry.get("displayEmail")))
        if erased or self.policy == "drop":
            nobody = Attendee(None, None, absent=attendee.absent, user_id=attendee.user_id)
            return {"absent": entry.get("absent")}, nobody
        if self.policy == "keep":
            return entry, attendee
        hidden = {name: entry[name] for name in _SAFE_OF_HASHED_ATTENDEE if name in entry}
        email, phone = (self._hashed(value) for value in (attendee.email, attendee.phone_number))
        hidden |= {"email": email} | ({"phoneNumber": phone} if phone else {})
        return hidden, replace(attendee, email=email, name=None, phone_number=phone)

    def _hashed(self, value: str | None) -> str | None:
        return self.pseudonyms.token(value) if value else None

    def _addresses(self, value: Any) -> list[str]:
        """A list of addresses under the policy; an erased one is gone."""
        if not isinstance(value, list) or self.policy == "drop":
            return []
        texts = (text for entry in cast("list[Any]", value) if (text := _text(entry)) and not self.is_erased(text))
        rule: Callable[[str], str] = self.pseudonyms.token if self.policy == "hash" else str
        return [rule(text) for text in texts]


def busy_time(booking: Booking) -> Booking:
    """What is kept of a team member's private booking: when, and whose time it takes."""
    row = cast("Row", orjson.loads(booking.raw))
    hosts = tuple(Host(host.id, host.username) for host in booking.hosts)
    payload = {name: row[name] for name in _SAFE if name in row and name != "eventType"}
    payload |= {"hosts": [{"id": h.id, "username": h.username} for h in hosts], "attendees": []}
    return replace(_bare(booking, payload, attendees=()), hosts=hosts, event_type_slug=None)


def _bare(booking: Booking, payload: Row, *, attendees: tuple[Attendee, ...]) -> Booking:
    raw = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    return replace(
        booking,
        title="",
        description=None,
        location=None,
        cancellation_reason="",
        attendees=attendees,
        raw=raw,
        payload_hash=payload_hash(raw),
    )


def _each(wire: Any, attendees: Iterable[Attendee]) -> tuple[list[Row], list[Attendee]]:
    people = list(attendees)
    entries = cast("list[Row]", wire) if isinstance(wire, list) else []
    return (entries, people) if len(entries) == len(people) else ([{} for _ in people], people)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
