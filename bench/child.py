"""What every measured program tells at its end. Standard library alone: peers run it in environments of their own."""

import json
import os
import resource
import urllib.request
from pathlib import Path
from urllib.parse import urljoin


def peak_mb() -> float:
    """The largest resident size this program ever had. Not `ru_maxrss`: that begins with the parent's."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM")


def calls_so_far() -> int:
    """Requests that the sandbox has counted since it was last reset, refused ones included."""
    address = urljoin(os.environ["CALCOM_BASE_URL"], "/__sandbox/counters")
    with urllib.request.urlopen(address, timeout=10) as answer:
        return sum(key["requests"] for key in json.load(answer)["keys"].values())


def rounds() -> tuple[str, ...]:
    """Prefixes of the figures: of a first read and, unless BENCH_ONCE is set, of one with nothing changed."""
    return ("",) if os.environ.get("BENCH_ONCE") else ("", "unchanged_")


def cpu_seconds_so_far() -> float:
    """User and system time of this program, all threads and the start included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def tell(**figures: object) -> None:
    """One line of JSON on standard output: the figures, this program's CPU seconds and its peak of memory."""
    cpu = round(cpu_seconds_so_far(), 2)
    print(json.dumps({**figures, "cpu_seconds": cpu, "peak_mb": round(peak_mb(), 1)}), flush=True)
