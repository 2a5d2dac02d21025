"""When a soak takes what a kind of process took for a leak."""

from typing import TYPE_CHECKING, cast

import pytest

from tests.faults.soak_memory import Memory

if TYPE_CHECKING:
    from tests.faults.soak_stage import SoakStage

LEVEL, GROWN, YOUNG, LARGE = [190.0, 200.0, 207.0], [190.0, 240.0, 300.0], [152.0, 246.0, 245.0], [240.0, 401.0, 240.0]


@pytest.mark.parametrize(
    ("kind", "megabytes", "found"),
    [
        ("daemon", LEVEL, []),
        ("daemon", GROWN, ["memory: a daemon took 190 MB at most in the first third, 300 MB in the last"]),
        ("run", YOUNG, []),  # none had got far when it was looked at in the beginning
        ("run", LARGE, ["memory: a run took 401 MB"]),
        ("sandbox", [63.0, 70.0, 193.0], []),  # told to give a huge answer
        ("sandbox", LARGE, ["memory: a sandbox took 401 MB"]),
    ],
)
def test_who_lives_on_may_not_grow_and_who_lives_for_seconds_has_a_bound(
    kind: str, megabytes: list[float], found: list[str]
):
    memory = Memory(cast("SoakStage", None), {kind: list(zip((0.0, 50.0, 100.0), megabytes, strict=True))})
    assert list(memory.growing()) == found
