"""How much memory each kind of process takes over a soak, looked at again and again from a thread."""

import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from calcom_pipeline.domain.errors import PipelineError
from tests.faults.soak_stage import SoakStage

LOOK_SECONDS: Final = 5.0
KINDS: Final = ("code server", "daemon", "webserver", "receiver", "owner", "postmaster", "valkey", "sandbox", "run")
#: The most of the last third against the most of the first: caches fill, and processes begin small.
GROWTH, SLACK_MEGABYTES = 1.25, 40.0
#: Whoever lives for seconds cannot grow over a soak, and how far one got between two looks is chance: a bound for each.
#: The stand-in lives for two minutes or three, and holds the huge answers that it is told to give.
MOST_MEGABYTES: Final = {"run": 400.0, "sandbox": 400.0}


@dataclass
class Memory:
    """Megabytes by kind and moment."""

    stage: SoakStage
    seen: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def watched(self) -> Generator[None]:
        """As long as the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._look, args=[stop], daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def growing(self) -> Iterator[str]:
        """Kinds whose processes took more and more, or more than they may."""
        for kind, figures in self.seen.items():
            first, last = self._thirds(figures)
            if kind in MOST_MEGABYTES:
                most = max(size for _, size in figures)
                if most > MOST_MEGABYTES[kind]:
                    yield f"memory: a {kind} took {most:.0f} MB"
            elif last > first * GROWTH + SLACK_MEGABYTES:
                yield f"memory: a {kind} took {first:.0f} MB at most in the first third, {last:.0f} MB in the last"

    def __str__(self) -> str:
        both = {kind: self._thirds(figures) for kind, figures in self.seen.items()}
        return ", ".join(f"{kind} {first:.0f} to {last:.0f}" for kind, (first, last) in both.items())

    def _thirds(self, figures: list[tuple[float, float]]) -> tuple[float, float]:
        began, ended = figures[0][0], figures[-1][0]
        third = (ended - began) / 3
        first = max(size for at, size in figures if at <= began + third)
        return first, max(size for at, size in figures if at >= ended - third)

    def _look(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            for kind in KINDS:
                with suppress(OSError, PipelineError):
                    sizes = [_megabytes(pid) for pid in self.stage.pids(kind)]
                    if any(sizes):
                        self.seen[kind].append((time.monotonic(), max(sizes)))


def _megabytes(pid: int) -> float:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0
