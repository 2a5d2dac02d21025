"""Random sequences of calls, legal and not, and what must hold after every one of them."""

import os
from collections import Counter

import pytest

from tests.sandbox.talking import Talker
from tests.sandbox.walking import Walk

_LONG_WALKS, _LONG_STEPS = 25, 120


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_is_called_hosts_slots_and_totals_stay_right(calcom: Talker, seed):
    walk = Walk(calcom, seed)
    walk.run(25)
    assert len(walk.rows) > 5


@pytest.mark.proof
@pytest.mark.timeout(1_800)
def test_the_same_holds_on_long_walks(calcom: Talker):
    done: Counter[str] = Counter()
    base = int(os.environ.get("WALK_SEED", "1000"))
    for seed in range(base, base + _LONG_WALKS):
        calcom.control.reset(account=True)
        walk = Walk(calcom, seed)
        walk.run(_LONG_STEPS)
        done += walk.steps
    print(f"\n{_LONG_WALKS} walks of {_LONG_STEPS} calls held every invariant: {dict(done)}")
