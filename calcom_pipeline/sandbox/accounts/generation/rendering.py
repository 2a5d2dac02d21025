"""Generated rows as JSON, fast: the texts of all segments of all rows in one list, joined at once.

Rows that somebody changed, and the few with seats, go through the views one by one.
"""

from functools import cached_property

import numpy as np
import orjson

from calcom_pipeline.sandbox.accounts.generation.assembly import assemble
from calcom_pipeline.sandbox.accounts.generation.characters import Mask
from calcom_pipeline.sandbox.accounts.generation.details import Details, DetailSource
from calcom_pipeline.sandbox.accounts.generation.fillings import Fillings, Tables
from calcom_pipeline.sandbox.accounts.generation.templates import Template, make_template
from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.state.model import SandboxBooking
from calcom_pipeline.sandbox.state.sorting import Positions
from calcom_pipeline.sandbox.state.world import World


class Renderer:
    """Renders the rows of one layout. What it keeps of event types and users is void once those change."""

    def __init__(self, source: DetailSource) -> None:
        self._source = source
        self._version = -1
        self._kept: Tables | None = None

    @cached_property
    def _single(self) -> Template:
        return make_template(in_series=False)

    @cached_property
    def _series(self) -> Template:
        return make_template(in_series=True)

    def render(self, world: World, positions: Positions) -> bytes:
        """The rows at these positions, with commas between."""
        tables = self._tables(world)
        as_made = self._as_made(world, tables, positions)
        columns = world.bookings.columns
        details = Details(self._source, np.where(as_made, positions, 0))  # row 0 fills in for those to be skipped
        seated = self._source.seats[details.offer] > 0
        fillings = Fillings(tables, details, columns)
        parts, width = fillings.parts(self._single)
        in_series = np.flatnonzero(details.in_series).tolist()
        series, series_width = fillings.parts(self._series, in_series)
        at_series = {row: number * series_width for number, row in enumerate(in_series)}
        found: list[str] = []
        done = 0
        for row in np.flatnonzero(~as_made | seated | details.in_series).tolist():
            found += parts[done * width : row * width]
            done = row + 1
            if not as_made[row]:
                found += (_by_views(world, world.bookings.at(int(positions[row]))), ",")
            elif seated[row]:
                found += (_by_views(world, assemble(details.shape(row), details.leaves(row, columns))), ",")
            else:
                found += series[at_series[row] : at_series[row] + series_width]
        found += parts[done * width :]
        return "".join(found)[:-1].encode()

    def _tables(self, world: World) -> Tables:
        if self._kept is None or world.event_types_version != self._version:
            self._version, self._kept = world.event_types_version, Tables(self._source, world)
        return self._kept

    def _as_made(self, world: World, tables: Tables, positions: Positions) -> Mask:
        """Whether a row, its type and the row that it was moved to are as they were generated."""
        columns, layout = world.bookings.columns, self._source.layout
        found = (positions < world.bookings.base_count) & ~columns.changed[positions]
        raw = layout.raw[positions[found]]
        following = layout.place[np.minimum(raw + 1, len(layout.raw) - 1)]
        gone = columns.changed[following] | ~columns.alive[following]
        found[found] = tables.is_as_made[layout.offer[raw]] & ~(layout.moves_on[raw] & gone)
        return found


def _by_views(world: World, booking: SandboxBooking) -> str:
    return orjson.dumps(views.shown(world, booking)).decode()
