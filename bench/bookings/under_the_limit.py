"""Cal.com's real limit: 120 calls in 60 s, then a block of 60 s without a word of how long. Who gets through?

    python -m bench.bookings.under_the_limit

The peers keep their own retries. Ours is `make proof`'s, too. Sleeps most of its time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.bookings.side_by_side import kept
from bench.ground import Run, ground, run
from bench.peers import CONTENDERS, python_of
from bench.results import Result, Table, publish

HEAD = ("", "bookings", "ends after", "calls", "of them 429", "kept", "its last words")
OURS = {"CALCOM_RATE_LIMIT_PER_MINUTE": "120", "CALCOM_RATE_BURST_REQUESTS": "6"}
#: Of a last word, as much as tells what happened.
LAST_WORDS = 110


#: Where the order of ties changes, offset paging repeats rows, over which dlt's upsert fails; its default bears them.
DLT_DEFAULT = {"BENCH_MERGE": "delete-insert"}


@dataclass(frozen=True)
class Try:
    """One program, one size of account."""

    who: str
    bookings: int
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


TRIES = (
    Try("dlt", 20_000, DLT_DEFAULT),
    Try("dlt", 50_000, DLT_DEFAULT),
    Try("airbyte", 20_000),
    Try("airbyte", 50_000),
    Try("airbyte published", 20_000),
    Try("ours", 20_000),
    Try("ours", 50_000),
)


def tried(one: Try) -> list[object]:
    """One line of the table."""
    with ground(bookings=one.bookings) as here:
        if one.who == "ours":
            ended = run("bench.bookings.ours", here.environment(BENCH_ONCE="1", **OURS))
        else:
            peer = CONTENDERS[one.who]
            environment = here.environment(BENCH_ONCE="1", **peer.settings, **one.settings)
            ended = run(peer.module, environment, python=python_of(peer.peer))
        counted = here.sandbox.control.counters()["keys"]["owner"]
        return [
            CONTENDERS[one.who].name if one.who in CONTENDERS else one.who,
            f"{one.bookings:,}",
            _end(ended),
            counted["requests"],
            counted.get("refused", 0),
            f"{kept(here, one.who):,}",
            _words(ended),
        ]


def _end(ended: Run) -> str:
    return f"{ended.process_seconds:.0f} s, " + ("**fails**" if ended.failed else "done")


def _words(ended: Run) -> str:
    """From the status on, where there is one, and without addresses."""
    said = ended.failed.replace("|", "/")
    return said[max(said.find("429"), 0) :].partition(" for url")[0][:LAST_WORDS]


def main() -> None:
    rows: list[list[object]] = []
    for one in TRIES:
        rows.append(tried(one))
        print(rows[-1], flush=True)
    publish(Result([Table(HEAD, rows)]))


if __name__ == "__main__":
    main()
