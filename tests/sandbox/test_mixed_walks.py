"""Random sequences of valid, odd and wrong calls, what must hold after every one of them, and after a restart."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.contract.replaying import Receiver
from tests.sandbox.conftest import NOW
from tests.sandbox.mixed_walking import MixedWalk
from tests.sandbox.talking import Talker
from tests.sandbox.watching import Watcher

_LONG_WALKS, _LONG_STEPS = 25, 120


@pytest.fixture
def watcher(calcom: Talker) -> Iterator[Watcher]:
    with Watcher(calcom.sandbox, complaints=calcom.complaints) as found:
        yield found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_is_called_answers_and_lists_stay_right(watcher: Watcher, hooks: Receiver, seed):
    walk = MixedWalk(watcher, hooks, seed)
    walk.run(30)
    assert len(walk.steps) > 8


@pytest.mark.proof
@pytest.mark.timeout(3_600)
def test_the_same_holds_on_long_mixed_walks(watcher: Watcher, hooks: Receiver):
    done: Counter[str] = Counter()
    base = int(os.environ.get("WALK_SEED", "7000"))
    for seed in range(base, base + _LONG_WALKS):
        watcher.control.reset(account=True)
        watcher.control.freeze(NOW)
        hooks.got.clear()
        with Watcher(watcher.sandbox, complaints=watcher.complaints) as fresh:
            walk = MixedWalk(fresh, hooks, seed)
            walk.run(_LONG_STEPS)
        done += walk.steps
    print(f"\n{_LONG_WALKS} mixed walks of {_LONG_STEPS} calls held every invariant: {dict(done)}")


def _everything(running: RunningSandbox) -> dict[str, Any]:
    running.control.reset()
    with Talker(running) as calcom:
        return {
            "types": calcom.get("/event-types", sortCreatedAt="asc").data,
            "team": calcom.get("/teams/301/event-types", sortCreatedAt="asc").data,
            "bookings": sorted(calcom.get("/bookings", take=250).data, key=lambda row: row["uid"]),
            "webhooks": calcom.get("/webhooks").data,
            "slots": [calcom.slots(one, "2026-11-23", "2026-11-27") for one in (1, 2, 3, 6, 8, 9, 11)],
        }


@pytest.mark.parametrize("seed", [4])
def test_what_a_walk_made_survives_a_restart(tmp_path: Path, hooks: Receiver, seed):
    state = tmp_path / "state"
    kept: dict[str, Any] = {}
    for _ in range(2):
        with serve_sandbox("captures", now=NOW, state=state, in_thread=True) as running:
            running.control.freeze(NOW)
            if not kept:
                with Watcher(running) as watcher:
                    MixedWalk(watcher, hooks, seed).run(40)
                running.control.freeze(NOW)
                kept = _everything(running)
            assert _everything(running) == kept
