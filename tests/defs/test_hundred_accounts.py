"""A hundred accounts in one code location: the first sync of all, then an hour in which nothing happens."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from calcom_pipeline import local
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.testing import Control
from tests.support.many_accounts import Cpu, ManyAccounts
from tests.support.own_dagster import make_home
from tests.support.up import wait_for
from tests.support.web import free_port

pytestmark = [pytest.mark.proof, pytest.mark.timeout(3 * 3600)]

ACCOUNTS: Final = int(os.environ.get("MANY_ACCOUNTS", "100"))
IDLE_MINUTES: Final = float(os.environ.get("MANY_IDLE_MINUTES", "60"))
# PostgreSQL's sessions keep what they have read of the catalog: until then each has read that of every account.
WARM_MINUTES: Final = IDLE_MINUTES / 2
LIMIT: Final = 120
SYNC_SECONDS: Final = 3600
SETTLE_SECONDS: Final = 600
BOUND: Final = 1.1
IDLE_SHARE: Final = 0.30


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManyAccounts]:
    data = tmp_path / "data"
    with local.join(data, durable=False, keep_data=False) as servers:
        for name, value in {
            "CALCOM_ACCOUNTS_DIR": str(tmp_path / "accounts"),
            "CALCOM_DATA_DIR": str(data),
            "CALCOM_ENV_FILE": "",
            "DATABASE_URL": servers.database_url,
            "DAGSTER_PG_URL": servers.dagster_pg_url,
            "REDIS_URL": servers.redis_url,
            "DAGSTER_HOME": str(make_home(tmp_path / "home")),
        }.items():
            monkeypatch.setenv(name, value)
        stage = ManyAccounts(tmp_path, ACCOUNTS, free_port())
        try:
            yield stage
        finally:
            stage.end()


def test_a_hundred_accounts_are_synced_as_fast_as_the_machine_can_and_then_cost_little(many: ManyAccounts):
    many.describe(sensors=False, schedules=False)
    many.migrate()
    print(f"{ACCOUNTS} accounts: location loaded after {many.begin():.0f} s")
    problems = list(first_sync(many))
    many.end_up()
    problems += idle(many)
    assert most_in_a_minute(many) <= LIMIT
    assert problems == []


def first_sync(many: ManyAccounts) -> Iterator[str]:
    """All at once; every sandbox has a limit of its own, which leaves the CPU as the bound."""
    before = Cpu.now(many.processes())
    for name in many.names:
        many.launch(f"{name}_full_sync")

    def ended() -> bool:
        states = many.statuses()
        return states.get("SUCCESS", 0) + states.get("FAILURE", 0) >= ACCOUNTS

    wait_for(ended, SYNC_SECONDS, every=1)
    spent = Cpu.now(many.processes()).since(before)
    bound = spent.busy / (os.cpu_count() or 1)
    ratio = spent.at / bound
    print(f"first sync: {spent}; the CPU's bound is {bound:.0f} s, {ratio:.2f} times that")
    assert many.statuses() == {"SUCCESS": ACCOUNTS}
    if ratio > BOUND:
        yield f"the first sync took {ratio:.2f} times the CPU's bound"


def idle(many: ManyAccounts) -> Iterator[str]:
    """Sensors and schedules run, and find nothing."""
    many.describe()
    many.receive()
    many.begin()
    settle(many)
    before, calls, began = Cpu.now(many.processes()), calls_of(many), time.monotonic()
    look_on(many, before, began + WARM_MINUTES * 60)
    warm = at_rest(many)
    look_on(many, before, began + IDLE_MINUTES * 60)
    spent, calls = Cpu.now(many.processes()).since(before), calls_of(many) - calls
    share, grown = spent.ours / spent.at, at_rest(many)
    print(f"idle: {spent}; {share:.0%} of a core; {calls} calls; memory {warm} to {grown} MB")
    if share >= IDLE_SHARE:
        yield f"{share:.0%} of a core while nothing happens"
    yield from (
        f"{kind}: {warm[kind]} MB grew to {size}" for kind, size in grown.items() if size > warm[kind] * 1.1 + 20
    )


def look_on(many: ManyAccounts, before: Cpu, until: float) -> None:
    """Show every minute what has been spent."""
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(60.0, left))
        print(f"  {Cpu.now(many.processes()).since(before)}; {many.statuses()}; {many.memory()}", flush=True)


def settle(many: ManyAccounts) -> None:
    """Every account's sensors have looked for the first time, which plans all services once more."""

    def planned() -> bool:
        ended = {job for job, state in many.runs() if state == "SUCCESS"}
        return {f"{name}_services_sync" for name in many.names} <= ended

    print(f"settled after {wait_for(planned, SYNC_SECONDS, every=5):.0f} s: {many.statuses()}", flush=True)


def at_rest(many: ManyAccounts) -> dict[str, int]:
    """Megabytes by kind while no run is under way: each of them, some at once, takes its own beside what it shares."""
    wait_for(lambda: not many.is_running(), SETTLE_SECONDS, every=0.5)
    return many.memory()


def calls_of(many: ManyAccounts) -> int:
    return sum(sum(sum(each.values()) for each in counters(many, n)["endpoints"].values()) for n in range(ACCOUNTS))


def most_in_a_minute(many: ManyAccounts) -> int:
    """Of any account's key, as its sandbox counted."""
    return max(key["max_in_window"] for n in range(ACCOUNTS) for key in counters(many, n)["keys"].values())


def counters(many: ManyAccounts, number: int) -> Json:
    return Control(many.served[number]["url"]).counters()
