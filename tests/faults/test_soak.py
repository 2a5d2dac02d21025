"""Half an hour of everything at once over three accounts, then quiet, then an audit: `make soak MINUTES=30 [SEED=n]`.

Struck are: every process of `up`, the embedded servers, the receivers; the lines to Cal.com, to PostgreSQL (ours and
Dagster's) and to Redis, cut or half open; the disk under servers, logs and spool, full; the wall clock of our processes
in Python and what Cal.com says in `Date`, wrong by up to ten minutes and a day (no clock of PostgreSQL, Redis and the
stand-in, and no monotonic one); every fault that the stand-in knows. Meanwhile both sides are edited, and appointments
booked, moved, cancelled and reassigned. The seed decides all of it before it begins.
"""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from calcom_pipeline import local
from calcom_pipeline.domain.errors import PipelineError
from tests.faults.daemon_audit import Figures, callers_waiting, look, until_right
from tests.faults.daemon_record import keep_record
from tests.faults.daemon_weather import Hands
from tests.faults.harness import machine
from tests.faults.soak_memory import Memory
from tests.faults.soak_plan import Blow, drawn, least
from tests.faults.soak_stage import ACCOUNTS, MEMBER, SmallDisk, SoakStage, environment, lines_to
from tests.faults.soak_weather import Weather
from tests.support.commands import argv
from tests.support.leaks import nothing_leaked_anywhere
from tests.support.up import wait_for
from tests.support.web import free_port

MINUTES: Final = float(os.environ.get("SOAK_MINUTES") or 30)
SEED: Final = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1_000_000))
QUIET_SECONDS: Final = 1800.0  # three accounts share the machine, and it may be busy with something else
CALLERS_SECONDS: Final = 180.0  # what runs still ask for fills a window of 60 s and some more
PAUSES: Final = (1.0, 5.0)  # three of them, and a run is seconds of CPU
pytestmark = [pytest.mark.soak, pytest.mark.timeout(MINUTES * 60 * 4 + 4 * QUIET_SECONDS)]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoakStage]:
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    folder.chmod(0o711)  # the embedded servers of root run as somebody else
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = SmallDisk(folder / "disk")
        stack.callback(disk.close)
        lines = stack.enter_context(lines_to(disk.place))
        for name, value in environment(folder, disk.place, lines).items():
            monkeypatch.setenv(name, value)
        for account in ACCOUNTS:  # set later on, taken back at the end
            monkeypatch.setenv(f"KEY_OF_{account.upper()}", "")
            monkeypatch.setenv(f"HOOK_OF_{account.upper()}", "")
        stack.callback(local.remove, disk.place)
        staged = SoakStage(free_port(), folder, lines, disk)
        stack.callback(staged.end)
        yield staged


def hands_on(stage: SoakStage, seed: int) -> list[Hands]:
    """Somebody for each account, of its user, with keys that are never refused."""
    stage.settled()
    control = stage.sandbox()[1]
    found = control.account()
    users = [user["id"] for user in found["users"]]
    alone = tuple(each["id"] for each in found["eventTypes"] if each["ownerId"] == users[1] and not each["parentId"])
    crew: list[Hands] = []
    for number, (account, key_name) in enumerate(ACCOUNTS.items()):
        of_member = key_name == MEMBER
        name, user_id = f"hands-{account}", users[1] if of_member else users[0]
        key = control.mutate("set_key", name=name, user_id=user_id, limits=[{"hits": 1_000_000}])["key"]
        types: dict[str, Any] = {"visited": Hands.types}
        if of_member:
            types = {"types": alone, "visited": alone, "team": None, "shared_type": None}
        crew.append(Hands(stage, seed * 10 + number, key, account=account, pauses=PAUSES, **types))
    return crew


def look_at_all(stage: SoakStage, crew: list[Hands], record: Path) -> tuple[list[str], dict[str, Figures]]:
    """The audit of each account, all of it kept; an event type that another account made is none that was forgotten."""
    links = "SELECT event_type_id FROM service_links WHERE event_type_id IS NOT NULL"
    linked = {hands.account: {number for (number,) in hands.rows(links)} for hands in crew}
    found: list[str] = []
    figures: dict[str, Figures] = {}
    for hands in crew:
        before = set(hands.strangers)
        hands.strangers |= {each for other in crew if other is not hands for each in linked[other.account]}
        wrong, figures[hands.account] = look(stage, hands)
        hands.strangers = before
        found += [f"{hands.account}: {each}" for each in wrong]
    with (record / "found.txt").open("a") as file:
        file.write("\n".join([f"--- {time.strftime('%H:%M:%S')}", *found, ""]))
    return found, figures


def a_night(stage: SoakStage) -> None:
    """What the nightly schedule does: rows that were lied about moved no timestamp, so only a full read finds them."""
    for account in ACCOUNTS:
        read = argv("sync", "bookings", "--full")
        own = {**os.environ, "CALCOM_ACCOUNT": account}

        def done(read: list[str] = read, own: dict[str, str] = own) -> bool:
            stage.keep()
            return subprocess.run(read, env=own, capture_output=True, check=False, timeout=600).returncode == 0

        wait_for(done, QUIET_SECONDS, every=2)


def enough(weather: Weather, plan: list[Blow]) -> Iterator[str]:
    """What a soak of this length owes and did not do."""
    kills, each = least(MINUTES)
    if sum(weather.kills.values()) < kills:
        yield f"{sum(weather.kills.values())} kills, {kills} are owed"
    for name in sorted({blow.name for blow in plan if blow.kind != "kill"}):
        if weather.struck[name] < each:
            yield f"{name} struck {weather.struck[name]} times, {each} are owed"


def test_a_soak_of_everything_at_once_leaves_nothing_wrong(stage: SoakStage):
    plan = drawn(SEED, MINUTES, disk=stage.disk.is_small)
    record = Path(tempfile.gettempdir()) / f"calcom-soak-{SEED}-{time.strftime('%Y%m%d-%H%M%S')}"
    record.mkdir()
    (record / "plan.txt").write_text("\n".join(map(str, plan)))
    again = f"make soak MINUTES={MINUTES:g} SEED={SEED}"
    print(f"\nseed {SEED}, {MINUTES:g} minutes, {len(plan)} blows: {again}; plan and record: {record}", flush=True)
    if not stage.disk.is_small:
        print("disk full: not run, nothing may be mounted here", flush=True)
    crew, weather, memory = hands_on(stage, SEED), Weather(stage, record / "done.jsonl"), Memory(stage)
    try:
        with memory.watched():
            lasted = storm(weather, plan, crew)
            took, figures = quiet(stage, crew, record)
    except BaseException:
        keep_record(stage, record)
        raise
    done = sum((hands.done for hands in crew), Counter[str]())
    stage.count()
    print(
        f"\nseed {SEED}: {sum(weather.kills.values())} kills in {lasted:.0f} s ({dict(weather.kills)}); "
        f"{dict(sorted(weather.struck.items()))}; {dict(done)}; {stage.calls} calls, {stage.refused} refused; "
        f"`up` ended by itself {stage.ended_by_itself}; all was right {took:.0f} s into the quiet, no drift was left: "
        f"{figures}; {stage.room()}; memory in MB: {memory} ({machine()})"
    )
    bugs = [bug for hands in crew for bug in hands.bugs]
    assert not bugs, "\n".join(bugs)
    assert list(enough(weather, plan)) == []
    assert stage.refused == 0, f"{stage.refused} requests were refused by Cal.com's limiter"
    assert stage.sandbox()[1].counters()["crashes"] == 0
    assert list(memory.growing()) == []
    nothing_leaked_anywhere(stage.servers(), stage.data / "log", stage.folder / "home", stage.folder / "logs")


def storm(weather: Weather, plan: list[Blow], crew: list[Hands]) -> float:
    """The plan, while all hands work; in how many seconds."""
    with ExitStack() as working:
        for hands in crew:
            working.enter_context(hands.at_work())
        return weather.rage(plan)


def quiet(stage: SoakStage, crew: list[Hands], record: Path) -> tuple[float, dict[str, Figures]]:
    """Nobody changes anything any more; seconds until everything is right, the night included."""
    began = time.monotonic()
    for hands in crew:
        hands.calm()
    with ExitStack() as looking:
        for hands in crew:
            looking.enter_context(hands.only_looking())
        stage.settled()
        a_night(stage)
        _, figures = until_right(lambda: look_at_all(stage, crew, record), stage, QUIET_SECONDS)
    took = time.monotonic() - began
    for hands in crew:
        wait_for(lambda hands=hands: not waiting_of(hands), CALLERS_SECONDS, every=2)
    return took, figures


def waiting_of(hands: Hands) -> int:
    try:
        return callers_waiting(hands.settings())
    except PipelineError:
        return 1
