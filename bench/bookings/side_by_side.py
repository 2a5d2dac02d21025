"""100,000 bookings from a Cal.com without a limit into PostgreSQL: the lower bound, ours, dlt, Airbyte's CDK.

    python -m bench.bookings.side_by_side [--bookings N] [--rounds N] [--without-peers]

All read the same account and write to the same server, one after the other; the lower bound and ours take turns, so
that both meet the same noise, and medians count. "kept" is what stands in the table in the end.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import psycopg

from bench.ground import UNLIMITED, Ground, Run, ground, machine, middle, run, table
from bench.peers import CONTENDERS, python_of

#: Room for as fast as it goes: the server has no limit here.
NO_LIMIT = {"CALCOM_RATE_LIMIT_PER_MINUTE": "100000", "CALCOM_RATE_BURST_REQUESTS": "50"}
KEPT = {
    "lower_bound": "lower_bound.bookings",
    "ours": "bench_ours.bookings",
    "dlt": "bench_dlt.bookings",
    "airbyte": "lower_bound.bookings",
    "airbyte published": "lower_bound.bookings",
}
# "all CPU": the program's own, PostgreSQL's and the sandbox's; start-up and the unchanged read included.
HEAD = ("", "seconds", "ratio", "its CPU s", "all CPU s", "ratio", "peak MB", "calls", "kept", "unchanged: calls")
# Until backends that have done their work have ended.
_SETTLED_SECONDS = 0.5


def kept(here: Ground, who: str) -> int:
    """Bookings in the table that a program fills; 0 where it never made one."""
    with psycopg.connect(here.servers.database_url) as connection:
        if connection.execute("SELECT to_regclass(%s)", [KEPT[who]]).fetchone() == (None,):
            return 0
        found = connection.execute(f"SELECT count(*) FROM {KEPT[who]}".encode()).fetchone()
    return int(found[0]) if found else 0


class Contest:
    """Runs by program, and what each left."""

    def __init__(self, here: Ground) -> None:
        self._here = here
        self.runs: dict[str, list[Run]] = {}
        self.kept: dict[str, int] = {}

    def hold(self, who: str, start: Callable[[], Run]) -> None:
        """One run; a failure of a program ends the bench."""
        self._here.sandbox.control.reset()
        before = self._here.cpu_seconds()
        ended = start()
        if ended.failed:
            raise SystemExit(f"{who} failed: {ended.failed}")
        time.sleep(_SETTLED_SECONDS)
        ended.told["all_cpu"] = ended.told["cpu_seconds"] + self._here.cpu_seconds() - before
        self.runs.setdefault(who, []).append(ended)
        self.kept[who] = kept(self._here, who)
        print(f"{who}: {ended.told['seconds']:.1f} s, all CPU {ended.told['all_cpu']:.1f} s", flush=True)

    def rows(self) -> list[list[object]]:
        """The table's lines, medians of all rounds."""
        return [self._row(who, runs) for who, runs in self.runs.items()]

    def _row(self, who: str, runs: list[Run]) -> list[object]:
        seconds, all_cpu = middle(runs, "seconds"), middle(runs, "all_cpu")
        bound, told = self.runs["lower_bound"], runs[-1].told
        name = CONTENDERS[who].name if who in CONTENDERS else who.replace("_", " ")
        return [
            name,
            f"{seconds:.1f}",
            f"{seconds / middle(bound, 'seconds'):.2f}",
            f"{middle(runs, 'cpu_seconds'):.1f}",
            f"{all_cpu:.1f}",
            f"{all_cpu / middle(bound, 'all_cpu'):.2f}",
            f"{middle(runs, 'peak_mb'):.0f}",
            told["calls"],
            f"{self.kept[who]:,}",
            told.get("unchanged_calls", ""),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-peers", action="store_true")
    given = parser.parse_args()
    peers = {} if given.without_peers else {who: python_of(one.peer) for who, one in CONTENDERS.items()}
    with ground(bookings=given.bookings, limit=UNLIMITED) as here:
        contest, environment = Contest(here), here.environment(**NO_LIMIT)
        print(machine(), flush=True)
        for _ in range(given.rounds):
            contest.hold("lower_bound", lambda: run("bench.bookings.lower_bound", environment))
            contest.hold("ours", lambda: run("bench.bookings.ours", environment))
        for who, python in peers.items():
            one = CONTENDERS[who]
            contest.hold(who, partial(run, one.module, {**environment, **one.settings}, python=python))
        print(f"\n{given.bookings:,} bookings, {given.rounds} rounds, medians\n\n{table(HEAD, contest.rows())}")
        print(f"\n{machine()}")


if __name__ == "__main__":
    main()
