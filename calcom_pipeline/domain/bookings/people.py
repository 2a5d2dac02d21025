"""How the people in a booking are kept: as they come, as keyed hashes, or not at all; and what erasing one leaves.

What may hold a person's words or addresses is named nowhere: under `hash` and `drop` only fields that cannot are kept,
so that a field Cal.com adds tomorrow does not leak. Pure; the key comes from the caller.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, cast
from urllib.parse import quote, unquote

import orjson

from calcom_pipeline.domain.addresses import canonical, forms_of, numbers_in
from calcom_pipeline.domain.bookings.listing import Unreadable, payload_hash
from calcom_pipeline.domain.bookings.models import Attendee, Booking, Host

AttendeePolicy = Literal["keep", "hash", "drop"]
_FROM_MOST_TO_LEAST: tuple[AttendeePolicy, ...] = ("keep", "hash", "drop")

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
# What ends a host name, whatever else an address may hold; and where words of other scripts follow it without a blank.
_HOST_NAME = re.compile(r"[^\s\"'<>()\[\]{},;:\\/?&=]+")
_ASCII_HOST_NAME = re.compile(r"[0-9A-Za-z.-]+")
_BLANK = re.compile(r"\s")
_ESCAPED_BLANK = re.compile(r"\\[nrtbf]")
_LONGEST_PART = 254  # RFC 5321, of a whole address
_JOINS = "._+-"
_SHORTEST_RUN = 3
_TOKEN_HEX_DIGITS = 32
_TOKEN = re.compile(rf"h:[0-9a-f]{{{_TOKEN_HEX_DIGITS}}}")


def keeps_less(policy: AttendeePolicy, *, than: AttendeePolicy) -> bool:
    """Whether a policy keeps less of people than another one."""
    return _FROM_MOST_TO_LEAST.index(policy) > _FROM_MOST_TO_LEAST.index(than)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Keyed hashes of addresses and telephone numbers.

    The same one has the same hash, however it is written, and nobody without the key can tell whose it is.
    """

    key: bytes = field(repr=False)

    def subject(self, who: str) -> bytes:
        """What a tombstone holds: 32 bytes."""
        return self._hash(canonical(who))

    def subjects(self, who: str) -> frozenset[bytes]:
        """The same, and what tombstones hold that were made before addresses had one form."""
        return frozenset(map(self._hash, forms_of(who)))

    def _hash(self, form: str) -> bytes:
        return hmac.digest(self.key, form.encode(errors="surrogatepass"), "sha256")

    def tokens(self, who: str) -> frozenset[str]:
        """What may stand in the place of an address or a number, also since before addresses had one form."""
        return frozenset(map(_token_of, self.subjects(who)))

    def token(self, text: str) -> str:
        """What stands in an address's or a number's place. A token stands for itself: stored people are read again."""
        return text if _TOKEN.fullmatch(text) else _token_of(self.subject(text))

    @property
    def fingerprint(self) -> bytes:
        """Tells two keys apart without telling anything about them."""
        return hashlib.sha256(b"fingerprint" + self.key).digest()[:8]


def addresses_in(raw: bytes) -> set[str]:
    """Everything in a payload that may be an address, in lower case; those in web addresses too.

    An address may hold nearly any character, and any may stand right before it; so there are several readings of each.
    """
    return _addresses_in(_texts_in(raw))


def _addresses_in(texts: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for text in texts:
        if "@" not in text:
            continue
        for left, right in pairwise(text.split("@")):
            before = _BLANK.split(left[-_LONGEST_PART:])[-1]
            after = _BLANK.split(right[:_LONGEST_PART], maxsplit=1)[0]
            ends = _ends_of(after)
            found |= {f"{before[start:]}@{end}".lower() for start in _starts_in(before) for end in ends}
    return found


def stands_in(raw: bytes, who: str) -> bool:
    """Whether a known address or number is in a payload, in any of its forms, and not as a part of a longer one."""
    if "@" not in who:
        return canonical(who) in numbers_in(_texts_in(raw))
    forms = {unicodedata.normalize("NFC", form) for form in forms_of(who)}
    texts = [unicodedata.normalize("NFC", text.lower()) for text in _texts_in(raw) if "@" in text]
    return any(_holds(text, form) for text in texts for form in forms)


def _holds(text: str, address: str) -> bool:
    return any(
        not _goes_on(text[: match.start()]) and not re.match(r"[.-]?[0-9a-z]", text[match.end() :])
        for match in re.finditer(re.escape(address), text)
    )


def _texts_in(raw: bytes) -> list[str]:
    """The texts of a payload, as they are and as web addresses write them."""
    found: list[str] = []
    try:
        left: list[Any] = [orjson.loads(raw)]
    except orjson.JSONDecodeError:
        left = [raw.decode(errors="replace")]
    while left:
        value = left.pop()
        if isinstance(value, str):
            plain = _ESCAPED_BLANK.sub(" ", value).replace("\\u0040", "@") if "\\" in value else value
            found += [plain] if "%" not in plain else [plain.replace("%40", "@"), unquote(plain)]
        elif isinstance(value, dict):
            left += [part for item in cast("Row", value).items() for part in item]
        elif isinstance(value, list):
            left += cast("list[Any]", value)
    return found


def _starts_in(before: str) -> Iterator[int]:
    """Where an address may begin: not within a word, nor after a dot or the like that joins two."""
    goes_on = False
    for start, character in enumerate(before):
        if not goes_on:
            yield start
        goes_on = character.isascii() and (character.isalnum() or (goes_on and character in _JOINS))


def _goes_on(before: str) -> bool:
    word = before.rstrip(_JOINS)[-1:]
    return word.isascii() and word.isalnum()


def _ends_of(after: str) -> set[str]:
    """What a host name may be, without the marks of the sentence it ends."""
    matches = (pattern.match(after) for pattern in (_HOST_NAME, _ASCII_HOST_NAME))
    readings = {after, *(match[0] for match in matches if match)}
    return {trimmed for reading in readings for trimmed in (reading.strip("."), _without_marks(reading)) if trimmed}


def _without_marks(text: str) -> str:
    while text and not text[-1].isalnum():
        text = text[:-1]
    return text


def _token_of(subject: bytes) -> str:
    return "h:" + subject.hex()[:_TOKEN_HEX_DIGITS]


def needles_of(who: str) -> set[str]:
    """Texts one of which stands, in lower case, in every payload that holds an address; more payloads may hold them.

    A database may know no lower case of other letters than ASCII's, so of an address with such only a part is looked
    for.
    """
    found: set[str] = set()
    for form in forms_of(who):
        if form.isascii():
            in_json = orjson.dumps(form).decode()[1:-1]
            written = (form, in_json, form.replace("@", "%40"), quote(form, safe="@"), quote(form))
            found |= {spelled.lower() for spelled in written}
        else:
            runs = re.findall(r"[a-z0-9.-]+", form)
            longest = max(runs, key=len, default="")
            found |= {longest} if len(longest) >= _SHORTEST_RUN else {"@", "%40"}
    return found


@dataclass(frozen=True, slots=True)
class People:
    """The rule for one mirror. `erased` holds the subjects of tombstones."""

    policy: AttendeePolicy = "keep"
    pseudonyms: Pseudonyms = Pseudonyms(b"")
    erased: frozenset[bytes] = frozenset()

    def is_erased(self, who: str | None) -> bool:
        """Whether the person of an address or a number asked to be forgotten; a token tells it as well."""
        if not self.erased or not who:
            return False
        if _TOKEN.fullmatch(who):
            return who in map(_token_of, self.erased)
        return not self.erased.isdisjoint(self.pseudonyms.subjects(who))

    def mentions_erased(self, raw: bytes, *, hosts: Iterable[Host] = ()) -> bool:
        """Whether an erased person's address or number stands anywhere in a payload, other than as a host's."""
        if not self.erased:
            return False
        not_meant = {canonical(host.email) for host in hosts if host.email}
        texts = _texts_in(raw)
        found = (address for address in _addresses_in(texts) if canonical(address) not in not_meant)
        return any(map(self.is_erased, found)) or any(map(self.is_erased, numbers_in(texts)))

    def kept(self, booking: Booking, *, mentioned: bool = False) -> Booking:
        """A booking as it may be stored. Unchanged under `keep`, unless somebody in it was erased.

        `mentioned`: the caller, who knows an erased address itself, has found it in the booking.
        """
        if self.policy == "keep" and not mentioned and not self._has_erased(booking):
            return booking
        row = cast("Row", orjson.loads(booking.raw))
        wire, attendees = _each(row.get("attendees"), booking.attendees)
        kept = [self._attendee(entry, attendee) for entry, attendee in zip(wire, attendees, strict=True)]
        payload = {name: row[name] for name in _SAFE if name in row}
        payload |= {"hosts": row.get("hosts", []), "attendees": [entry for entry, _ in kept]}
        payload |= {"guests": self._addresses(row.get("guests"))}
        payload |= {name: (self._addresses([row[name]]) or [""])[0] for name in _BY if isinstance(row.get(name), str)}
        return _bare(booking, payload, attendees=tuple(attendee for _, attendee in kept))

    def kept_record(self, record: Unreadable) -> Unreadable:
        """A record for quarantine. It cannot be taken apart, so where people are not kept only its reason is."""
        if self.policy == "keep" and not self.mentions_erased(record.raw):
            return record
        return replace(record, raw=b"")

    def _has_erased(self, booking: Booking) -> bool:
        if not self.erased:
            return False
        row = cast("Row", orjson.loads(booking.raw))
        lists = [cast("list[Any]", row[name]) for name in ("attendees", "guests") if isinstance(row.get(name), list)]
        entries = [row.get(name) for name in _BY] + [entry for entries in lists for entry in entries]
        named = [_text(cast("Row", e).get("displayEmail")) if isinstance(e, dict) else _text(e) for e in entries]
        people = [*named, *(text for a in booking.attendees for text in (a.email, a.phone_number))]
        return any(map(self.is_erased, people)) or self.mentions_erased(booking.raw, hosts=booking.hosts)

    def _attendee(self, entry: Row, attendee: Attendee) -> tuple[Row, Attendee]:
        names = (attendee.email, attendee.phone_number, _text(entry.get("displayEmail")))
        if any(map(self.is_erased, names)) or self.policy == "drop":
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
