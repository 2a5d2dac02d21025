"""The people who book: who they are by number, and which rows are theirs."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.characters import Ints
from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes
from calcom_pipeline.sandbox.accounts.generation.layout import Layout
from calcom_pipeline.sandbox.accounts.generation.pools import FIRST_NAMES, LAST_NAMES

TRAITS, _PEOPLE = 203, 205  # salts of the hashes
MOST_PEOPLE: Final = 3
MOST_GUESTS: Final = 2
_STRIDE: Final = 7_919  # from one customer to the next in a row
_BOOKINGS_PER_CUSTOMER: Final = 8
_FEWEST: Final = 50
# All names that there are; a customer's is found by the number, and the first name changes fastest.
_NAMES: Final = tuple(f"{first} {last}" for last in LAST_NAMES for first in FIRST_NAMES)
_MAILBOXES: Final = tuple(name.lower().replace(" ", ".") for name in _NAMES)
_DOMAIN: Final = "@example.org"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz."
_GUEST_BITS: Final = (6, 5)  # where the traits say how many guests there are
_BOOKER_BITS: Final = (24, 40)  # and who books
_GUESTS_BY_BITS: Final = np.array([1, 2, *[0] * 30], dtype=np.int64)


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
        return _NAMES[number % len(_NAMES)]

    def email(self, number: int) -> str:
        """A customer's address; it ends in the customer's number."""
        return f"{_MAILBOXES[number % len(_NAMES)]}{number}{_DOMAIN}"

    def names(self, numbers: Ints) -> list[str]:
        """The names of many."""
        return [_NAMES[one] for one in (numbers % len(_NAMES)).tolist()]

    def emails(self, numbers: Ints) -> list[str]:
        """The addresses of many."""
        mailboxes = (numbers % len(_NAMES)).tolist()
        return [
            f"{_MAILBOXES[mailbox]}{number}{_DOMAIN}"
            for mailbox, number in zip(mailboxes, numbers.tolist(), strict=True)
        ]

    def bookers(self, traits: NDArray[np.uint64]) -> Ints:
        """Who books each group of these traits."""
        return bits(traits, *_BOOKER_BITS) % self._count

    def next_to(self, number: int, steps: int) -> int:
        """Whoever comes along as guest, or sits beside, as the `steps`th."""
        return (number + _STRIDE * steps) % self._count

    def people(self, raw: Ints, offer: Ints) -> Ints:
        """How many people sit in each seated row; 0 where there are no seats."""
        seats = self._seats[offer]
        if not seats.any():
            return seats
        taken = 1 + self._hashes.below(raw, _PEOPLE, np.clip(seats, 1, MOST_PEOPLE))
        return np.where(seats > 0, taken, 0)

    def guests(self, traits: NDArray[np.uint64], offer: Ints) -> Ints:
        """How many guests come with each group of these traits; into seats none."""
        brought = _GUESTS_BY_BITS[bits(traits, *_GUEST_BITS)]
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
        if name not in _NAMES:
            return np.array([], dtype=np.int64)
        wanted = _NAMES.index(name)
        return self._places(lambda people: people % len(_NAMES) == wanted, with_guests=False)

    def _places(self, matches: Callable[[Ints], NDArray[np.bool_]], *, with_guests: bool) -> Ints:
        layout = self._layout
        raw = np.arange(len(layout.raw), dtype=np.int64)
        traits = self._hashes.words(layout.head, TRAITS)
        bookers = self.bookers(traits)
        people = np.maximum(self.people(raw, layout.offer), 1)
        found = matches(bookers)
        for step in range(1, MOST_PEOPLE):
            found |= matches((bookers + _STRIDE * step) % self._count) & (people > step)
        if with_guests:
            guests = self.guests(traits, layout.offer)
            for step in range(1, MOST_GUESTS + 1):
                found |= matches((bookers + _STRIDE * step) % self._count) & (guests >= step)
        return layout.place[np.flatnonzero(found)]
