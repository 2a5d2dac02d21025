"""What all benches stand on: servers and a generated account of their own, programs measured as processes, tables."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calcom_pipeline import local
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox

ROOT = Path(__file__).resolve().parent.parent
UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class Ground:
    """A Cal.com account, a PostgreSQL and a Valkey that nobody else uses."""

    sandbox: RunningSandbox
    servers: local.Servers

    def environment(self, **settings: str) -> dict[str, str]:
        """Variables that point a program at all of it and at nothing else."""
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("CALCOM_", "DAGSTER_"))}
        return {
            **inherited,
            "CALCOM_ENV_FILE": "",
            "CALCOM_BASE_URL": self.sandbox.url,
            "CALCOM_API_KEY": self.sandbox.keys["owner"],
            "DATABASE_URL": self.servers.database_url,
            "REDIS_URL": self.servers.redis_url,
            "DAGSTER_PG_URL": self.servers.dagster_pg_url,
            **settings,
        }

    def cpu_seconds(self) -> float:
        """CPU that PostgreSQL, Valkey and the sandbox have used so far; it depends little on what else runs here."""
        return sum(map(cpu_seconds, _with_descendants([self.servers.owner_pid, self.sandbox.pid])))

    def database_cpu_seconds(self) -> float:
        """The same of PostgreSQL and Valkey alone."""
        return sum(map(cpu_seconds, _with_descendants([self.servers.owner_pid])))


@contextmanager
def ground(**account: Any) -> Generator[Ground]:
    """A ground as long as the block; arguments are those of `serve_sandbox` for a generated account."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o711)  # the embedded servers of root run as somebody else
    try:
        with local.join(folder / "data") as servers, serve_sandbox("generated", **account) as sandbox:
            yield Ground(sandbox, servers)
        local.remove(folder / "data")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Run:
    """One program's end: what it told, how long its process lived, and its last words if it failed."""

    told: dict[str, Any]
    process_seconds: float
    failed: str = ""


def run(module: str, environment: Mapping[str, str], *, python: str = sys.executable, **arguments: object) -> Run:
    """Run a module of `bench` in a process of its own; `arguments` become `--name value`."""
    given = [str(part) for name, value in arguments.items() for part in (f"--{name}", value)]
    began = time.perf_counter()
    ended = subprocess.run(
        [python, "-m", module, *given], cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    told = json.loads(lines[-1]) if lines else {}
    spoken = [line for line in ended.stderr.strip().splitlines() if not line.startswith("WARNING")]
    words = (spoken or [f"exit code {ended.returncode}"])[-1]
    return Run(told, seconds, words if ended.returncode else "")


def middle(runs: Sequence[Run], figure: str) -> float:
    """The median of a figure: the machine may be busy with something else for a while."""
    return statistics.median(run.told[figure] for run in runs)


def machine() -> str:
    """The machine and the day, as they stand beside every figure."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown CPU",
    )
    kilobytes = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    load = ", ".join(f"{share:.1f}" for share in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores of {cpu}, {kilobytes / 1024**2:.0f} GiB, "
        f"Python {platform.python_version()}, load {load}"
    )


def percentile(seconds: Sequence[float], share: int) -> float:
    """The value that so many of a hundred do not exceed."""
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * share // 100)]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown, as it is pasted into RESULTS.md."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _with_descendants(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        if children.exists():
            yield from _with_descendants([int(child) for child in children.read_text("ascii").split()])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    try:
        fields = _lines(f"/proc/{pid}/stat")[0].rpartition(")")[2].split()
    except FileNotFoundError:  # a backend that has just ended: its parent has its time now
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines()
