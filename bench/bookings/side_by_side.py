"""100,000 bookings from a server without a limit into PostgreSQL: two lower bounds, ours, dlt, Airbyte's CDK.

    python -m bench.bookings.side_by_side [--bookings N] [--rounds N] [--peers dlt,airbyte]

All read the same pre-rendered account (`rendered.py`) and write to the same PostgreSQL, one after the other; the lower
bounds and ours take turns, so that all meet the same noise, and medians count. "kept" is what stands in the table in
the end. Ratios are those to the bound that fills the same tables as ours.
"""

import argparse
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urljoin

import psycopg

from bench.ground import ROOT, UNLIMITED, Ground, Run, ground, machine, middle, run
from bench.peers import CONTENDERS, python_of
from bench.results import Result, Table, publish

#: Room for as fast as it goes: the server has no limit here.
NO_LIMIT = {"CALCOM_RATE_LIMIT_PER_MINUTE": "100000", "CALCOM_RATE_BURST_REQUESTS": "50"}
KEPT = {
    "lower_bound": "lower_bound.bookings",
    "same_tables": "bench_same_tables.bookings",
    "ours": "bench_ours.bookings",
    "dlt": "bench_dlt.bookings",
    "airbyte": "lower_bound.bookings",
    "airbyte piped": "lower_bound.bookings",
    "airbyte published": "lower_bound.bookings",
}
NAMES = {"lower_bound": "JSON and people in bare tables", "same_tables": "lower bound: the same tables", "ours": "ours"}
# CPU is the program's, that of its start apart, and PostgreSQL's with Valkey's.
HEAD = (
    "", "seconds", "ratio", "its CPU s", "start CPU s", "database CPU s", "both", "ratio", "peak MB", "calls", "kept",
    "load",
)  # fmt: skip
# Until backends that have done their work have ended.
_SETTLED_SECONDS = 0.5


@contextmanager
def rendered(environment: dict[str, str]) -> Generator[str]:
    """The address of a server that answers for the account of the environment, as long as the block."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.bookings.rendered"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield (server.stdout.readline() if server.stdout else "").strip()
    finally:
        server.kill()
        server.wait()


def kept(here: Ground, who: str) -> int:
    """Bookings in the table that a program fills; 0 where it never made one."""
    with psycopg.connect(here.servers.database_url) as connection:
        if connection.execute("SELECT to_regclass(%s)", [KEPT[who]]).fetchone() == (None,):
            return 0
        found = connection.execute(f"SELECT count(*) FROM {KEPT[who]}".encode()).fetchone()
    return int(found[0]) if found else 0


class Contest:
    """Runs by program, and what each left."""

    def __init__(self, here: Ground, url: str) -> None:
        self._here = here
        self._url = url
        self.runs: dict[str, list[Run]] = {}
        self.kept: dict[str, int] = {}

    def hold(self, who: str, start: Callable[[], Run]) -> None:
        """One run; a failure of a program ends the bench."""
        urllib.request.urlopen(urljoin(self._url, "/__sandbox/forget-counters"), timeout=10).close()
        before = self._here.database_cpu_seconds()
        ended = start()
        if ended.failed:
            raise SystemExit(f"{who} failed: {ended.failed}")
        time.sleep(_SETTLED_SECONDS)
        told = ended.told
        told["read_cpu"] = told.get("read_cpu_seconds", told["cpu_seconds"])
        told["start_cpu"] = told["cpu_seconds"] - told["read_cpu"]
        told["database_cpu"] = self._here.database_cpu_seconds() - before
        told["both"] = told["read_cpu"] + told["database_cpu"]
        told["load"] = load()
        self.runs.setdefault(who, []).append(ended)
        self.kept[who] = kept(self._here, who)
        print(
            f"{who}: {told['seconds']:.1f} s, CPU {told['read_cpu']:.1f} + {told['database_cpu']:.1f} s, "
            f"load {told['load']:.0f}",
            flush=True,
        )

    def rows(self) -> list[list[object]]:
        """The table's lines, medians of all rounds."""
        return [self._row(who, runs) for who, runs in self.runs.items()]

    def ratios(self) -> dict[str, float]:
        """Ours beside the bound on the same tables, and beside each peer."""
        ours, others = self.runs["ours"], [who for who in self.runs if who in ("same_tables", *CONTENDERS)]
        return {
            f"{figure} of ours / {who.replace('_', ' ')}": middle(ours, key) / middle(self.runs[who], key)
            for who in others
            for figure, key in (("time", "seconds"), ("CPU", "both"))
        }

    def _row(self, who: str, runs: list[Run]) -> list[object]:
        seconds, both = middle(runs, "seconds"), middle(runs, "both")
        bound = self.runs["same_tables"]
        return [
            CONTENDERS[who].name if who in CONTENDERS else NAMES[who],
            f"{seconds:.1f}",
            f"{seconds / middle(bound, 'seconds'):.2f}",
            f"{middle(runs, 'read_cpu'):.1f}",
            f"{middle(runs, 'start_cpu'):.1f}",
            f"{middle(runs, 'database_cpu'):.1f}",
            f"{both:.1f}",
            f"{both / middle(bound, 'both'):.2f}",
            f"{middle(runs, 'peak_mb'):.0f}",
            runs[-1].told["calls"],
            f"{self.kept[who]:,}",
            f"{middle(runs, 'load'):.0f}",
        ]


def load() -> float:
    """How many processes wanted a core, in the last minute."""
    return os.getloadavg()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(CONTENDERS), help="which, with commas; empty for none")
    given = parser.parse_args()
    peers = {who: python_of(CONTENDERS[who].peer) for who in filter(None, given.peers.split(","))}
    with ground(bookings=given.bookings, limit=UNLIMITED) as here, rendered(here.environment()) as url:
        contest = Contest(here, url)
        environment = here.environment(CALCOM_BASE_URL=url, BENCH_ONCE="1", **NO_LIMIT)
        print(machine(), flush=True)
        for _ in range(given.rounds):
            for who in NAMES:
                contest.hold(who, partial(run, f"bench.bookings.{who}", environment))
        for who, python in peers.items():
            one = CONTENDERS[who]
            contest.hold(who, partial(run, one.module, {**environment, **one.settings}, python=python))
        title = f"{given.bookings:,} bookings, {given.rounds} rounds, medians:"
        publish(Result([Table(HEAD, contest.rows(), title)], contest.ratios()))


if __name__ == "__main__":
    main()
