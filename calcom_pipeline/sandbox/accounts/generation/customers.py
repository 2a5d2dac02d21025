"""The people who book: who they are by number, and which rows are theirs."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes, Ints
from calcom_pipeline.sandbox.accounts.generation.layout import Layout
from calcom_pipeline.sandbox.accounts.generation.pools import FIRST_NAMES, LAST_NAMES

_CUSTOMER, TRAITS, _PEOPLE = 201, 203, 205  # salts of the hashes
MOST_PEOPLE: Final = 3
MOST_GUESTS: Final = 2
_STRIDE: Final = 7_919  # from one customer to the next in a row
_BOOKINGS_PER_CUSTOMER: Final = 8
_FEWEST: Final = 50
_LOWER_FIRST: Final = tuple(name.lower() for name in FIRST_NAMES)
_LOWER_LAST: Final = tuple(name.lower() for name in LAST_NAMES)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz."
_GUEST_BITS: Final = (6, 4)  # where the traits say how many guests there are
_GUESTS_BY_BITS: Final = np.array([1, 2, *[0] * 14], dtype=np.int64)


def bits(words: NDArray[np.uint64], first: int, count: int) -> Ints:
    """Some bits of random words, as small numbers."""
    return ((words >> np.uint64(first)) & np.uint64(2**count - 1)).astype(np.int64)


class Customers:
    """The customers of one layout. `seats` is how many seats each offer has, 0 without."""

    def __init__(self, hashes: Hashes, layout: Layout, seats: Ints) -> None:
        self._hashes, self._layout, self._seats = hashes, layout, seats
        self._count = max(len(layout.raw) // _BOOKINGS_PER_CUSTOMER, _FEWEST)

    def name(self, number: int) -> str:
        """A customer's name."""
        first, rest = number % len(FIRST_NAMES), number // len(FIRST_NAMES)
        return f"{FIRST_NAMES[first]} {LAST_NAMES[rest % len(LAST_NAMES)]}"

    def email(self, number: int) -> str:
        """A customer's address; it ends in the customer's number."""
        first, rest = number % len(FIRST_NAMES), number // len(FIRST_NAMES)
        return f"{_LOWER_FIRST[first]}.{_LOWER_LAST[rest % len(LAST_NAMES)]}{number}@example.org"

    def booker_of(self, head: Ints) -> Ints:
        """The booker of each group of rows."""
        return self._hashes.below(head, _CUSTOMER, self._count)

    def next_to(self, number: int, steps: int) -> int:
        """Whoever comes along as guest, or sits beside, as the `steps`th."""
        return (number + _STRIDE * steps) % self._count

    def people(self, raw: Ints, offer: Ints) -> Ints:
        """How many people sit in each seated row; 0 where there are no seats."""
        seats = self._seats[offer]
        taken = 1 + self._hashes.below(raw, _PEOPLE, np.clip(seats, 1, MOST_PEOPLE))
        return np.where(seats > 0, taken, 0)

    def guests(self, head: Ints, offer: Ints) -> Ints:
        """How many guests each group brings; into seats none."""
        brought = _GUESTS_BY_BITS[bits(self._hashes.words(head, TRAITS), *_GUEST_BITS)]
        return np.where(self._seats[offer] > 0, 0, brought)

    # -- the way back

    def with_email(self, email: str) -> Ints:
        """Positions of the rows with an attendee of that address."""
        digits = email.partition("@")[0].lstrip(_LETTERS)
        number = int(digits) if digits.isdecimal() and digits.isascii() else -1
        if not 0 <= number < self._count or self.email(number) != email:
            return np.array([], dtype=np.int64)
        return self._places(lambda people: people == number, with_guests=True)

    def with_name(self, name: str) -> Ints:
        """Positions of the rows whose booker, or one of those in the seats, has that name."""
        first, _, last = name.partition(" ")
        if first not in FIRST_NAMES or last not in LAST_NAMES:
            return np.array([], dtype=np.int64)
        wanted = (FIRST_NAMES.index(first), LAST_NAMES.index(last))
        return self._places(
            lambda people: (
                (people % len(FIRST_NAMES) == wanted[0]) & (people // len(FIRST_NAMES) % len(LAST_NAMES) == wanted[1])
            ),
            with_guests=False,
        )

    def _places(self, matches: Callable[[Ints], NDArray[np.bool_]], *, with_guests: bool) -> Ints:
        layout = self._layout
        raw = np.arange(len(layout.raw), dtype=np.int64)
        bookers = self.booker_of(layout.head)
        people = np.maximum(self.people(raw, layout.offer), 1)
        found = matches(bookers)
        for step in range(1, MOST_PEOPLE):
            found |= matches((bookers + _STRIDE * step) % self._count) & (people > step)
        if with_guests:
            guests = self.guests(layout.head, layout.offer)
            for step in range(1, MOST_GUESTS + 1):
                found |= matches((bookers + _STRIDE * step) % self._count) & (guests >= step)
        return layout.place[np.flatnonzero(found)]
