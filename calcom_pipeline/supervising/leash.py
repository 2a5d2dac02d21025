"""Becomes another program that gets SIGTERM when its parent dies: `leash PARENT_PID PROGRAM ARGUMENT...`.

A program of its own, since what runs between fork and exec in a process with threads may hang. Only Linux has this;
elsewhere it just becomes the program. The parent's thread that starts it must be the one that lives on.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask the kernel, then exec."""
    parent, *argv = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != int(parent):  # it died before we could ask
            sys.exit(1)
    os.execv(argv[0], argv)  # noqa: S606 - becoming that program is the whole point


if __name__ == "__main__":
    main()
