"""How long reads are kept fast: the next page is fetched while the last one is being stored, on a heap at rest."""

import gc
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def read_ahead(source: Iterator[T]) -> Iterator[T]:
    """The same items, one fetched ahead in a thread of its own. An error comes where its item would have come."""
    context = copy_context()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        coming = pool.submit(context.run, next, source, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(context.run, next, source, None)
            yield item


@contextmanager
def heap_at_rest() -> Generator[None]:
    """Inside the block the garbage collector leaves alone what was there before.

    A page is thousands of small objects, so the collector runs often, and each time it looked through all that was ever
    imported: a seventh of the time that reading a page takes.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
