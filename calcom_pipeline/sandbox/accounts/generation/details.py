"""What stands in generated rows: names, texts, answers, uids. For many rows at once, from the seed."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.assembly import Leaves, Person, Shape
from calcom_pipeline.sandbox.accounts.generation.customers import TRAITS, Customers, bits
from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes, Ints
from calcom_pipeline.sandbox.accounts.generation.layout import WEEKS, Layout
from calcom_pipeline.sandbox.accounts.generation.offers import Offer
from calcom_pipeline.sandbox.accounts.generation.pools import (
    ANSWERS,
    CANCELLATIONS,
    MOVES,
    NOTES,
    REJECTIONS,
    SOURCES,
    TEAM_ZONES,
)
from calcom_pipeline.sandbox.bookings import place
from calcom_pipeline.sandbox.state.columns import STATUS_CODES, STATUSES, Columns
from calcom_pipeline.sandbox.state.model import Status, User
from calcom_pipeline.sandbox.state.sorting import NULL_KEY
from calcom_pipeline.sandbox.state.world import World

_ROW_TRAITS, UIDS, SERIES_UIDS, SEAT_UIDS = 211, 213, 215, 217  # salts of the hashes; a uid takes two
SEATS_PER_ROW: Final = 4  # room for the numbers of a row's seats inside their uids
ATTENDEES_PER_ROW: Final = 8  # room for the ids of a row's attendees
_LOCALES: Final = ("en", "en", "de", "en")
_WITH_PHONE: Final = 5  # one customer of so many gives a phone number
_FIRST_ORDER: Final = 100_000
_CANCELLED, _REJECTED = STATUS_CODES["cancelled"], STATUS_CODES["rejected"]


@dataclass(frozen=True, slots=True)
class Place:
    """What all bookings of an offer have in common."""

    title: str
    location: str | None
    is_video: bool
    seats: int
    question: str | None
    others: tuple[User, ...]


def places(world: World, offers: list[Offer]) -> list[Place]:
    """What the bookings of each offer have in common."""
    return [_place(world, offer) for offer in offers]


def _place(world: World, offer: Offer) -> Place:
    event_type = offer.event_type
    location = place.stored_location(event_type, None)
    team = world.teams.get(event_type.team_id or 0)
    is_shared = offer.kind == "collective" and team is not None
    organizer = "{organizer}" if not is_shared else team.name
    title = place.title(event_type, host=organizer, attendee="", location=location, minutes=event_type.length)
    others = tuple(world.users[one] for one in offer.hosts[1:]) if offer.kind == "collective" else ()
    is_video = location == place.CAL_VIDEO_LOCATION
    return Place(title, location, is_video, event_type.seats_per_slot, offer.field_slug, others)


class Source:
    """Everything that the details of a layout's rows are drawn from."""

    def __init__(self, world: World, offers: list[Offer], hashes: Hashes, layout: Layout) -> None:
        self.hashes, self.layout = hashes, layout
        self.places = places(world, offers)
        seats = np.array([one.seats for one in self.places], dtype=np.int64)
        self.customers = Customers(hashes, layout, seats)
        self.users = dict(world.users)
        self.booker_url = world.booker_url
        self.is_seated = {one.event_type.id: one.event_type.seats_per_slot > 0 for one in offers}


class Details:
    """Values by row of one page, in lists of one length. Texts that a row has not are empty."""

    def __init__(self, source: Source, positions: Ints) -> None:
        self._source, self._positions = source, positions
        layout = source.layout
        self._raw = layout.raw[positions]
        self._head, self._offer = layout.head[self._raw], layout.offer[self._raw]
        self._status = layout.columns.status[positions]
        self._traits = source.hashes.words(self._head, TRAITS)
        self._own = source.hashes.words(self._raw, _ROW_TRAITS)
        self.raw: list[int] = self._raw.tolist()
        self.ids: list[int] = (positions + 1).tolist()
        self.places = [source.places[one] for one in self._offer.tolist()]
        self.user_ids: list[int] = layout.columns.user[positions].tolist()
        self._find_people()
        self._find_texts()
        self._find_moves()
        self._find_reasons()
        self._find_shapes()

    def _find_people(self) -> None:
        customers = self._source.customers
        self.bookers: list[int] = customers.booker_of(self._head).tolist()
        self.names = [customers.name(one) for one in self.bookers]
        self.emails = [customers.email(one) for one in self.bookers]
        elsewhere = (bits(self._traits, 20, 4) == 0).tolist()
        users = self._source.users
        self.zones = [
            TEAM_ZONES[booker % len(TEAM_ZONES)] if far else users[user_id].time_zone
            for booker, far, user_id in zip(self.bookers, elsewhere, self.user_ids, strict=True)
        ]
        self.locales = [_LOCALES[one % len(_LOCALES)] for one in self.bookers]
        self.phones = [f"+49151{one:08d}" if one % _WITH_PHONE == 0 else "" for one in self.bookers]
        self._guests: list[int] = customers.guests(self._head, self._offer).tolist()
        self._people: list[int] = customers.people(self._raw, self._offer).tolist()
        self.guests = [
            [customers.email(customers.next_to(booker, step)) for step in range(1, count + 1)] if count else []
            for booker, count in zip(self.bookers, self._guests, strict=True)
        ]

    def _find_texts(self) -> None:
        hosts = [self._source.users[one].name for one in self.user_ids]
        self.titles = [
            one.title.replace("{organizer}", host) + name
            for one, host, name in zip(self.places, hosts, self.names, strict=True)
        ]
        self.notes = [NOTES[one] for one in bits(self._traits, 0, 6).tolist()]
        self.answers = [ANSWERS[one] for one in bits(self._traits, 12, 3).tolist()]
        self.sources = [SOURCES[one] for one in bits(self._traits, 18, 2).tolist()]
        self.order_numbers = [f"A-{_FIRST_ORDER + one}" for one in self.bookers]
        self._extras: list[int] = np.maximum(bits(self._traits, 10, 2) - 1, 0).tolist()

    def _find_moves(self) -> None:
        layout, hashes = self._source.layout, self._source.hashes
        came, goes = layout.level[self._raw] > 0, layout.moves_on[self._raw]
        self.came: list[bool] = came.tolist()
        self.goes: list[bool] = goes.tolist()
        self.uids = hashes.uids(self._positions, UIDS)
        self.from_uids = self._neighbours(came, -1)
        self.to_uids = self._neighbours(goes, 1)
        following = hashes.words(self._raw + 1, _ROW_TRAITS)
        self.moved_by = _chosen(self.emails, came & (bits(self._own, 12, 1) == 0))
        after = _chosen(self.emails, goes & (bits(following, 12, 1) == 0))
        self.shown_moved_by = [
            later if gone else own for later, gone, own in zip(after, self.goes, self.moved_by, strict=True)
        ]
        says_why = (came & (bits(self._own, 10, 1) == 0)).tolist()
        self.move_reasons = [MOVES[n % len(MOVES)] if w else "" for n, w in zip(self.raw, says_why, strict=True)]
        series = layout.columns.is_series[self._positions].tolist()
        self.series_uids = [
            hashes.uuid(n // WEEKS, SERIES_UIDS) if is_one else "" for n, is_one in zip(self.raw, series, strict=True)
        ]
        self.absent: list[bool] = layout.absent[self._raw].tolist()

    def _neighbours(self, has: NDArray[np.bool_], step: int) -> list[str]:
        found = [""] * len(self.raw)
        chosen = np.flatnonzero(has)
        uids = self._source.hashes.uids(self._source.layout.place[self._raw[chosen] + step], UIDS)
        for index, uid in zip(chosen.tolist(), uids, strict=True):
            found[index] = uid
        return found

    def _find_reasons(self) -> None:
        """Who cancelled or rejected, and why; whoever moves a booking gives his reason with the new one."""
        drawn: list[int] = bits(self._own, 0, 8).tolist()
        cancelled = ((self._status == _CANCELLED) & ~np.array(self.goes, dtype=np.bool_)).tolist()
        rejected = (self._status == _REJECTED).tolist()
        self.reasons = [
            CANCELLATIONS[n % len(CANCELLATIONS)] if gone else None for n, gone in zip(drawn, cancelled, strict=True)
        ]
        self.cancelled_by = _chosen(self.emails, np.array(cancelled, dtype=np.bool_) & (bits(self._own, 8, 1) == 0))
        self.rejections = [
            REJECTIONS[n % len(REJECTIONS)] if gone else None for n, gone in zip(drawn, rejected, strict=True)
        ]

    def _find_shapes(self) -> None:
        cancelled = (self._status == _CANCELLED).tolist()
        self.shapes = [
            Shape(
                seated=one.seats > 0,
                people=1 if not one.seats else 0 if cancelled[row] else self._people[row],
                others=len(one.others),
                guests=self._guests[row],
                phone=self.phones[row] != "",
                notes=self.notes[row] != "",
                extras=self._extras[row],
                question=one.question,
                video=one.is_video,
                moved_from=self.came[row],
                moved_on=self.goes[row],
                move_reason=self.move_reasons[row] != "",
                series=self.series_uids[row] != "",
            )
            for row, one in enumerate(self.places)
        ]

    def seat_uid(self, row: int, seat: int) -> str:
        """The uid of one seat of a row."""
        return self._source.hashes.uuid((self.ids[row] - 1) * SEATS_PER_ROW + seat, SEAT_UIDS)

    def people(self, row: int) -> list[Person]:
        """The booker, and whoever else sits there."""
        booker = Person(
            self.names[row], self.emails[row], self.zones[row], self.locales[row], self.phones[row],
            self.seat_uid(row, 0) if self.shapes[row].seated else None,
        )  # fmt: skip
        customers = self._source.customers
        found = [booker]
        for step in range(1, self.shapes[row].people):
            number = customers.next_to(self.bookers[row], step)
            found.append(
                Person(
                    customers.name(number),
                    customers.email(number),
                    booker.zone,
                    booker.locale,
                    booker.phone,
                    self.seat_uid(row, step),
                )  # fmt: skip
            )
        return found

    def leaves(self, row: int, columns: Columns) -> Leaves:
        """Everything about one row; `columns` are those of the layout."""
        position = self.ids[row] - 1
        updated = int(columns.updated[position])
        status: Status = STATUSES[int(columns.status[position])]
        return Leaves(
            id=self.ids[row],
            uid=self.uids[row],
            title=self.titles[row],
            notes=self.notes[row],
            start=int(columns.start[position]),
            end=int(columns.end[position]),
            created=int(columns.created[position]),
            updated=None if updated == NULL_KEY else updated,
            status=status,
            type_id=int(columns.event_type[position]),
            user_id=self.user_ids[row],
            location=self.places[row].location,
            reason=self.reasons[row],
            cancelled_by=self.cancelled_by[row],
            rejection=self.rejections[row],
            from_uid=self.from_uids[row],
            to_uid=self.to_uids[row],
            moved_by=self.moved_by[row],
            move_reason=self.move_reasons[row],
            series_uid=self.series_uids[row],
            absent=self.absent[row],
            answer=self.answers[row],
            source=self.sources[row],
            order_number=self.order_numbers[row],
            booker_url=self._source.booker_url,
            people=self.people(row),
            guests=list(self.guests[row]),
            others=[Person(one.name, one.email, one.time_zone) for one in self.places[row].others],
            first_attendee_id=position * ATTENDEES_PER_ROW + 1,
        )


def _chosen(values: list[str], which: NDArray[np.bool_]) -> list[str | None]:
    return [value if is_one else None for value, is_one in zip(values, which.tolist(), strict=True)]
