"""How long the command line and Dagster's code location take to start, in CPU seconds, beside importing what they need.

    python -m bench.startup [--rounds N]

Each program runs in a process of its own, all of them in turns; medians count. No server is asked by any of them.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from bench.ground import ROOT
from bench.results import Plot, Result, Table, publish
from tests.support.described import accounts_alone

_LOCATION = "import calcom_pipeline.definitions as location; location.defs.get_repository_def().load_all_definitions()"
ACCOUNTS = (1, 10, 100)
#: What each is compared with: Dagster's own import for a location, an empty Python for the command line.
PYTHON, HELP, DAGSTER = "an empty Python", "calcom-pipeline --help", "import dagster"


def location_of(accounts: int) -> str:
    return f"a location of {accounts} accounts" if accounts > 1 else "a location of one account"


def cpu_of(command: list[str], variables: Mapping[str, str]) -> float:
    """CPU seconds of one process and its children. Raises SystemExit where it fails."""
    before = getrusage(RUSAGE_CHILDREN)
    ended = subprocess.run(command, env=dict(variables), cwd=ROOT, capture_output=True, text=True, check=False)
    after = getrusage(RUSAGE_CHILDREN)
    if ended.returncode:
        raise SystemExit(f"{command[1:]}: {ended.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory() as folder:
        variables = {count: accounts_alone(Path(folder) / str(count), count if count > 1 else 0) for count in ACCOUNTS}
        programs = {
            PYTHON: ([*python, "pass"], variables[1]),
            HELP: ([sys.executable, "-m", "calcom_pipeline.cli", "--help"], variables[1]),
            DAGSTER: ([*python, "import dagster"], variables[1]),
            **{location_of(count): ([*python, _LOCATION], variables[count]) for count in ACCOUNTS},
        }
        found: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(given.rounds):
            for name, (command, own) in programs.items():
                found[name].append(cpu_of(command, own))
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    rows = [
        (name, f"{seconds:.2f}", f"{min(found[name]):.2f}", f"{seconds / middle[DAGSTER]:.2f}")
        for name, seconds in middle.items()
    ]
    publish(
        Result(
            [Table(("what starts", "CPU s, median", "least", "beside importing Dagster"), rows)],
            {f"{name} / {DAGSTER}": middle[name] / middle[DAGSTER] for name in (HELP, *map(location_of, ACCOUNTS))},
            [
                Plot(
                    "Start of a code location",
                    "accounts",
                    "CPU seconds",
                    {"start": [(count, middle[location_of(count)]) for count in ACCOUNTS]},
                )
            ],
        )
    )


if __name__ == "__main__":
    main()
