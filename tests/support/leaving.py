"""Who of several processes is the last to leave."""

import fcntl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def leaving_last(file: Path) -> Generator[Callable[[], bool]]:
    """Inside the block this process counts as being there; what is yielded takes its leave and says if nobody is left.

    Of those that leave at the same time, at least one is told so: who asks gives up its own share of the lock first.
    """
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)

        def is_last() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield is_last
