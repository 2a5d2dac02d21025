"""A storm with the daemon running: every process of `up` is killed while both sides are edited and booked; then quiet.

Nothing helps from outside but what a service manager does, starting `up` again when it has ended.
"""

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from calcom_pipeline import local
from tests.faults.daemon_audit import Figures, callers_waiting, look, until_right
from tests.faults.daemon_stage import Stage
from tests.faults.daemon_weather import Hands
from tests.faults.harness import machine
from tests.support.leaks import nothing_leaked_anywhere
from tests.support.own_dagster import make_home
from tests.support.up import wait_for

QUIET_SECONDS = 300.0  # five minutes, as promised
# Visitors have left, and no dead caller's place is kept; what runs still ask for fills a window of 60 s and some more.
CALLERS_SECONDS = 180.0
#: How often each kind is struck, of a hundred.
SHARES: Final = {
    "run": 25, "fork server": 3, "code server": 10, "daemon": 10, "webserver": 5, "guard": 5, "up": 8, "owner": 7,
    "postmaster": 7, "backend": 7, "valkey": 6, "sandbox": 7,
}  # fmt: skip
#: Between two kills; now and then it waits until all is back, so that something gets done in between.
PAUSES, ALL_BACK = (0.5, 6.0), 0.35


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """All servers are embedded; the sandbox may be troubled; nothing waits for a person's approval."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "DAGSTER_HOME": str(make_home(tmp_path / "home")),
        "CALCOM_ENV_FILE": "",
        "CALCOM_DATA_DIR": str(tmp_path / "data"),
        "CALCOM_SANDBOX_CONTROL": "true",
        "CALCOM_SANDBOX_EVENT_TYPES": "12",
        "CALCOM_SANDBOX_BOOKINGS": "300",
        "CALCOM_EVENT_TYPE_LOOK_SECONDS": "20",
        "CALCOM_BRAKE_MINIMUM": "1000",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    staged = Stage(port)
    try:
        yield staged
    finally:
        if staged.up.process.poll() is None:
            staged.up.stop()
        local.remove(tmp_path / "data")


def hands_on(stage: Stage, seed: int) -> Hands:
    """Somebody with a key of their own, of the same user, that is never refused."""
    stage.settled()
    control = stage.sandbox()[1]
    user_id = control.account()["users"][0]["id"]
    key = control.mutate("set_key", name="hands", user_id=user_id, limits=[{"hits": 1_000_000}])["key"]
    return Hands(stage, seed, key)


def weather(kinds: list[str], stage: Stage, hands: Hands, dice: random.Random) -> Counter[str]:
    """Kill them in that order; how many of each there were."""
    killed: Counter[str] = Counter()
    with hands.at_work():
        for number, kind in enumerate(kinds):
            if stage.strike(kind, dice.choice):
                killed[kind] += 1
            print(f"{time.strftime('%H:%M:%S')} {number + 1}: {kind}", flush=True)
            time.sleep(dice.uniform(*PAUSES))
            if dice.random() < ALL_BACK:
                stage.settled()
    return killed


def quiet(stage: Stage, hands: Hands) -> tuple[float, Figures]:
    """Seconds until everything is as it should be, within five minutes."""
    hands.calm()
    return until_right(lambda: look(stage, hands), stage, QUIET_SECONDS)


def storm(kinds: list[str], stage: Stage, *, seed: int) -> None:
    """Everything: kills, quiet, audit; prints its figures."""
    dice = random.Random(seed)
    hands = hands_on(stage, seed)
    began = time.monotonic()
    killed = weather(kinds, stage, hands, dice)
    lasted = time.monotonic() - began
    with hands.only_looking():
        took, figures = quiet(stage, hands)
    wait_for(lambda: not callers_waiting(), CALLERS_SECONDS, every=2)
    stage.count()
    print(
        f"\nseed {seed}: {sum(killed.values())} kills in {lasted:.0f} s ({dict(killed)}), {dict(hands.done)}; "
        f"`up` ended by itself {stage.ended_by_itself}; all was right {took:.0f} s into the quiet: {figures} "
        f"({machine()})"
    )
    assert not hands.bugs, "\n".join(hands.bugs)
    assert sum(killed.values()) == len(kinds)
    assert stage.refused == 0, f"{stage.refused} requests were refused with 429"
    assert stage.sandbox()[1].counters()["crashes"] == 0
    nothing_leaked_anywhere(stage.servers(), stage.data / "log", stage.data.parent / "home")


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["run", "fork server"])
def test_a_kill_of_a_run_or_of_what_it_is_forked_from_leaves_nothing_wrong(stage: Stage, kind: str):
    """The smallest storm: .ci/run has it. It starts everything and seven runs, a twelfth of what `make test` costs."""
    storm([kind], stage, seed=5)


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_proof_a_hundred_kills_over_every_process_leave_nothing_wrong(stage: Stage):
    kinds = [kind for kind, times in SHARES.items() for _ in range(times)]
    random.Random(11).shuffle(kinds)
    storm(kinds, stage, seed=11)
