"""What stands in generated rows: names, texts, answers, uids. For many rows at once, from the seed."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from calcom_pipeline.sandbox.accounts.generation.assembly import Leaves, Person, Shape
from calcom_pipeline.sandbox.accounts.generation.characters import Ints
from calcom_pipeline.sandbox.accounts.generation.customers import TRAITS, Customers, bits
from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes
from calcom_pipeline.sandbox.accounts.generation.layout import WEEKS, Layout
from calcom_pipeline.sandbox.accounts.generation.offers import HostedType
from calcom_pipeline.sandbox.accounts.generation.pools import (
    ANSWERS,
    CANCELLATIONS,
    METADATA,
    MOVES,
    NOTES,
    REJECTIONS,
    TEAM_ZONES,
)
from calcom_pipeline.sandbox.bookings import place
from calcom_pipeline.sandbox.state.columns import STATUS_CODES, STATUSES, Columns
from calcom_pipeline.sandbox.state.model import User
from calcom_pipeline.sandbox.state.sorting import NULL_KEY
from calcom_pipeline.sandbox.state.world import World

_ROW_TRAITS, UIDS, SERIES_UIDS, SEAT_UIDS = 211, 213, 215, 217  # salts of the hashes; a uid takes two
SEATS_PER_ROW: Final = 4  # room for the numbers of a row's seats inside their uids
ATTENDEES_PER_ROW: Final = 8  # room for the ids of a row's attendees
LOCALES: Final = ("en", "en", "de", "en")
_WITH_PHONE: Final = 5  # one customer of so many gives a phone number
_CANCELLED, _REJECTED = STATUS_CODES["cancelled"], STATUS_CODES["rejected"]
_HOST_MARK: Final = "\ue000"  # stands for the organizer in the title of an offer


@dataclass(frozen=True, slots=True)
class Place:
    """What all bookings of an offer have in common. `title` is split where the organizer's name goes, if it does."""

    title: tuple[str, ...]
    event_type_id: int
    minutes: int
    location: str
    is_video: bool
    seats: int
    question: str | None
    others: tuple[User, ...]


def _place(world: World, offer: HostedType) -> Place:
    event_type = offer.event_type
    location = place.stored_location(event_type, None) or ""
    team = world.teams.get(event_type.team_id or 0)
    host = team.name if offer.kind == "collective" and team is not None else _HOST_MARK
    title = place.title(event_type, host=host, attendee="", location=location, minutes=event_type.length)
    return Place(
        title=tuple(title.split(_HOST_MARK)),
        event_type_id=event_type.id,
        minutes=event_type.length,
        location=location,
        is_video=location == place.CAL_VIDEO_LOCATION,
        seats=event_type.seats_per_slot,
        question=offer.field_slug,
        others=tuple(world.users[one] for one in offer.hosts[1:]) if offer.kind == "collective" else (),
    )


class DetailSource:
    """Everything that the details of a layout's rows are drawn from."""

    def __init__(self, world: World, offers: list[HostedType], hashes: Hashes, layout: Layout) -> None:
        self.hashes, self.layout = hashes, layout
        self.places = [_place(world, offer) for offer in offers]
        self.seats = np.array([one.seats for one in self.places], dtype=np.int64)
        self.customers = Customers(hashes, layout, self.seats)
        self.users = dict(world.users)
        self.booker_url = world.booker_url

    def phone(self, customer: int) -> str:
        """A customer's phone number."""
        return f"+49151{customer:08d}"


class Details:
    """Numbers by row of one page: what is drawn, not yet what it means."""

    def __init__(self, source: DetailSource, positions: Ints) -> None:
        self._source, self.positions = source, positions
        layout, hashes, customers = source.layout, source.hashes, source.customers
        self.raw = layout.raw[positions]
        head, self.offer = layout.head[self.raw], layout.offer[self.raw]
        self.status = layout.columns.status[positions]
        self.user = layout.columns.user[positions]
        self.in_series = layout.columns.is_series[positions]
        self.absent = layout.absent[self.raw]
        self.came, self.goes = layout.level[self.raw] > 0, layout.moves_on[self.raw]
        traits = hashes.words(head, TRAITS)
        self.booker = customers.bookers(traits)
        self.guests = customers.guests(traits, self.offer)
        self.note = bits(traits, 0, 6)
        self.answer = bits(traits, 12, 3)
        self.metadata = bits(traits, 18, 2)
        self.is_elsewhere = bits(traits, 20, 4) == 0
        self.has_phone = self.booker % _WITH_PHONE == 0
        own = hashes.words(self.raw, _ROW_TRAITS)
        drawn = bits(own, 0, 8)
        is_named = bits(own, 12, 1) == 0
        self.reason = np.where((self.status == _CANCELLED) & ~self.goes, 1 + drawn % len(CANCELLATIONS), 0)
        self.rejection = np.where(self.status == _REJECTED, 1 + drawn % len(REJECTIONS), 0)
        self.names_canceller = (self.reason > 0) & is_named
        self.names_mover = self.came & is_named
        following = bits(hashes.words(self.raw + 1, _ROW_TRAITS), 12, 1) == 0
        self.shows_mover = (self.goes & following) | (~self.goes & self.names_mover)
        self.move_reason = np.where(self.came & (bits(own, 10, 1) == 0), 1 + drawn % len(MOVES), 0)

        self._find_uids()

    def _find_uids(self) -> None:
        """The uids of the rows, and in their order those of the bookings that rows were moved from and to."""
        place, came, goes = self._source.layout.place, np.flatnonzero(self.came), np.flatnonzero(self.goes)
        wanted = [self.positions, place[self.raw[came] - 1], place[self.raw[goes] + 1]]
        uids = self._source.hashes.uids(np.concatenate(wanted), UIDS)
        count = len(self.positions)
        self.uids, others = uids[:count], uids[count:]
        self.from_uids, self.to_uids = others[: len(came)], others[len(came) :]

    # -- one row

    def shape(self, row: int) -> Shape:
        """Which parts a row has."""
        at = self._source.places[int(self.offer[row])]
        one = slice(row, row + 1)
        people = int(self._source.customers.people(self.raw[one], self.offer[one])[0]) if at.seats else 1
        return Shape(
            seated=at.seats > 0,
            people=0 if at.seats and self.status[row] == _CANCELLED else people,
            others=len(at.others),
            guests=int(self.guests[row]),
            phone=bool(self.has_phone[row]),
            notes=NOTES[int(self.note[row])] != "",
            question=at.question,
            video=at.is_video,
            moved_from=bool(self.came[row]),
            moved_on=bool(self.goes[row]),
            move_reason=bool(self.move_reason[row]),
            series=bool(self.in_series[row]),
        )

    def zone(self, row: int) -> str:
        """The booker's time zone: the host's, or some other."""
        if self.is_elsewhere[row]:
            return TEAM_ZONES[int(self.booker[row]) % len(TEAM_ZONES)]
        return self._source.users[int(self.user[row])].time_zone

    def guest_emails(self, row: int) -> list[str]:
        """The addresses of a row's guests."""
        customers, booker = self._source.customers, int(self.booker[row])
        steps = range(1, int(self.guests[row]) + 1)
        return [customers.email(customers.next_to(booker, step)) for step in steps]

    def series_uid(self, row: int) -> str:
        """The uid of a row's series."""
        return self._source.hashes.uuid(int(self.raw[row]) // WEEKS, SERIES_UIDS)

    def _people(self, row: int, shape: Shape) -> list[Person]:
        """The booker, and whoever else sits there."""
        source, customers, booker = self._source, self._source.customers, int(self.booker[row])
        found: list[Person] = []
        for step in range(max(shape.people, 1)):
            number = customers.next_to(booker, step)
            seat = int(self.positions[row]) * SEATS_PER_ROW + step
            found.append(
                Person(
                    customers.name(number),
                    customers.email(number),
                    self.zone(row),
                    LOCALES[booker % len(LOCALES)],
                    source.phone(booker),
                    source.hashes.uuid(seat, SEAT_UIDS) if shape.seated else None,
                )
            )
        return found

    def leaves(self, row: int, columns: Columns) -> Leaves:
        """Everything about one row; `columns` are those of the table."""
        position, shape = int(self.positions[row]), self.shape(row)
        at = self._source.places[int(self.offer[row])]
        updated = int(columns.updated[position])
        organizer = self._source.users[int(self.user[row])]
        people = self._people(row, shape)
        booker = people[0].email
        return Leaves(
            id=position + 1,
            uid=self.uids[row],
            title=organizer.name.join(at.title) + people[0].name,
            notes=NOTES[int(self.note[row])],
            start=int(columns.start[position]),
            end=int(columns.end[position]),
            created=int(columns.created[position]),
            updated=None if updated == NULL_KEY else updated,
            status=STATUSES[int(self.status[row])],
            type_id=at.event_type_id,
            user_id=organizer.id,
            location=at.location,
            reason=CANCELLATIONS[int(self.reason[row]) - 1] if self.reason[row] else None,
            cancelled_by=booker if self.names_canceller[row] else None,
            rejection=REJECTIONS[int(self.rejection[row]) - 1] if self.rejection[row] else None,
            from_uid=self.from_uids[int(np.count_nonzero(self.came[:row]))] if shape.moved_from else "",
            to_uid=self.to_uids[int(np.count_nonzero(self.goes[:row]))] if shape.moved_on else "",
            moved_by=booker if self.names_mover[row] else None,
            move_reason=MOVES[int(self.move_reason[row]) - 1] if shape.move_reason else "",
            series_uid=self.series_uid(row) if shape.series else "",
            absent=bool(self.absent[row]),
            answer=ANSWERS[int(self.answer[row])],
            metadata=dict(METADATA[int(self.metadata[row])]),
            booker_url=self._source.booker_url,
            people=people,
            guests=self.guest_emails(row),
            others=[Person(one.name, one.email, one.time_zone) for one in at.others],
            first_attendee_id=position * ATTENDEES_PER_ROW + 1,
        )
