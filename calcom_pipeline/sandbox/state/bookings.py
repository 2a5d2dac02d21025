"""The table of bookings: generated rows that are made when asked for, and real ones that came or changed later."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from calcom_pipeline.sandbox.state.columns import NO_ID, Columns
from calcom_pipeline.sandbox.state.model import SandboxBooking
from calcom_pipeline.sandbox.state.sorting import NULL_KEY, Keys, Positions, SortIndex

SortKey = Literal["start", "end", "created", "updated"]
_LONGEST_BOOKING_MS = 31 * 24 * 3_600_000  # a search by time looks back this far for rows that still run


class BaseRows(Protocol):
    """Rows computed from a seed. Row number `index` is the booking with the id `index + 1`."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def columns(self) -> Columns:
        """Their columns, exactly as long as they are many."""
        ...

    def make(self, index: int) -> SandboxBooking:
        """The whole booking."""
        ...

    def find_uid(self, uid: str) -> int | None:
        """The row with that uid."""
        ...

    def find_series(self, series_uid: str) -> Sequence[int]:
        """The rows of a series."""
        ...

    def find_seat(self, seat_uid: str) -> int | None:
        """The row in which that seat is."""
        ...

    def find_email(self, email: str) -> Sequence[int]:
        """The rows with an attendee of that address."""
        ...

    def find_name(self, name: str) -> Sequence[int]:
        """The rows with an attendee of that name."""
        ...

    def render(self, world: Any, positions: Positions) -> bytes:
        """Rows as lists show them, with commas between; `world` is the account with this table."""
        ...


class BookingTable:
    """All bookings by position. A position never changes; a deleted row's position stays empty."""

    def __init__(self, base: BaseRows | None = None) -> None:
        self.base = base
        self.version = 0
        self._columns = base.columns() if base is not None else Columns.empty()
        self._base_count = len(base) if base is not None else 0
        self._count = self._base_count
        self._objects: dict[int, SandboxBooking] = {}
        self._by_id: dict[int, int] = {}
        self._indexed: dict[int, tuple[str, str | None, frozenset[str]]] = {}
        self._by_uid: dict[str, int] = {}
        self._by_series: dict[str, set[int]] = {}
        self._by_email: dict[str, set[int]] = {}
        self._indexes: dict[SortKey, SortIndex] = {}

    # -- reading

    def __len__(self) -> int:
        """How many bookings are there."""
        return int(np.count_nonzero(self._columns.alive[: self._count]))

    @property
    def columns(self) -> Columns:
        """The columns of all positions, dead ones included (see `alive`)."""
        return self._columns.view(self._count)

    @property
    def base_count(self) -> int:
        """How many positions belong to generated rows."""
        return self._base_count

    def is_untouched(self, position: int) -> bool:
        """Whether the row is still as it was generated."""
        return position < self._base_count and position not in self._objects

    def at(self, position: int) -> SandboxBooking:
        """The booking at a position. A change to it must be followed by `save`."""
        held = self._objects.get(position)
        if held is not None:
            return held
        if self.base is None or position >= self._base_count:
            raise IndexError(position)
        booking = self.base.make(position)
        updated = int(self._columns.updated[position])
        booking.updated = None if updated == NULL_KEY else updated
        return booking

    def all(self) -> Iterator[SandboxBooking]:
        """Every booking, in no order that means something."""
        for position in np.flatnonzero(self.columns.alive).tolist():
            yield self.at(position)

    def changed(self) -> Iterator[SandboxBooking]:
        """The living bookings that are not as generated."""
        alive = self._columns.alive
        return (booking for position, booking in self._objects.items() if alive[position])

    def deleted_base_ids(self) -> list[int]:
        """The ids of generated rows that are gone."""
        dead = np.flatnonzero(~self._columns.alive[: self._base_count])
        return [int(position) + 1 for position in dead]

    def position_of(self, booking: SandboxBooking) -> int:
        """Where a booking stands. Raises KeyError if it is not in the table."""
        return self._position_of_id(booking.id)

    def _position_of_id(self, booking_id: int) -> int:
        if 0 < booking_id <= self._base_count:
            return booking_id - 1
        return self._by_id[booking_id]

    def find_id(self, booking_id: int) -> SandboxBooking | None:
        """The booking with that id."""
        try:
            position = self._position_of_id(booking_id)
        except KeyError:
            return None
        return self.at(position) if self._columns.alive[position] else None

    def find_uid(self, uid: str) -> SandboxBooking | None:
        """The booking with that uid."""
        position = self._by_uid.get(uid)
        if position is None and self.base is not None:
            position = self.base.find_uid(uid)
        if position is None or not self._columns.alive[position]:
            return None
        return self.at(position)

    def find_series(self, series_uid: str) -> list[SandboxBooking]:
        """The occurrences of a series by start."""
        positions = set(self._by_series.get(series_uid, ()))
        if self.base is not None:
            positions.update(self.base.find_series(series_uid))
        alive = self._columns.alive
        found = [self.at(position) for position in positions if alive[position]]
        return sorted(found, key=lambda booking: (booking.start, booking.id))

    def find_seat(self, seat_uid: str) -> SandboxBooking | None:
        """The booking in which that seat is."""
        position = None if self.base is None else self.base.find_seat(seat_uid)
        if position is not None and self.is_untouched(position):
            return self.at(position)
        for booking in self.changed():
            if any(one.seat is not None and one.seat.uid == seat_uid for one in booking.attendees):
                return booking
        return None

    def positions_with_email(self, email: str) -> Positions:
        """Positions of the rows with an attendee of that address."""
        base: Sequence[int] = () if self.base is None else self.base.find_email(email)
        return self._merge(base, self._by_email.get(email, ()))

    def positions_with_name(self, name: str) -> Positions:
        """Positions of the rows with an attendee of that name."""
        base: Sequence[int] = () if self.base is None else self.base.find_name(name)
        held = (
            position
            for position, booking in self._objects.items()
            if any(attendee.name == name for attendee in booking.attendees)
        )
        return self._merge(base, held)

    def _merge(self, base: Iterable[int], held: Iterable[int]) -> Positions:
        untouched = [position for position in base if position not in self._objects]
        return np.array([*untouched, *held], dtype=np.int64)

    def between(self, start: int, end: int) -> list[int]:
        """Positions of living rows that overlap the open interval, by start."""
        order, keys = self.order("start")
        low = int(np.searchsorted(keys, start - _LONGEST_BOOKING_MS, side="left"))
        high = int(np.searchsorted(keys, end, side="left"))
        near = order[low:high]
        return near[self._columns.end[near] > start].tolist()

    def concerning(self, start: int, end: int, user_id: int, shared_types: Iterable[int]) -> list[int]:
        """Positions of rows that overlap the open interval and may take the user's time.

        A generated row takes its organizer's, unless it is of a type in `shared_types`, whose hosts come together.
        """
        near = np.array(self.between(start, end), dtype=np.int64)
        columns = self._columns
        may = (columns.user[near] == user_id) | columns.changed[near]
        return near[may | np.isin(columns.event_type[near], list(shared_types))].tolist()

    def order(self, key: SortKey) -> tuple[Positions, Keys]:
        """Positions of the living rows in ascending order of a column, and that column's values."""
        columns = self.columns
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = SortIndex(getattr(columns, key), columns.alive)
        return index.read(getattr(columns, key), columns.alive)

    # -- writing

    def add(self, booking: SandboxBooking) -> None:
        """Adds a booking; its id must be new."""
        position = self._count
        if position >= self._columns.capacity:
            self._columns.grow()
        self._count += 1
        self._by_id[booking.id] = position
        self._hold(position, booking)

    def save(self, booking: SandboxBooking) -> None:
        """Makes a change to a booking count."""
        position = self._position_of_id(booking.id)
        self._forget(position)
        self._hold(position, booking)

    def stamp(self, positions: Iterable[int], updated: int | None) -> None:
        """Sets the update time of rows and nothing else; generated rows stay generated."""
        for position in positions:
            held = self._objects.get(position)
            if held is not None:
                held.updated = updated
            self._columns.updated[position] = NULL_KEY if updated is None else updated
            self._mark(position)

    def stamped(self) -> list[tuple[int, int]]:
        """Id and update time of generated rows that carry another update time than they were made with."""
        if self.base is None:
            return []
        count = self._base_count
        now, columns = self.base.columns().updated[:count], self._columns
        moved = (columns.updated[:count] != now) & columns.alive[:count] & ~columns.changed[:count]
        return [(int(p) + 1, int(columns.updated[p])) for p in np.flatnonzero(moved)]

    def delete(self, booking: SandboxBooking) -> None:
        """Removes a booking without a trace."""
        position = self._position_of_id(booking.id)
        self._objects.setdefault(position, booking)
        self._forget(position)
        self._columns.alive[position] = False
        self._mark(position)

    def clear_event_type(self, event_type_id: int) -> None:
        """Sets the reference to a deleted event type to null; nothing else about the bookings changes."""
        columns = self.columns
        for position in np.flatnonzero(columns.event_type == event_type_id).tolist():
            booking = self.at(position)
            booking.event_type_id = None
            self._objects[position] = booking
            columns.changed[position] = True
            self._forget(position)
            self._index(position, booking)
        columns.event_type[columns.event_type == event_type_id] = NO_ID
        self.version += 1

    def _hold(self, position: int, booking: SandboxBooking) -> None:
        self._objects[position] = booking
        self._columns.put(position, booking)
        self._index(position, booking)
        self._mark(position)

    def _index(self, position: int, booking: SandboxBooking) -> None:
        emails = {attendee.email for attendee in booking.attendees}
        self._indexed[position] = (booking.uid, booking.series_uid, frozenset(emails))
        self._by_uid[booking.uid] = position
        if booking.series_uid is not None:
            self._by_series.setdefault(booking.series_uid, set()).add(position)
        for email in emails:
            self._by_email.setdefault(email, set()).add(position)

    def _forget(self, position: int) -> None:
        """Takes a row out of the look-ups under the values with which it was put in."""
        uid, series_uid, emails = self._indexed.pop(position, ("", None, frozenset[str]()))
        self._by_uid.pop(uid, None)
        if series_uid is not None:
            self._by_series[series_uid].discard(position)
        for email in emails:
            self._by_email[email].discard(position)

    def _mark(self, position: int) -> None:
        self.version += 1
        for index in self._indexes.values():
            index.mark(position)
