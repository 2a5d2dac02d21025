"""The generated rows as the table of bookings wants them: columns, whole bookings, and the ways back."""

from collections.abc import Sequence

import numpy as np

from calcom_pipeline.sandbox.accounts.generation.assembly import assemble
from calcom_pipeline.sandbox.accounts.generation.details import (
    ATTENDEES_PER_ROW,
    SEAT_UIDS,
    SEATS_PER_ROW,
    SERIES_UIDS,
    UIDS,
    Details,
    DetailSource,
)
from calcom_pipeline.sandbox.accounts.generation.layout import WEEKS
from calcom_pipeline.sandbox.accounts.generation.rendering import Renderer
from calcom_pipeline.sandbox.state.columns import Columns
from calcom_pipeline.sandbox.state.model import SandboxBooking
from calcom_pipeline.sandbox.state.sorting import Positions
from calcom_pipeline.sandbox.state.world import World


class GeneratedRows:
    """Rows made from the seed when asked for. Implements `state.bookings.BaseRows`."""

    def __init__(self, source: DetailSource) -> None:
        self._source = source
        self._renderer = Renderer(source)

    def __len__(self) -> int:
        return len(self._source.layout.raw)

    def columns(self) -> Columns:
        """A copy of the columns as they were made."""
        return self._source.layout.columns.copy()

    def make(self, index: int) -> SandboxBooking:
        """The whole booking."""
        details = Details(self._source, np.array([index], dtype=np.int64))
        return assemble(details.shape(0), details.leaves(0, self._source.layout.columns))

    def render(self, world: World, positions: Positions) -> bytes:
        """Rows as the lists of bookings show them, with commas between."""
        return self._renderer.render(world, positions)

    @property
    def attendee_ids(self) -> int:
        """How many ids of attendees the rows take."""
        return len(self) * ATTENDEES_PER_ROW

    def find_uid(self, uid: str) -> int | None:
        """The row with that uid."""
        hashes = self._source.hashes
        index = hashes.key_of_uid(uid, UIDS)
        if index is None or index >= len(self):
            return None
        return index if hashes.uid(index, UIDS) == uid else None

    def find_series(self, series_uid: str) -> Sequence[int]:
        """The rows of a series."""
        unit = self._source.hashes.key_of_uuid(series_uid, SERIES_UIDS)
        if unit is None or (unit + 1) * WEEKS > len(self):
            return []
        layout = self._source.layout
        rows = layout.place[unit * WEEKS : (unit + 1) * WEEKS]
        return rows.tolist() if layout.columns.is_series[rows].all() else []

    def find_seat(self, seat_uid: str) -> int | None:
        """The row in which that seat is, if it has as many."""
        number = self._source.hashes.key_of_uuid(seat_uid, SEAT_UIDS)
        if number is None or number >= len(self) * SEATS_PER_ROW:
            return None
        index = number // SEATS_PER_ROW
        seats = {one.seat.uid for one in self.make(index).attendees if one.seat is not None}
        return index if seat_uid in seats else None

    def find_email(self, email: str) -> Sequence[int]:
        """The rows with an attendee of that address, co-hosts included."""
        found: list[int] = self._source.customers.with_email(email).tolist()
        shared = [n for n, one in enumerate(self._source.places) if any(u.email == email for u in one.others)]
        if shared:
            layout = self._source.layout
            found += layout.place[np.flatnonzero(np.isin(layout.offer, shared))].tolist()
        return found

    def find_name(self, name: str) -> Sequence[int]:
        """The rows with an attendee of that name."""
        found: list[int] = self._source.customers.with_name(name).tolist()
        shared = [n for n, one in enumerate(self._source.places) if any(u.name == name for u in one.others)]
        if shared:
            layout = self._source.layout
            found += layout.place[np.flatnonzero(np.isin(layout.offer, shared))].tolist()
        return sorted(set(found))
