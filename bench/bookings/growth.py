"""How time and memory of our full read grow: accounts of 100,000, 300,000 and 1,000,000 bookings, no limit.

python -m bench.bookings.growth [SIZE ...]
"""

import argparse

from bench.bookings.side_by_side import NO_LIMIT
from bench.ground import UNLIMITED, ground, machine, run
from bench.results import Plot, Result, Table, publish

SIZES = (100_000, 300_000, 1_000_000)
HEAD = ("bookings", "seconds", "µs a booking", "CPU µs a booking", "peak MB", "calls", "unchanged: calls", "seconds")


def measured(size: int) -> list[object]:
    """One line of the table."""
    with ground(bookings=size, limit=UNLIMITED) as here:
        ended = run("bench.bookings.ours", here.environment(**NO_LIMIT))
    if ended.failed:
        raise SystemExit(ended.failed)
    told = ended.told
    per_row = (f"{told[name] / size * 1e6:.0f}" for name in ("seconds", "cpu_seconds"))
    again = (told["unchanged_calls"], f"{told['unchanged_seconds']:.2f}")
    return [f"{size:,}", f"{told['seconds']:.1f}", *per_row, f"{told['peak_mb']:.0f}", told["calls"], *again]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    given = parser.parse_args()
    print(machine(), flush=True)
    rows: list[list[object]] = []
    for size in given.sizes:
        rows.append(measured(size))
        print(rows[-1], flush=True)
    sizes = [float(size) for size in given.sizes]
    cpu, peak = ([float(str(row[at])) for row in rows] for at in (3, 5))
    publish(
        Result(
            [Table(HEAD, rows)],
            {
                f"CPU a booking at {size:,} / at {given.sizes[0]:,}": one / cpu[0]
                for size, one in list(zip(given.sizes, cpu, strict=True))[1:]
            },
            [
                Plot("A first read", "bookings", "µs of CPU a booking", {"ours": list(zip(sizes, cpu, strict=True))}),
                Plot("Memory of a first read", "bookings", "MB, peak", {"ours": list(zip(sizes, peak, strict=True))}),
            ],
        )
    )


if __name__ == "__main__":
    main()
