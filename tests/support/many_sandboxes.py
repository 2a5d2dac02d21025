"""A sandbox for each of many accounts, all in one process: `python -m tests.support.many_sandboxes NUMBER FILE`.

Each has its own user, key, limit, event types and bookings. FILE is written when all of them answer: a list of their
addresses and keys, as JSON. It ends with SIGTERM.
"""

import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from calcom_pipeline.sandbox.testing import serve_sandbox

EVENT_TYPES: Final = 30
BOOKINGS: Final = 300


def serve(number: int, file: Path) -> None:
    """So many, until SIGTERM."""
    with ExitStack() as stack:
        made: list[dict[str, str]] = []
        for seed in range(1, number + 1):
            sandbox = stack.enter_context(
                serve_sandbox(
                    "generated", event_types=EVENT_TYPES, teams=0, bookings=BOOKINGS, seed=seed, in_thread=True
                )
            )
            made.append({"url": sandbox.url, "key": sandbox.keys["owner"]})
        part = file.with_suffix(".part")
        part.write_text(json.dumps(made))
        part.rename(file)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(int(sys.argv[1]), Path(sys.argv[2]))
