"""Many processes ask for one window at once; a warm answer touches Redis alone."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import Settings
from tests.support.forks import Forks
from tests.support.free_times import long_there
from tests.support.given import settings_of
from tests.support.redis_server import mortal_redis

CONTEXT = multiprocessing.get_context("forkserver")
FORKS = Forks("tests.integration.availability.test_many_askers")
MONDAY = date.today() + timedelta(days=14 - date.today().weekday())  # noqa: DTZ011 - a day, far enough ahead
CONSULT = 2
SLOTS = "GET /v2/slots"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures") as running:
        yield running


@pytest.fixture
def settings(
    sandbox: RunningSandbox,
    servers: Any,
    schema_name: str,
    redis_url: str,
    database: Database,
    redis_client: redis.Redis,
) -> Settings:
    del database, redis_client  # made and emptied
    return account_of(sandbox, servers, schema_name, redis_url)


def account_of(sandbox: RunningSandbox, servers: Any, schema_name: str, redis_url: str) -> Settings:
    """Settings of the sandbox's account, whose event types are mirrored."""
    sandbox.control.reset(account=True)
    quiet = {"slot_lock_seconds": 2.0, "read_timeout_seconds": 15.0, "slot_shadow_share": 0.0}
    found = settings_of(sandbox, servers, schema_name, redis_url, **quiet)
    with ready_container(found) as opened:
        pull_event_types(opened.calcom, opened.event_types.mirror, teams=TeamChoice(), now=utc_now)
    sandbox.control.reset()
    return found


def slot_calls(sandbox: RunningSandbox) -> int:
    return sum(1 for request in sandbox.control.requests(1000) if request["endpoint"].endswith("/slots"))


def ask(settings: Settings, threads: int, barrier: Barrier, answers: Any) -> None:
    """One process: every thread asks for the same week at the same moment, and tells what came of it."""
    with CalcomService.open(settings) as service, ThreadPoolExecutor(threads) as pool:

        def one(_: int) -> str:
            try:
                return str(len(service.availability(CONSULT, first_day=MONDAY, last_day=MONDAY + timedelta(6)).slots))
            except PipelineError as error:
                return f"{type(error).__name__}: {error}"

        barrier.wait(400)
        answers.put(list(pool.map(one, range(threads))))


def asked_by(settings: Settings, processes: int, threads: int) -> list[str]:
    barrier, answers = CONTEXT.Barrier(processes), CONTEXT.Queue()
    askers = [FORKS.start(ask, settings, threads, barrier, answers) for _ in range(processes)]
    found = [answer for _ in askers for answer in answers.get(timeout=400)]
    for asker in askers:
        asker.join(60)
    return found


SIZES = [
    pytest.param(2, 10, id="2x10"),
    pytest.param(8, 25, id="8x25", marks=[pytest.mark.proof, pytest.mark.timeout(500)]),
]


@pytest.mark.parametrize(("processes", "threads"), SIZES)
def test_all_who_ask_at_once_in_any_process_share_one_call(
    settings: Settings, sandbox: RunningSandbox, processes: int, threads: int
):
    sandbox.control.add_fault("latency", SLOTS, seconds=0.5)
    answers = asked_by(settings, processes, threads)
    sandbox.control.clear_faults()
    assert len(answers) == processes * threads
    assert len(set(answers)) == 1
    assert int(answers[0]) > 0
    assert slot_calls(sandbox) == 1


@pytest.mark.parametrize(("processes", "threads"), SIZES[:1])
def test_an_error_of_cal_com_is_met_once_and_reaches_all_who_waited(
    settings: Settings, sandbox: RunningSandbox, processes: int, threads: int
):
    sandbox.control.add_fault("latency", SLOTS, seconds=1.0)
    sandbox.control.add_fault("error", SLOTS, status=404)
    answers = asked_by(settings, processes, threads)
    sandbox.control.clear_faults()
    assert len(answers) == processes * threads
    assert {answer.partition(":")[0] for answer in answers} == {"NotFound"}
    assert slot_calls(sandbox) == 1


def fly(settings: Settings) -> None:
    with CalcomService.open(settings) as service:
        service.availability(CONSULT, first_day=MONDAY, last_day=MONDAY)


def test_a_process_that_is_killed_while_it_fetches_delays_nobody_beyond_the_life_of_its_lock(
    settings: Settings, sandbox: RunningSandbox, redis_client: redis.Redis
):
    stalls = sandbox.control.add_fault("latency", SLOTS, seconds=30)
    holder = FORKS.start(fly, settings)
    deadline = time.monotonic() + 90
    while not redis_client.keys("*flight:lock:*"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join(60)
    sandbox.control.remove_fault(stalls)
    (lock,) = redis_client.keys("*flight:lock:*")
    assert 0 < redis_client.pttl(lock) <= settings.slot_lock_seconds * 1000
    with CalcomService.open(settings) as service:
        assert service.availability(CONSULT, first_day=MONDAY, last_day=MONDAY).slots


class Commands:
    """What a Redis server was sent by others, from MONITOR."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.seen: list[str] = []

    def until(self, work: Callable[[], Any]) -> list[str]:
        """Commands sent while `work` ran."""
        watching = self._client.monitor()  # has a connection of its own
        self._client.ping()  # so that the one which tells the end has greeted before anything is watched
        with watching as monitor:

            def listen() -> None:
                told: Any = monitor.listen()
                for command in told:
                    if "the end of it" in command["command"]:
                        return
                    self.seen.append(command["command"])

            listener = threading.Thread(target=listen)
            listener.start()
            work()
            self._client.echo("the end of it")
            listener.join(20)
        return self.seen


@pytest.fixture
def alone(
    sandbox: RunningSandbox, servers: Any, schema_name: str, database: Database, tmp_path: Path
) -> Iterator[tuple[Settings, redis.Redis]]:
    """An account on a Redis that nobody else asks: MONITOR tells of everybody's commands."""
    del database  # made and emptied
    with mortal_redis(tmp_path) as own:
        long_there(own.client)
        yield account_of(sandbox, servers, schema_name, own.url), own.client


def test_a_warm_answer_takes_one_or_two_round_trips_of_redis_and_no_statement_of_postgresql(
    alone: tuple[Settings, redis.Redis], monkeypatch: pytest.MonkeyPatch
):
    settings, client = alone
    sunday = MONDAY + timedelta(6)
    with CalcomService.open(settings) as service:
        cold = service.availability(CONSULT, first_day=MONDAY, last_day=sunday)
    with CalcomService.open(settings) as fresh:  # a process that has never met PostgreSQL
        transactions: list[str] = []
        begin = Database.transaction

        def counted(self: Database, doing: str, *args: Any) -> Any:
            transactions.append(doing)
            return begin(self, doing, *args)

        monkeypatch.setattr(Database, "transaction", counted)
        fresh._container.redis.ping()  # the connection's own greeting is no part of an answer
        found, asked = list[Any](), list[list[str]]()
        for _ in range(2):
            commands = Commands(client).until(
                lambda: found.append(fresh.availability(CONSULT, first_day=MONDAY, last_day=sunday))
            )
            asked.append([command.split()[0] for command in commands])
    assert found == [cold, cold]
    assert transactions == []
    assert asked == [["MGET", "MGET"], ["MGET"]], "what an event type is has to be learnt once"
