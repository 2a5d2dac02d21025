"""The other tools, each in a virtual environment of its own beside the checkout's, made when first asked for."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.ground import ROOT

#: What each needs: itself, and the way to PostgreSQL. The CDK does not run with pandas 3.
PACKAGES = {
    "dlt": ("dlt[postgres]",),
    "airbyte": ("airbyte-cdk", "psycopg[binary]", "pandas<3"),
}
DISTRIBUTIONS = {"dlt": "dlt", "airbyte": "airbyte-cdk"}


@dataclass(frozen=True)
class Contender:
    """A peer with its settings, and what tells them apart in a table."""

    peer: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""
    program: str = ""

    @property
    def module(self) -> str:
        """What it runs: of a peer's several programs the one that is named."""
        return f"bench.bookings.peer_{self.program or self.peer}"

    @property
    def name(self) -> str:
        """Name, version and note, as they stand beside its figures."""
        return f"{version_of(self.peer)}{self.note}"


CONTENDERS = {
    "dlt": Contender("dlt"),
    "airbyte": Contender("airbyte", note=", its source alone"),
    "airbyte piped": Contender("airbyte", note=", source and destination", program="airbyte_piped"),
    "airbyte published": Contender("airbyte", {"BENCH_PUBLISHED": "1"}, ", as its Cal.com connector: 100 a page"),
}


def python_of(peer: str) -> str:
    """The interpreter of a peer's environment."""
    folder = ROOT / f".venv-bench-{peer}"
    python, done = folder / "bin" / "python", folder / ".made"
    if not done.exists():
        print(f"Making {folder.name} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[peer]]
        subprocess.run(command, check=True)
        done.touch()
    return str(python)


def version_of(peer: str) -> str:
    """Name and version of a peer."""
    name = DISTRIBUTIONS[peer]
    asked = f"import importlib.metadata as m; print(m.version({name!r}))"
    found = subprocess.run([python_of(peer), "-c", asked], check=True, capture_output=True, text=True, cwd=Path("/"))
    return f"{name} {found.stdout.strip()}"
