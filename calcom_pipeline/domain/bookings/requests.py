"""What application code asks for, checked once at the edge: a booking to be made, a new time for one.

Details come as a mapping, flat or with `responses` or `attendee`, in Cal.com's spelling or ours; what leaves is a
frozen value that needs no further look. All that is wrong is reported at once, field by field, without quoting values.
Facts: fact sheet 6.5.
"""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from calcom_pipeline.domain.addresses import canonical, is_address
from calcom_pipeline.domain.bookings.choices import LANGUAGES, LOCATION_TYPES
from calcom_pipeline.domain.cleaning import many_lines, one_line
from calcom_pipeline.domain.errors import InvalidInput
from calcom_pipeline.domain.zones import canonical_zone

LONGEST_TITLE = 255
LONGEST_NAME = 255
LONGEST_REASON = 1000
LONGEST_NOTES = 10_000
LONGEST_RESPONSES = 20_000  # the whole body may have 100 kB (fact sheet 1.1), a character up to four bytes
LONGEST_ADDRESS = 254  # RFC 5321
MOST_GUESTS = 30
MOST_METADATA_KEYS = 50
LONGEST_METADATA_KEY = 40
LONGEST_METADATA_VALUE = 500
#: Under this name our key stands in a booking's metadata; by it a booking is found again after a doubt.
KEY_NAME = "calcom_pipeline_key"

_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{3,30}")
_UID = re.compile(r"[A-Za-z0-9_-]{1,255}")

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class BookingRules:
    """What a booking is checked against. `now` is aware; a naive start is read in its own zone, else `default_zone`."""

    now: datetime
    default_zone: str = "UTC"
    minimum_notice: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class NewAttendee:
    """Who books. At least one of `email` and `phone_number` is there."""

    name: str = field(repr=False)
    time_zone: str
    language: str = "en"
    email: str | None = field(default=None, repr=False)
    phone_number: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """A booking to be made. `start` is UTC; `key` names this request alone and goes into the booking's metadata.

    `may_come_twice`: the key is the caller's, who may have made the same request before.
    """

    event_type_id: int
    start: datetime
    attendee: NewAttendee = field(repr=False)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    length_minutes: int | None = None
    guests: tuple[str, ...] = field(default=(), repr=False)
    responses: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    location: Mapping[str, Any] | None = field(default=None, repr=False)
    metadata: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar], repr=False)
    may_come_twice: bool = False


def booking_request(details: Mapping[str, Any], rules: BookingRules, *, key: str | None = None) -> BookingRequest:
    """Read the details of a booking. `key`: the caller's own, if a repeated call must find the same booking.

    Raises:
        InvalidInput: with everything that is wrong.
    """
    reader = _Reader(details)
    attendee = reader.attendee(rules)
    location = reader.location()
    request = BookingRequest(
        event_type_id=reader.whole("eventTypeId", "event_type_id") or 0,
        start=reader.start(attendee.time_zone, rules),
        attendee=attendee,
        key=reader.key(key) or uuid.uuid4().hex,
        length_minutes=reader.whole("lengthInMinutes", "length_minutes", required=False),
        guests=reader.guests(),
        responses=reader.responses(),
        location=location,
        metadata=reader.metadata(),
        may_come_twice=key is not None,
    )
    reader.refuse_the_rest()
    reader.finish()
    return request


def new_start(value: Any, rules: BookingRules, *, zone: str | None = None) -> datetime:
    """The new time of a booking that is moved, UTC. A naive one is read in `zone`, else the default zone.

    Raises:
        InvalidInput: it is no time, in a gap of the clock, or too soon, or the zone is none.
    """
    reader = _Reader({"start": value})
    start = reader.start(reader.zone(zone, rules.default_zone), rules)
    reader.finish()
    return start


def booking_uid(value: Any) -> str:
    """A booking's uid, fit for a path. Raises InvalidInput."""
    if not isinstance(value, str) or not _UID.fullmatch(value):
        raise InvalidInput(["uid: is no uid of a booking"])
    return value


def reason_text(value: Any, *, required: bool = False) -> str:
    """A reason for people: lines are kept. Raises InvalidInput."""
    text = many_lines(value) if isinstance(value, str) else ""
    if value is not None and not isinstance(value, str):
        raise InvalidInput(["reason: is no text"])
    if required and not text:
        raise InvalidInput(["reason: is missing; Cal.com wants one from a host"])
    if len(text) > LONGEST_REASON:
        raise InvalidInput([f"reason: is longer than {LONGEST_REASON} characters"])
    return text


class _Reader:
    """Takes a mapping apart and collects what is wrong with it."""

    def __init__(self, details: Mapping[str, Any]) -> None:
        self._flat = dict(details)
        self._problems: list[str] = []
        self._responses = self._group("responses") | self._group("bookingFieldsResponses")
        self._attendee = self._group("attendee")

    # --- the parts ---------------------------------------------------------------------------------------

    def attendee(self, rules: BookingRules) -> NewAttendee:
        """Who books."""
        given_email = self._person("email")
        given_phone = self._person("phoneNumber", "phone_number", "phone", "attendeePhoneNumber")
        if given_email is None and given_phone is None:
            self._say("email", "is missing (or a phone number)")
        language = self._line("language", self._person("language"), LONGEST_NAME) or "en"
        if language not in LANGUAGES:
            self._say("language", "is none that Cal.com knows")
        return NewAttendee(
            name=self._name(self._person("name")),
            time_zone=self.zone(self._person("timeZone", "time_zone"), rules.default_zone),
            language=language,
            email=self._address("email", given_email),
            phone_number=self._phone(given_phone),
        )

    def whole(self, *names: str, required: bool = True) -> int | None:
        """A positive whole number; digits in a text will do."""
        value, name = self._take(self._flat, *names), names[0]
        if value is None:
            if required:
                self._say(name, "is missing")
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:18])
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self._say(name, "is no positive whole number")
            return None
        return value

    def start(self, zone: str, rules: BookingRules) -> datetime:
        """When it begins, UTC."""
        moment = self._moment(self._take(self._flat, "start", "startTime", "start_time"))
        if moment is None:
            return rules.now
        try:
            start = self._in_zone(moment, zone).astimezone(UTC)
        except (OverflowError, ValueError):
            self._say("start", "is out of range")
            return rules.now
        if start < rules.now + rules.minimum_notice:
            self._say("start", f"is less than {rules.minimum_notice // timedelta(minutes=1)} minutes from now")
        return start

    def guests(self) -> tuple[str, ...]:
        """Addresses of people who are brought along."""
        value = self._either("guests")
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self._say("guests", "is no list")
            return ()
        listed = cast("Sequence[Any]", value)
        if len(listed) > MOST_GUESTS:
            self._say("guests", f"are more than {MOST_GUESTS}")
        found = [self._address("guests", guest) for guest in listed[:MOST_GUESTS]]
        once: dict[str, str] = {}  # somebody who is named twice, in whatever spelling, is one guest
        for guest in filter(None, found):
            once.setdefault(canonical(guest), guest)
        return tuple(once.values())

    def responses(self) -> dict[str, Any]:
        """Title, notes and the answers to the event type's own questions, by slug."""
        answers: dict[str, Any] = {}
        if title := self._line("title", self._either("title"), LONGEST_TITLE):
            answers["title"] = title
        if notes := self._notes(self._either("notes", "additionalNotes")):
            answers["notes"] = notes
        for slug, value in self._responses.items():
            answers[one_line(slug)] = _cleaned(value)
        if len(repr(answers)) > LONGEST_RESPONSES:
            self._say("responses", f"are longer than {LONGEST_RESPONSES} characters")
        return answers

    def location(self) -> Mapping[str, Any] | None:
        """Where it takes place, as one of Cal.com's objects."""
        value = self._either("location")
        if value is None:
            return None
        given: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
        # The shape of Cal.com's own booking form: {"value": "phone", "optionValue": "+49 ..."}.
        if "value" in given and "type" not in given:
            self._responses["location"] = given
            return None
        if given.get("type") not in LOCATION_TYPES:
            self._say("location", f"has no type of {', '.join(sorted(LOCATION_TYPES))}")
            return None
        return cast("dict[str, Any]", _cleaned(given))

    def metadata(self) -> dict[str, Scalar]:
        """What the caller wants to find again on the booking."""
        given = self._group("metadata")
        if len(given) > MOST_METADATA_KEYS - 1:
            self._say("metadata", f"has more than {MOST_METADATA_KEYS - 1} keys (one more is ours)")
        found: dict[str, Scalar] = {}
        for name, value in list(given.items())[:MOST_METADATA_KEYS]:
            cleaned = one_line(name)
            if not cleaned or len(cleaned) > LONGEST_METADATA_KEY or cleaned == KEY_NAME:
                self._say("metadata", f"has a key that is empty, ours or longer than {LONGEST_METADATA_KEY} characters")
            elif (scalar := self._scalar(value)) is not None:
                found[cleaned] = scalar
        return found

    def key(self, value: str | None) -> str | None:
        """The caller's own key."""
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_.:-]{8,200}", value):
            self._say("key", "has to be 8 to 200 letters, digits or any of _ . : -")
            return None
        return value

    def refuse_the_rest(self) -> None:
        """What nobody asked for is a typing error: Cal.com would refuse the whole booking for it."""
        for name in [*self._flat, *(f"attendee.{name}" for name in self._attendee)]:
            self._say(one_line(str(name))[:LONGEST_METADATA_KEY], "is no field of a booking")

    def finish(self) -> None:
        """Raise InvalidInput if anything is wrong."""
        if self._problems:
            raise InvalidInput(list(dict.fromkeys(self._problems)))

    # --- small rules -------------------------------------------------------------------------------------

    def _say(self, name: str, what: str) -> None:
        self._problems.append(f"{name}: {what}")

    @staticmethod
    def _take(source: dict[str, Any], *names: str) -> Any:
        """The first of several spellings; the others are dropped with it."""
        values = [source.pop(name) for name in names if name in source]
        return next((value for value in values if value is not None), None)

    def _group(self, name: str) -> dict[str, Any]:
        value = self._flat.pop(name, None)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._say(name, "is no mapping")
            return {}
        return {str(key): member for key, member in cast("Mapping[Any, Any]", value).items()}

    def _person(self, *names: str) -> Any:
        """Said of the attendee: in `attendee`, in `responses`, or flat."""
        found = [self._take(source, *names) for source in (self._attendee, self._responses, self._flat)]
        return next((value for value in found if value is not None), None)

    def _either(self, *names: str) -> Any:
        found = [self._take(source, *names) for source in (self._flat, self._responses)]
        return next((value for value in found if value is not None), None)

    def _line(self, name: str, value: Any, longest: int) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            self._say(name, "is no text")
            return ""
        text = one_line(value)
        if len(text) > longest:
            self._say(name, f"is longer than {longest} characters")
        return text[:longest]

    def _name(self, value: Any) -> str:
        if isinstance(value, Mapping):  # an event type may ask for first and last name apart
            parts = cast("Mapping[str, Any]", value)
            value = " ".join(str(parts[part]) for part in ("firstName", "lastName") if parts.get(part))
        name = self._line("name", value, LONGEST_NAME)
        if not name:
            self._say("name", "is missing")
        return name

    def _notes(self, value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            self._say("notes", "is no text")
            return ""
        notes = many_lines(value)
        if len(notes) > LONGEST_NOTES:
            self._say("notes", f"is longer than {LONGEST_NOTES} characters")
        return notes[:LONGEST_NOTES]

    def _address(self, name: str, value: Any) -> str | None:
        address = self._line(name, value, LONGEST_ADDRESS)
        if value is not None and not is_address(address):
            self._say(name, "is no mail address")
            return None
        return address or None

    def _phone(self, value: Any) -> str | None:
        number = self._line("phoneNumber", value, LONGEST_NAME)
        if value is not None and not _PHONE.fullmatch(number):
            self._say("phoneNumber", "is no phone number")
            return None
        return number or None

    def zone(self, value: Any, default: str) -> str:
        """The zone that naive times are read in, in any spelling."""
        zone = self._line("timeZone", value, LONGEST_NAME) or default
        known = canonical_zone(zone)
        if known is None:
            self._say("timeZone", "is no IANA time zone, such as Europe/Berlin")
        return known or default

    def _moment(self, value: Any) -> datetime | None:
        if isinstance(value, datetime):
            return value
        text = one_line(value) if isinstance(value, str) else ""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._say("start", "is missing" if value is None else "is no time such as 2026-12-01T10:00")
            return None
        if "T" not in text.upper() and " " not in text:
            self._say("start", "has no time of day")
        return moment

    def _in_zone(self, moment: datetime, zone: str) -> datetime:
        """A naive time is meant in its zone; one that the clock skips there was never meant. Of two, the first."""
        if moment.tzinfo is not None:
            return moment
        local = moment.replace(tzinfo=ZoneInfo(zone))
        there_and_back = local.astimezone(UTC).astimezone(ZoneInfo(zone))
        if there_and_back.replace(tzinfo=None) != moment:
            self._say("start", f"does not exist in {zone}: the clock skips it")
        return local

    def _scalar(self, value: Any) -> Scalar | None:
        if isinstance(value, str):
            text = many_lines(value)
            if len(text) <= LONGEST_METADATA_VALUE:
                return text
            self._say("metadata", f"has a value longer than {LONGEST_METADATA_VALUE} characters")
        elif isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        else:
            self._say("metadata", "has a value that is neither text nor number nor true or false")
        return None


def _cleaned(value: Any) -> Any:
    """The same, with every text in it fit for a wire."""
    if isinstance(value, str):
        return many_lines(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        return {one_line(str(name)): _cleaned(member) for name, member in members.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(member) for member in cast("Sequence[Any]", value)]
    return value
