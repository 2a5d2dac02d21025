"""One running sandbox: the account, its clock and everything that lives as long as the process does."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from calcom_pipeline.sandbox.bookings.visibility import Visibility
from calcom_pipeline.sandbox.control.counters import SLIDING_WINDOW_MS, Counters
from calcom_pipeline.sandbox.control.faults import Faults
from calcom_pipeline.sandbox.core.clock import Clock
from calcom_pipeline.sandbox.core.ids import Ids
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.hooks.delivery import Deliveries
from calcom_pipeline.sandbox.http.limiter import Limit, SandboxLimiter
from calcom_pipeline.sandbox.slots.cache import SandboxSlotCache
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.state.world import World

QUICK_INSERT_SECONDS: Final = 0.02  # long enough for requests that a test sends at once to overlap


@dataclass(slots=True)
class Switches:
    """Behaviours that differ between builds of Cal.com, off as in the recorded one."""

    team_lists_filter_updates: bool = False  # newer builds honour the created and updated filters in team lists
    refuse_local_webhooks: bool = False  # newer builds refuse webhook URLs that are not public https


@dataclass(slots=True)
class Sandbox:
    """The state behind all requests. `key_limit` replaces the default limit of API keys without one of their own.

    `insert_seconds` pass between a create's check and its insert; requests that come in between race it.
    `rows_seconds` pass between the two queries of a page of bookings; what changes meanwhile comes changed. `writes`
    counts what may have changed the account, for whoever keeps it in a file. `build` makes the account as it was at
    the start, for the start and for every reset. `life` tells the ids of this sandbox from those of an earlier one.
    """

    build: Callable[[], World]
    clock: Clock
    seed: int = 1
    life: str = ""
    key_limit: Limit | None = None
    shuffles_rows: bool = True
    insert_seconds: float = QUICK_INSERT_SECONDS
    rows_seconds: float = 0.0
    writes: int = 0
    switches: Switches = field(default_factory=Switches)
    limiter: SandboxLimiter = field(default_factory=SandboxLimiter)
    faults: Faults = field(default_factory=Faults)
    slot_cache: SandboxSlotCache = field(default_factory=SandboxSlotCache)
    visible: Visibility = field(default_factory=Visibility)
    world: World = field(init=False)
    counters: Counters = field(init=False)
    deliveries: Deliveries = field(init=False)
    ids: Ids = field(init=False)
    request_ids: Ids = field(init=False)
    ties: np.random.Generator = field(init=False)
    _places: dict[int, int] = field(default_factory=dict[int, int])
    _rows: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.world = self.build()
        self.counters = Counters(self.key_limit.window_ms if self.key_limit else SLIDING_WINDOW_MS)
        self.deliveries = Deliveries(self.faults, self.seed)
        self.ids = Ids(f"{self.seed}{self.life}")
        self.request_ids = Ids(f"{self.seed + 1}{self.life}")
        self.ties = np.random.default_rng(self.seed)
        self._rows = random.Random(f"rows-{self.seed}")
        if self.shuffles_rows:
            self.reshuffle_rows()

    def generators(self) -> Json:
        """Where the generators stand that decide the order of rows, and that order, for `resume`."""
        version, words, spare = self._rows.getstate()
        return {
            "rows": [version, list(words), spare],
            "ties": json.dumps(self.ties.bit_generator.state),  # a text: its numbers are longer than 64 bits
            "places": list(self._places.items()),
        }

    def resume(self, found: Json) -> None:
        """Lets the generators go on from where an earlier life left them; one that is not restored begins anew."""
        if "rows" in found:
            version, words, spare = found["rows"]
            self._rows.setstate((version, tuple(words), spare))
        if "ties" in found:
            self.ties.bit_generator.state = json.loads(found["ties"])
        if "places" in found:
            self._places = dict(found["places"])

    def rebuild(self) -> None:
        """Takes everything back that happened to the account."""
        self.world = self.build()
        self.visible.clear()
        self._places.clear()
        if self.shuffles_rows:
            self.reshuffle_rows()

    def row_order(self, found: list[SandboxEventType]) -> list[SandboxEventType]:
        """Event types as an unsorted query returns them: the same order until something is written."""
        return sorted(found, key=lambda one: self._places.get(one.id, one.id))

    def reshuffle_rows(self, written: int | None = None) -> None:
        """A row was written: it moves to the end, and unless this is the recorded account the others move too."""
        if not self.shuffles_rows:
            if written is not None:
                self._places[written] = max([*self._places.values(), *self.world.event_types], default=0) + 1
            return
        ids = list(self.world.event_types)
        self._rows.shuffle(ids)
        self._places = {event_type_id: place for place, event_type_id in enumerate(ids)}
