"""Airbyte as its users run it: a source and a destination, two processes with lines of JSON between them.

Both are of Airbyte's CDK and speak its protocol. Its own destination for PostgreSQL runs in a container on a JVM; this
one is Python's and does as little as it can. CPU is that of both processes with their starts, memory that of the larger
one. Standard library alone, since what this program takes itself is not counted.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.child import calls_so_far, rounds

PAGE = 250
STREAM = {
    "name": "bookings",
    "json_schema": {"type": "object", "additionalProperties": True},
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_cursor": True,
    "default_cursor_field": ["updatedAt"],
    "source_defined_primary_key": [["uid"]],
}
CATALOG = {
    "streams": [
        {
            "stream": STREAM,
            "sync_mode": "incremental",
            "destination_sync_mode": "append_dedup",
            "cursor_field": ["updatedAt"],
            "primary_key": [["uid"]],
        }
    ]
}


def written(file: Path, content: object) -> str:
    """The path of a file with this in it, as JSON."""
    file.write_text(json.dumps(content))
    return str(file)


def synced(folder: Path, state: list[Any], *, anew: bool) -> list[Any]:
    """One sync; the position it ends at."""
    source = {
        "base_url": os.environ["CALCOM_BASE_URL"],
        "api_key": os.environ["CALCOM_API_KEY"],
        "page_size": PAGE,
    }
    catalog = ["--catalog", written(folder / "catalog.json", CATALOG)]
    read = ["read", "--config", written(folder / "source.json", source), *catalog]
    read += ["--state", written(folder / "state.json", state)] if state else []
    write = ["write", "--config", written(folder / "destination.json", {"anew": anew}), *catalog]
    python = [sys.executable, "-m"]
    with subprocess.Popen([*python, "bench.bookings.airbyte_source", *read], stdout=subprocess.PIPE) as reading:
        stored = subprocess.run(
            [*python, "bench.bookings.airbyte_destination", *write],
            stdin=reading.stdout,
            stdout=subprocess.PIPE,
            check=True,
        )
    if reading.returncode:
        raise SystemExit(f"The source ended with {reading.returncode}")
    said = [json.loads(line) for line in stored.stdout.splitlines()]
    return [message["state"] for message in said if message["type"] == "STATE"]


def main() -> None:
    told: dict[str, Any] = {}
    state: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in rounds():
            began, before = time.perf_counter(), calls_so_far()
            state = synced(Path(folder), state, anew=not name)
            told |= {f"{name}seconds": time.perf_counter() - began, f"{name}calls": calls_so_far() - before}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    told |= {"cpu_seconds": round(used.ru_utime + used.ru_stime, 2), "peak_mb": round(used.ru_maxrss / 1024, 1)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
