"""The other tools, each in a virtual environment of its own beside the checkout's, made when first asked for."""

import subprocess
import sys
from pathlib import Path

from bench.ground import ROOT

#: What each needs: itself, and the way to PostgreSQL. The CDK does not run with pandas 3.
PACKAGES = {
    "dlt": ("dlt[postgres]",),
    "airbyte": ("airbyte-cdk", "psycopg[binary]", "pandas<3"),
}
DISTRIBUTIONS = {"dlt": "dlt", "airbyte": "airbyte-cdk"}


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
    """Name and version, as they stand beside its figures."""
    name = DISTRIBUTIONS[peer]
    asked = f"import importlib.metadata as m; print(m.version({name!r}))"
    found = subprocess.run([python_of(peer), "-c", asked], check=True, capture_output=True, text=True, cwd=Path("/"))
    return f"{name} {found.stdout.strip()}"
