"""Reading ahead: the next page is fetched while the last one is being stored."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
