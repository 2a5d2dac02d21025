"""Which rows a caller may see, remembered until something is written: finding out takes a look at every row."""

from collections.abc import Callable
from dataclasses import dataclass

from calcom_pipeline.sandbox.bookings.filters import Mask
from calcom_pipeline.sandbox.state.bookings import BookingTable

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Visible:
    """A mask over all positions; `is_all` says that no living row is hidden."""

    rows: Mask
    is_all: bool = False


class Visibility:
    """What each user sees, by the version of the account."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Version, Visible]] = {}

    def get(self, user_id: int, version: Version, find: Callable[[], Mask], table: BookingTable) -> Visible:
        """The user's rows; `find` looks for them if the account has changed since."""
        known = self._known.get(user_id)
        if known is not None and known[0] == version:
            return known[1]
        rows = find()
        found = Visible(rows, bool((rows | ~table.columns.alive).all()))
        self._known[user_id] = (version, found)
        return found

    def clear(self) -> None:
        """Forgets everything."""
        self._known.clear()
