"""What a bench found: tables, ratios that are compared from run to run, and plots. One JSON file a bench."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.ground import machine, table

#: Names the file that a bench writes its result to; set by `python -m bench`.
OUT = "BENCH_OUT"


@dataclass(frozen=True)
class Table:
    """Rows of text under a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""

    def markdown(self) -> str:
        """As it stands in RESULTS.md."""
        return (f"{self.title}\n\n" if self.title else "") + table(self.head, self.rows)


@dataclass(frozen=True)
class Plot:
    """Lines over one axis. `lines` has for each name its points (x, y); axes are logarithmic where it says so."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = True
    log_y: bool = False


@dataclass(frozen=True)
class Result:
    """All that one run of a bench found.

    `ratios` compare two things that were measured in this same run, so that they hold on any machine; the less, the
    better, for all of them.
    """

    tables: Sequence[Table]
    ratios: Mapping[str, float] = field(default_factory=dict[str, float])
    plots: Sequence[Plot] = ()
    machine: str = ""


def publish(result: Result) -> None:
    """Print the tables, and write all of it where `python -m bench` wants it."""
    here = machine()
    print("\n\n".join(each.markdown() for each in result.tables))
    for name, ratio in result.ratios.items():
        print(f"ratio {name}: {ratio:.3g}")
    print(f"\n{here}", flush=True)
    if wanted := os.environ.get(OUT):
        Path(wanted).write_text(json.dumps(asdict(result) | {"machine": here}, default=str), "utf-8")


def read(file: Path) -> Result:
    """What a bench has written."""
    raw: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return Result(
        tables=[Table(**each) for each in raw["tables"]],
        ratios=raw["ratios"],
        plots=[Plot(**each) for each in raw["plots"]],
        machine=raw["machine"],
    )
