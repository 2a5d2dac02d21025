"""The order of the tests themselves: nothing is lost, files stay whole, and each worker begins with what takes long."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.order import LONG, long_ones_first

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Collected:
    """A test as pytest names it."""

    nodeid: str


def collected(path: str, number: int) -> list[Collected]:
    return [Collected(f"{path}::test_{at}") for at in range(number)]


@given(
    sizes=st.dictionaries(
        st.sampled_from([*LONG, *(f"tests/unit/test_{at}.py" for at in range(9))]), st.integers(1, 9)
    ),
    workers=st.integers(1, 9),
)
def test_every_test_is_there_once_and_files_that_take_long_stay_whole(sizes: dict[str, int], workers: int):
    items = [item for path, number in sizes.items() for item in collected(path, number)]
    ordered = long_ones_first(items, workers)
    assert sorted(item.nodeid for item in ordered) == sorted(item.nodeid for item in items)
    for path in sizes.keys() & LONG.keys():
        places = [at for at, item in enumerate(ordered) if item.nodeid.startswith(path)]
        assert places == list(range(places[0], places[0] + sizes[path]))


@pytest.mark.parametrize("workers", [1, 2, 4, 6])
def test_each_workers_share_begins_with_files_that_take_long(workers: int):
    items = [*collected("tests/unit/test_short.py", 1_000), *(item for path in LONG for item in collected(path, 3))]
    ordered, left = long_ones_first(items, workers), len(items)
    for number in range(workers):  # as pytest-xdist cuts them
        assert ordered[len(items) - left].nodeid.partition("::")[0] in LONG
        left -= left // (workers - number)
    assert left == 0


@pytest.mark.parametrize("path", sorted(LONG))
def test_a_file_that_is_said_to_take_long_exists(path: str):
    assert (CHECKOUT / path).is_file()
