"""The guard: ends the family when its supervisor is gone. `python -m calcom_pipeline.supervising.guard FAMILY GRACE`.

Its standard input is a pipe whose other end the supervisor alone has; nothing is ever written to it. Signals that are
meant for the supervisor, by a terminal or a service manager, do not end it before its work is done.
"""

import os
import signal
import sys

from calcom_pipeline.supervising.family import Family


def main() -> None:
    """Wait for the supervisor's end, however it comes, then leave nothing of the family."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    name, grace_seconds = sys.argv[1:]
    while os.read(0, 1):
        pass
    Family(name).end(grace_seconds=float(grace_seconds))


if __name__ == "__main__":
    main()
