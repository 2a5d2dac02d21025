"""All benches: tables and plots into RESULTS.md, ratios held against those of the last accepted run.

    python -m bench [--quick] [--only NAME ...] [--accept]

A full run writes the tables and plots; a quick one, of minutes, the ratios alone. A ratio that is more than 20% worse
than the stored one is measured once more; where it is again, it ends the run with 1 and the stored one stays. Ratios
compare two things of one run, so that they hold on another machine and beside other work, within their noise.
`--accept` stores what was found, whatever it is.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.drawing import draw
from bench.ground import ROOT, table
from bench.results import OUT, Result, read

HERE = ROOT / "bench"
RESULTS, RATIOS, PLOTS = HERE / "RESULTS.md", HERE / "ratios.json", HERE / "plots"
WORSE = 1.2  # what shared machines add to a ratio by themselves is less


class Bench(NamedTuple):
    """One module, its arguments in a full and in a quick run. `quick` is None where it is left out of those."""

    name: str
    full: Sequence[str] = ()
    quick: Sequence[str] | None = ()


BENCHES = (
    Bench("planner", quick=("1000", "10000")),
    Bench("pushes", quick=("--services", "60")),
    Bench("startup", quick=("--rounds", "3")),
    Bench("limiter_use", quick=("--processes", "1", "4")),
    Bench("bookings.side_by_side", quick=("--bookings", "20000", "--rounds", "2", "--peers", "")),
    Bench("bookings.changes", quick=("--bookings", "20000")),
    Bench("bookings.growth", quick=None),
    Bench("bookings.under_the_limit", quick=None),
    Bench("webhook_intake", quick=("--rate", "300", "--seconds", "4", "--idle", "200")),
    Bench("availability_lookup", quick=("--event-types", "10", "1000", "--rounds", "600")),
    Bench("availability_http", quick=("--rounds", "600")),
    Bench("availability_calls", quick=("--hours", "0.25", "--processes", "1")),
)


@dataclass(frozen=True)
class Stored:
    """A ratio of an earlier run, and its day."""

    value: float
    day: str


def stored_ratios(mode: str) -> dict[str, Stored]:
    """By name, of earlier runs in the same mode."""
    kept = json.loads(RATIOS.read_text("utf-8")) if RATIOS.exists() else {}
    return {name: Stored(**one) for name, one in kept.get(mode, {}).items()}


def worse(found: Mapping[str, float], stored: Mapping[str, Stored]) -> dict[str, str]:
    """What is more than 20% worse than it was, each with both figures."""
    return {
        name: f"{name}: {value:.3g}, stored {stored[name].value:.3g} ({stored[name].day})"
        for name, value in found.items()
        if name in stored and value > stored[name].value * WORSE
    }


def run(bench: Bench, *, quick: bool) -> Result:
    """One bench in a process of its own; its output is shown as it comes. Raises SystemExit where it fails."""
    given = bench.quick if quick else bench.full
    print(f"\n# {bench.name} {' '.join(given or ())}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, "-m", f"bench.{bench.name}", *(given or ())]
        ended = subprocess.run(command, cwd=ROOT, env={**os.environ, OUT: str(file)}, check=False)
        if ended.returncode:
            raise SystemExit(f"bench.{bench.name} failed with {ended.returncode}")
        found = read(file)
    return Result(found.tables, {f"{bench.name}: {k}": v for k, v in found.ratios.items()}, found.plots, found.machine)


def block(bench: Bench, result: Result) -> str:
    """What RESULTS.md says of a bench; plots are drawn beside it."""
    PLOTS.mkdir(exist_ok=True)
    pictures: list[str] = []
    for number, plot in enumerate(result.plots):
        name = f"{bench.name.replace('.', '_')}{number or ''}.svg"
        draw(plot, PLOTS / name)
        pictures.append(f"![{plot.title}](plots/{name})")
    return "\n\n".join([f"Measured: {result.machine}", *(each.markdown() for each in result.tables), *pictures])


def replaced(text: str, name: str, inside: str) -> str:
    """The text with what stands between the marks of this name replaced. Raises ValueError where they are missing."""
    marks = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- / -->)", re.DOTALL)
    if not marks.search(text):
        raise ValueError(f"RESULTS.md has no place for {name}: <!-- {name} --> ... <!-- / -->")
    return marks.sub(lambda found: f"{found[1]}{inside}\n{found[2]}", text, count=1)


def ratios_table() -> str:
    """Both modes side by side."""
    full, quick = stored_ratios("full"), stored_ratios("quick")
    rows = [
        (name, *(f"{mode[name].value:.3g} ({mode[name].day})" if name in mode else "" for mode in (full, quick)))
        for name in sorted(full | quick)
    ]
    return table(("ratio", "full run", "quick run"), rows)


def store(mode: str, found: Mapping[str, float]) -> None:
    """Keep the ratios for later runs."""
    kept = json.loads(RATIOS.read_text("utf-8")) if RATIOS.exists() else {}
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    merged = kept.get(mode, {}) | {name: {"value": float(f"{v:.4g}"), "day": today} for name, v in found.items()}
    RATIOS.write_text(json.dumps(kept | {mode: dict(sorted(merged.items()))}, indent=1, sort_keys=True) + "\n", "utf-8")


def measured(bench: Bench, *, quick: bool, stored: Mapping[str, Stored]) -> Result:
    """One bench; a second time where a ratio of the first is worse than stored, keeping the better of both."""
    first = run(bench, quick=quick)
    if not worse(first.ratios, stored):
        return first
    second = run(bench, quick=quick)
    better = {name: min(value, second.ratios[name]) for name, value in first.ratios.items()}
    return Result(second.tables, better, second.plots, second.machine)


def main() -> int:
    """0 where no ratio got worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="minutes instead of an hour; ratios alone are written")
    parser.add_argument(
        "--only", nargs="*", metavar="NAME", choices=[each.name for each in BENCHES], help="these alone"
    )
    parser.add_argument("--accept", action="store_true", help="store what is found, also where it is worse")
    given = parser.parse_args()
    mode = "quick" if given.quick else "full"
    stored, text, bad = stored_ratios(mode), RESULTS.read_text("utf-8"), dict[str, str]()
    for bench in BENCHES:
        if (given.only and bench.name not in given.only) or (given.quick and bench.quick is None):
            continue
        result = measured(bench, quick=given.quick, stored={} if given.accept else stored)
        regressed = {} if given.accept else worse(result.ratios, stored)
        store(mode, {name: value for name, value in result.ratios.items() if name not in regressed})
        bad |= regressed
        if not given.quick:
            text = replaced(text, bench.name, block(bench, result))
        RESULTS.write_text(replaced(text, "ratios", ratios_table()), "utf-8")
    print("\n".join(["", "More than 20% worse than stored:", *bad.values()]) if bad else "\nNo ratio got worse.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
