"""What a read costs when much, a little or nothing has changed since the last: calls, seconds and CPU.

    python -m bench.bookings.changes [--bookings N]

One account, no limit: everything the first time, then nothing changed, then one booking of a hundred.
"""

import argparse
import time
from dataclasses import dataclass

from bench.bookings.side_by_side import NO_LIMIT
from bench.ground import UNLIMITED, Ground, ground
from bench.results import Result, Table, publish
from calcom_pipeline.app.bookings.mirror import pull_bookings
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.settings import load_settings

HEAD = ("", "rows read", "calls", "seconds", "CPU s", "beside the first read")
FULL, NOTHING, LITTLE = "everything", "nothing changed", "1% changed"


@dataclass(frozen=True)
class Read:
    """One read of the mirror."""

    rows: int
    calls: int
    seconds: float
    cpu_seconds: float


def read(container: Container) -> Read:
    """As `sync bookings` does."""
    calls, began, used = container.calcom.spent().calls, time.perf_counter(), time.process_time()
    report = pull_bookings(container.calcom, container.bookings.mirror, container.bookings.options, now=utc_now)
    return Read(
        report.read,
        container.calcom.spent().calls - calls,
        time.perf_counter() - began,
        time.process_time() - used,
    )


def measured(here: Ground, bookings: int) -> dict[str, Read]:
    """The three reads, in their order."""
    with ready_container(load_settings(here.environment(**NO_LIMIT))) as container:
        container.require_schema()
        found = {FULL: read(container), NOTHING: read(container)}
        here.sandbox.control.update_bookings(count=bookings // 100, set={"title": "Changed"})
        return {**found, LITTLE: read(container)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=100_000)
    given = parser.parse_args()
    with ground(bookings=given.bookings, limit=UNLIMITED) as here:
        found = measured(here, given.bookings)
    full = found[FULL].seconds
    rows = [
        (name, f"{r.rows:,}", r.calls, f"{r.seconds:.2f}", f"{r.cpu_seconds:.2f}", f"{r.seconds / full:.3f}")
        for name, r in found.items()
    ]
    ratios = {f"calls when {name} / of {FULL}": found[name].calls / found[FULL].calls for name in (NOTHING, LITTLE)}
    publish(Result([Table(HEAD, rows, f"{given.bookings:,} bookings:")], ratios))


if __name__ == "__main__":
    main()
