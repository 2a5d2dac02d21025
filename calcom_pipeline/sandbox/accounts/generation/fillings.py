"""The values of generated rows as texts, a list for each segment of the template.

A text that many rows share stands in a table, together with the constant text after it.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np
import orjson

from calcom_pipeline.sandbox.accounts.generation.characters import Ints, Mask
from calcom_pipeline.sandbox.accounts.generation.details import LOCALES, Details, DetailSource
from calcom_pipeline.sandbox.accounts.generation.moments import iso_texts
from calcom_pipeline.sandbox.accounts.generation.pools import ANSWERS, CANCELLATIONS, METADATA, MOVES, NOTES, TEAM_ZONES
from calcom_pipeline.sandbox.accounts.generation.templates import QUESTION, Member, Segment, Template, fill_guest
from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.state.columns import STATUSES, Columns
from calcom_pipeline.sandbox.state.sorting import NULL_KEY
from calcom_pipeline.sandbox.state.world import World

Texts = list[str]
_Value = TypeVar("_Value")


class Tables:
    """Every text that rows share, by number. Those of event types and users are as they are in the world now."""

    def __init__(self, source: DetailSource, world: World) -> None:
        self.source = source
        places, self.user_ids = source.places, np.array(sorted(source.users), dtype=np.int64)
        users = [source.users[one] for one in self.user_ids.tolist()]
        self.names = [user.name for user in users]
        self.is_as_made = np.array([_is_as_made(world, source, n) for n in range(len(places))], dtype=np.bool_)
        self.others = [_shown_others(source, number) for number in range(len(places))]
        self.asks = np.array([one.question is not None for one in places], dtype=np.bool_)
        self.has_others = np.array([bool(one) for one in self.others], dtype=np.bool_)
        self.values: dict[str, Texts] = {
            "hosts": [_json(views.shown_hosts(world, user.id)) for user in users],
            "offer": [_shown_offer(world, source, number) for number in range(len(places))],
            "zone": [*TEAM_ZONES, *(user.time_zone for user in users)],
            "notes": list(NOTES),
            "status": list(STATUSES),
            "reason": ["", *CANCELLATIONS],
            "metadata": [_json(one) for one in METADATA],
            "absent": ["false", "true"],
            "locale": list(LOCALES),
        }
        self._with_after: dict[tuple[str, str], Texts] = {}
        self._titles: dict[tuple[int, int], str] = {}

    def followed(self, name: str, after: str) -> Texts:
        """A table's texts, each with the constant text after it."""
        found = self._with_after.get((name, after))
        if found is None:
            found = self._with_after[name, after] = [value + after for value in self.values[name]]
        return found

    def notes_with(self, member: Member) -> Texts:
        """The notes as members, each with the constant text after it."""
        found = self._with_after.get((member.key, member.after))
        if found is None:
            rest = member.behind + member.after
            found = [member.before + note + rest if note else member.after for note in NOTES]
            self._with_after[member.key, member.after] = found
        return found

    def title(self, offer: int, user: int) -> str:
        """A title up to the booker's name."""
        found = self._titles.get((offer, user))
        if found is None:
            found = self._titles[offer, user] = self.names[user].join(self.source.places[offer].title)
        return found


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _shown_offer(world: World, source: DetailSource, number: int) -> str:
    """An offer's place in an answer."""
    at = source.places[number]
    row = world.event_types.get(at.event_type_id)
    kind = None if row is None else {"id": row.id, "slug": row.slug}
    return f'"duration":{at.minutes},"eventTypeId":{at.event_type_id},"eventType":{_json(kind)}'


def _shown_others(source: DetailSource, number: int) -> str:
    """The other hosts of an offer among the attendees."""
    others = source.places[number].others
    return "".join("," + _json(views.shown_attendee(one.name, one.email, one.time_zone)) for one in others)


def _is_as_made(world: World, source: DetailSource, number: int) -> bool:
    """Whether an offer's type is there, and seated as it was when its bookings were made."""
    at = source.places[number]
    row = world.event_types.get(at.event_type_id)
    return row is not None and bool(row.seats_per_slot) == bool(at.seats)


class Fillings:
    """The texts that fill the segments of templates, for the rows of one page."""

    def __init__(self, tables: Tables, details: Details, columns: Columns) -> None:
        self._tables, self.details, self.columns = tables, details, columns
        self.positions, self.offer, self.booker = details.positions, details.offer, details.booker
        self.user = np.searchsorted(tables.user_ids, details.user)
        customers = tables.source.customers
        self.names, self.emails = customers.names(self.booker), customers.emails(self.booker)
        self._found_texts = self._moments()
        self._found_numbers: dict[str, list[int]] = {}
        self._found_members: dict[str, dict[int, str]] = {}

    def parts(self, template: Template, rows: Sequence[int] | None = None) -> tuple[Texts, int]:
        """These rows (or all) by one template, one after the other, and how many parts each has."""
        lists: list[Texts] = []
        for segment in template.segments:
            lists += self._lists(template, segment, rows)
        width, count = len(lists) + 1, len(self.positions) if rows is None else len(rows)
        found = [template.start] * (width * count)
        for place, one in enumerate(lists, start=1):
            found[place::width] = one
        return found, width

    def _lists(self, template: Template, segment: Segment, rows: Sequence[int] | None) -> list[Texts]:
        if isinstance(segment, Member):
            return [self._members(segment, rows)]
        if segment.name in _NUMBERS:
            table = self._tables.followed(segment.name, segment.after)
            return [[table[one] for one in _picked(self._numbers(segment.name), rows)]]
        texts = _picked(self._kept(template, segment.name), rows)
        return [texts, [segment.after] * len(texts)]

    def _members(self, member: Member, rows: Sequence[int] | None) -> Texts:
        """A member that some rows have; each text ends with the constant text after it."""
        if member.name == "notes":
            table = self._tables.notes_with(member)
            return [table[one] for one in _picked(self._numbers("notes"), rows)]
        values, rest = self._values(member), member.behind + member.after
        if rows is not None:
            return [member.before + values[row] + rest if row in values else member.after for row in rows]
        found = [member.after] * len(self.positions)
        for row, value in values.items():
            found[row] = member.before + value + rest
        return found

    def _values(self, member: Member) -> dict[int, str]:
        """The values of a member by row."""
        name = "question" if member.key == QUESTION else member.name
        known = self._found_members.get(name)
        if known is None:
            has, values = _MEMBERS[name]
            chosen = np.flatnonzero(has(self))
            known = dict(zip(chosen.tolist(), values(self, chosen), strict=True))
            self._found_members[name] = known
        return known

    def _numbers(self, name: str) -> list[int]:
        known = self._found_numbers.get(name)
        if known is None:
            known = self._found_numbers[name] = _NUMBERS[name](self).tolist()
        return known

    def _kept(self, template: Template, name: str) -> Texts:
        known = self._found_texts.get(name)
        if known is None:
            known = self.more(template) if name == "more" else _TEXTS[name](self)
            self._found_texts[name] = known
        return known

    # -- numbers of texts in tables

    def zone_numbers(self) -> Ints:
        """The booker's zone: the host's, or some other."""
        elsewhere = self.details.is_elsewhere
        return np.where(elsewhere, self.booker % len(TEAM_ZONES), len(TEAM_ZONES) + self.user)

    def statuses(self) -> Ints:
        """The status of each row."""
        return self.columns.status[self.positions].astype(np.int64)

    # -- texts of every row

    def ids(self) -> Texts:
        """Ids as JSON."""
        return [str(one) for one in (self.positions + 1).tolist()]

    def titles(self) -> Texts:
        """Titles with the booker's name."""
        keys = zip(self.offer.tolist(), self.user.tolist(), self.names, strict=True)
        title = self._tables.title
        return [title(offer, user) + name for offer, user, name in keys]

    def _moments(self) -> dict[str, Texts]:
        """The four times of each row; the update times as JSON."""
        columns, positions, count = self.columns, self.positions, len(self.positions)
        updated = columns.updated[positions]
        missing = updated == NULL_KEY
        instants = [columns.start[positions], columns.end[positions], columns.created[positions]]
        texts = iso_texts(np.concatenate([*instants, np.where(missing, 0, updated)]))
        names = ("start", "end", "created", "updated")
        found = {name: texts[part * count : (part + 1) * count] for part, name in enumerate(names)}
        found["updated"] = [f'"{one}"' for one in found["updated"]]
        for row in np.flatnonzero(missing).tolist():
            found["updated"][row] = "null"
        return found

    def named(self, mark: str, otherwise: str, quote: str = "") -> Texts:
        """The booker's address where a mark is set."""
        found = [otherwise] * len(self.positions)
        for row in np.flatnonzero(getattr(self.details, mark)).tolist():
            found[row] = quote + self.emails[row] + quote
        return found

    def locations(self) -> Texts:
        """Where it takes place; every video meeting has an address of its own."""
        source = self._tables.source
        places, url = source.places, source.booker_url
        offers: list[int] = self.offer.tolist()
        return [
            f"{url}/video/{uid}" if places[offer].is_video else places[offer].location
            for offer, uid in zip(offers, self.details.uids, strict=True)
        ]

    def series_uids(self) -> Texts:
        """Uids of series; of other rows none."""
        found = [""] * len(self.positions)
        for row in np.flatnonzero(self.details.in_series).tolist():
            found[row] = self.details.series_uid(row)
        return found

    def more(self, template: Template) -> Texts:
        """Whoever else is among the attendees: guests, and the other hosts."""
        found = [""] * len(self.positions)
        for row in np.flatnonzero(self._tables.has_others[self.offer]).tolist():
            found[row] = self._tables.others[int(self.offer[row])]
        for row in np.flatnonzero(self.details.guests).tolist():
            found[row] = self._shown_guests(template, row) + found[row]
        return found

    def _shown_guests(self, template: Template, row: int) -> str:
        details = self.details
        zone, locale = details.zone(row), LOCALES[int(details.booker[row]) % len(LOCALES)]
        return "".join("," + fill_guest(template, email, zone, locale) for email in details.guest_emails(row))

    # -- texts of some rows

    def phones(self, chosen: Ints) -> Texts:
        """The bookers' phone numbers."""
        phone = self._tables.source.phone
        return [phone(one) for one in self.booker[chosen].tolist()]

    def guests(self, chosen: Ints) -> Texts:
        """Addresses of guests as JSON."""
        return [_json(self.details.guest_emails(row)) for row in chosen.tolist()]

    def move_reasons(self, chosen: Ints) -> Texts:
        """Why they were moved."""
        return [MOVES[one - 1] for one in self.details.move_reason[chosen].tolist()]

    def from_uids(self, chosen: Ints) -> Texts:
        """What they were moved from."""
        del chosen
        return self.details.from_uids

    def to_uids(self, chosen: Ints) -> Texts:
        """What they were moved to."""
        del chosen
        return self.details.to_uids

    def has_question(self) -> Mask:
        """Whether the event type asks a question of its own."""
        return self._tables.asks[self.offer]

    def questions(self, chosen: Ints) -> Texts:
        """The answers to the event types' own questions, as members."""
        places, answers = self._tables.source.places, self.details.answer[chosen].tolist()
        offers: list[int] = self.offer[chosen].tolist()
        return [
            f',"{places[offer].question}":"{ANSWERS[answer]}"' for offer, answer in zip(offers, answers, strict=True)
        ]


def _picked(values: list[_Value], rows: Sequence[int] | None) -> list[_Value]:
    return values if rows is None else [values[row] for row in rows]


def _drawn(name: str) -> Callable[[Fillings], Ints]:
    return lambda fillings: getattr(fillings.details, name)


# Fields whose texts stand in a table, by the number of the text.
_NUMBERS: Final[dict[str, Callable[[Fillings], Ints]]] = {
    "hosts": lambda fillings: fillings.user,
    "offer": lambda fillings: fillings.offer,
    "zone": Fillings.zone_numbers,
    "notes": _drawn("note"),
    "status": Fillings.statuses,
    "reason": _drawn("reason"),
    "metadata": _drawn("metadata"),
    "absent": _drawn("absent"),
    "locale": lambda fillings: fillings.booker % len(LOCALES),
}
# Fields whose texts are made row by row.
_TEXTS: Final[dict[str, Callable[[Fillings], Texts]]] = {
    "id": Fillings.ids,
    "uid": lambda fillings: fillings.details.uids,
    "title": Fillings.titles,
    "cancelled_by": lambda fillings: fillings.named("names_canceller", ""),
    "moved_by": lambda fillings: fillings.named("shows_mover", "null", quote='"'),
    "location": Fillings.locations,
    "name": lambda fillings: fillings.names,
    "email": lambda fillings: fillings.emails,
    "series_uid": Fillings.series_uids,
}
# Members that some rows have: which rows, and their values.
_MEMBERS: Final[dict[str, tuple[Callable[[Fillings], Ints | Mask], Callable[[Fillings, Ints], Texts]]]] = {
    "phone": (_drawn("has_phone"), Fillings.phones),
    "guests": (_drawn("guests"), Fillings.guests),
    "move_reason": (_drawn("move_reason"), Fillings.move_reasons),
    "from_uid": (_drawn("came"), Fillings.from_uids),
    "to_uid": (_drawn("goes"), Fillings.to_uids),
    "question": (Fillings.has_question, Fillings.questions),
}
