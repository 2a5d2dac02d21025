"""How long reads are kept fast: the next page is fetched while the last one is being stored, on a heap at rest."""

import gc
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

# What some ten pages are made of: a few MB, which is what may wait for the collector.
_OBJECTS_BETWEEN_LOOKS = 100_000
# Those of the process. Not asked for at the start of a block: two at once would take the raised ones for usual.
_USUAL_THRESHOLDS = gc.get_threshold()


def in_background(call: Callable[[], T], *, name: str) -> "Future[T]":
    """The call, made in a thread that nobody has to wait for, with the context of the caller.

    Whoever is interrupted can leave at once, though a request is under way or waits a minute for its turn; Python waits
    for the threads of an executor even at its exit. So this is for what may break off anywhere: reading.
    """
    future: Future[T] = Future()
    within = partial(copy_context().run, call)

    def run() -> None:
        try:
            future.set_result(within())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    Thread(target=run, name=name, daemon=True).start()
    return future


def read_ahead(source: Iterator[T]) -> Iterator[T]:
    """The same items, one fetched ahead in a thread of its own. An error comes where its item would have come."""
    following = partial(next, source, None)
    coming = in_background(following, name="read-ahead")
    while (item := coming.result()) is not None:
        coming = in_background(following, name="read-ahead")
        yield item


@contextmanager
def heap_at_rest() -> Generator[None]:
    """Inside the block the garbage collector leaves alone what was there before, and looks for cycles seldom.

    A page is thousands of small objects without a cycle, so the collector ran often and found nothing: a seventh of the
    time that reading a page takes while it looked through all that was ever imported, a tenth without that.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *_USUAL_THRESHOLDS[1:])
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL_THRESHOLDS)
        gc.unfreeze()
