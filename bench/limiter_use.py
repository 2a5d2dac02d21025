"""How much of a limit is used, and whether it is ever exceeded, by 1 to 16 processes that all want more than it allows.

    python -m bench.limiter_use [--processes N ...] [--windows N]

120 calls in each 6 s (Cal.com's 60 s, scaled down by ten on both sides), then a block: the sandbox counts. What is
allowed are all calls of the windows that were watched; the densest window is any stretch of 6 s.
"""

import argparse
import time
from dataclasses import dataclass, replace

from bench.results import Plot, Result, Table, publish
from tests.faults import roles
from tests.faults.harness import site
from tests.support.limiter_world import BUDGET

LIMIT, WINDOW_SECONDS = 120, 6
PROCESSES = (1, 2, 4, 8, 16)
SCALED = replace(BUDGET, window_seconds=WINDOW_SECONDS, block_seconds=WINDOW_SECONDS, arrival_seconds=1)
_START_SECONDS = 60


@dataclass(frozen=True)
class Used:
    """What the sandbox counted of so many processes."""

    processes: int
    calls: int
    densest: int
    refused: int
    seconds: float

    @property
    def share(self) -> float:
        """Of what the limit allows in that time; the lot of a first window comes on top."""
        return self.calls / (LIMIT * self.seconds / WINDOW_SECONDS)


def used_by(processes: int, windows: int) -> Used:
    """So many processes that read one call after the other, as long as so many windows."""
    window = {"limit": LIMIT, "window_seconds": WINDOW_SECONDS, "block_seconds": WINDOW_SECONDS}
    with site(budget=replace(SCALED, processes=max(8, processes)), **window) as here, here.crew() as crew:
        crew.hire(roles.reader, "sync", count=processes)
        end = time.monotonic() + _START_SECONDS
        while len({line["who"] for line in here.told("ok")}) < processes:
            if time.monotonic() > end:
                raise SystemExit(f"not all of {processes} processes had a call within {_START_SECONDS} s")
            time.sleep(0.05)
        before, began = here.key_counters(), time.monotonic()
        time.sleep(windows * WINDOW_SECONDS)
        after, seconds = here.key_counters(), time.monotonic() - began
        return Used(
            processes,
            after["requests"] - before["requests"],
            after["max_in_window"],
            after.get("refused", 0),
            seconds,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="*", default=PROCESSES)
    parser.add_argument("--windows", type=int, default=5)
    given = parser.parse_args()
    found = [used_by(count, given.windows) for count in given.processes]
    rows = [(u.processes, u.calls, f"{u.share:.1%}", u.densest, u.refused) for u in found]
    over = [u for u in found if u.densest > LIMIT or u.refused]
    publish(
        Result(
            [Table(("processes", "calls", "share of the limit", f"densest {WINDOW_SECONDS} s", "refused"), rows)],
            {f"limit left unused by {u.processes}": 1 + max(0.0, 1 - u.share) for u in found},
            [
                Plot(
                    "Use of the limit",
                    "processes",
                    "percent of what is allowed",
                    {"used": [(u.processes, 100 * u.share) for u in found]},
                )
            ],
        )
    )
    if over:
        raise SystemExit(f"the limit was exceeded: {over}")


if __name__ == "__main__":
    main()
