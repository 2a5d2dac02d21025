"""Families of processes, with real ones: kept, guarded, ended whole."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from calcom_pipeline.local.processes import FAMILY_VARIABLE
from calcom_pipeline.supervising import services as services_module
from calcom_pipeline.supervising.family import Family
from calcom_pipeline.supervising.services import (
    FIRST_TRIES,
    RETRY_SECONDS_MAX,
    STEADY_SECONDS,
    KeptService,
    ServiceGivenUp,
    SupervisedService,
)
from calcom_pipeline.supervising.shared_log import SharedLog
from calcom_pipeline.supervising.supervisor import Supervisor, end_leftovers
from tests.support.commands import CHECKOUT
from tests.support.waiting import until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="members are found in /proc")

# A service as a code server is: what it starts is in a group of its own, and goes on when its parent dies.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
time.sleep(600)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
SUPERVISOR = """
import sys
from pathlib import Path
from calcom_pipeline.supervising import supervisor
from calcom_pipeline.supervising.services import SupervisedService
from calcom_pipeline.supervising.shared_log import SharedLog
import os
supervisor.GRACE_SECONDS = 1.0
folder, *programs = sys.argv[1:]
log = SharedLog(Path(folder, "log"), longest_bytes=1 << 20, files=1)
services = [SupervisedService(f"service {n}", [sys.executable, "-S", "-c", text]) for n, text in enumerate(programs)]
with supervisor.stop_on_signals() as stop:
    supervisor.Supervisor(services, dict(os.environ), log, Path(folder, "up.json")).run(stop)
"""


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, *programs: str) -> None:
        argv = [sys.executable, "-c", SUPERVISOR, str(folder), *programs]
        self.process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(CHECKOUT)})
        self.record = folder / "up.json"
        self.log = folder / "log"
        until(lambda: len(self.pids()) == len(programs) + 1)
        self.family = Family(json.loads(self.record.read_text())["family"])

    def pids(self) -> dict[str, int]:
        with suppress(FileNotFoundError):
            return json.loads(self.record.read_text())["processes"]
        return {}

    def members(self) -> list[int]:
        return self.family.members()


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*programs: str) -> Running:
        started.append(Running(tmp_path, *programs))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        running.family.end(grace_seconds=0.5)


@linux_only
class TestFamilies:
    def test_what_dies_is_started_again_and_the_others_stay(self, keep: Callable[..., Running]):
        running = keep(PARENT, PARENT)
        until(lambda: len(running.members()) == 4)
        before = running.pids()
        os.kill(before["service 0"], signal.SIGKILL)
        until(lambda: running.pids().get("service 0") not in (None, before["service 0"]))
        after = running.pids()
        assert after["service 1"] == before["service 1"]
        assert after["guard"] == before["guard"]
        assert "service 0 ended (killed by SIGKILL); it is started again in 0.5 s" in running.log.read_text()

    @pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    def test_nothing_outlives_the_supervisor_however_it_ends(
        self, ended_by: signal.Signals, keep: Callable[..., Running]
    ):
        """Neither a child's child in a session of its own, nor one that does not listen."""
        running = keep(PARENT, DEAF)
        until(lambda: len(running.members()) == 3)
        running.process.send_signal(ended_by)
        assert running.process.wait(60) == (0 if ended_by != signal.SIGKILL else -ended_by)
        until(lambda: not running.members())
        assert running.record.exists() is (ended_by == signal.SIGKILL)

    def test_a_killed_guard_has_a_successor(self, keep: Callable[..., Running]):
        running = keep(PARENT)
        guard = running.pids()["guard"]
        os.kill(guard, signal.SIGKILL)
        until(lambda: running.pids().get("guard") not in (None, guard))
        running.process.kill()
        until(lambda: not running.members())

    def test_when_supervisor_and_guard_are_killed_at_once_the_kernel_and_the_next_one_do_the_rest(
        self, keep: Callable[..., Running]
    ):
        running = keep(PARENT, DEAF)
        until(lambda: len(running.members()) == 3 and "deaf" in running.log.read_text())
        os.kill(running.process.pid, signal.SIGSTOP)  # so that it makes no new guard
        for pid in (running.pids()["guard"], running.process.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(running.members()) == 2)  # the parent was told; its child, and the deaf one, are left
        assert end_leftovers(running.record)
        assert not running.members()
        assert not end_leftovers(running.record), "there is no record any more"

    def test_another_family_is_no_business_of_ours(self, tmp_path: Path):
        mine, other = Family.new(), Family.new()
        argv = ["/bin/sleep", "600"]
        with subprocess.Popen(argv, env=other.environment(os.environ)) as stranger:
            until(lambda: other.members() == [stranger.pid])
            assert mine.end(grace_seconds=1)
            assert stranger.poll() is None
            assert other.end(grace_seconds=1)
            assert stranger.wait() == -signal.SIGTERM

    def test_the_owner_of_the_embedded_servers_belongs_to_no_family(self, tmp_path: Path, monkeypatch):
        """Whoever starts it: a sensor of the code server may be the first to find the old one dead."""
        from calcom_pipeline.local.launch import _environment

        monkeypatch.setenv(FAMILY_VARIABLE, "one")
        assert FAMILY_VARIABLE not in _environment()


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"pid": 1}', "null"])
def test_a_record_that_is_missing_or_torn_names_nobody(text: str | None, tmp_path: Path):
    record = tmp_path / "up.json"
    if text is not None:
        record.write_text(text)
    assert not end_leftovers(record)


class TestRestarts:
    """On a clock of the test's own; the processes are real, and end at once."""

    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[KeptService]:
        said: list[str] = []
        program = ["/bin/sh", "-c", "exit 3"]
        with (tmp_path / "output").open("wb") as output:
            yield KeptService(SupervisedService("it", program), Family.new(), output.fileno(), said.append)

    def ended(self, service: KeptService, now: float) -> None:
        """Start it, wait for its end, and have that noticed at `now`."""
        assert service.tick(os.environ, now)
        assert service.process is not None
        service.process.wait()
        service.tick(os.environ, now)

    def test_one_that_was_never_steady_is_given_up(self, service: KeptService):
        for now in range(0, 100 * (FIRST_TRIES - 1), 100):
            self.ended(service, float(now))
        with pytest.raises(ServiceGivenUp) as given_up:
            self.ended(service, 1000.0)
        assert (given_up.value.name, given_up.value.code) == ("it", 3)

    def test_one_that_others_are_worth_running_without_is_never_given_up(self, service: KeptService):
        service.service = replace(service.service, essential=False)
        for now in range(0, 100 * (FIRST_TRIES + 2), 100):
            self.ended(service, float(now))

    def test_one_that_was_steady_is_tried_for_ever_with_growing_pauses(self, service: KeptService):
        assert service.tick(os.environ, 0.0)
        steady = service.process
        service._was_steady = True
        pauses: list[float] = []
        assert steady is not None
        steady.wait()
        service.tick(os.environ, 0.0)
        now = 0.0
        for _ in range(10):
            pauses.append(service._next_start - now)
            now = service._next_start
            assert not service.tick(os.environ, now - 0.01)
            self.ended(service, now)
        assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
        assert pauses[-1] == RETRY_SECONDS_MAX

    def test_one_that_the_machine_has_no_room_for_is_tried_again(self, service: KeptService, monkeypatch):
        def no_room(*_: object, **__: object) -> None:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", no_room)
            for now in range(0, 1000, 100):
                service.tick(os.environ, float(now))
                assert service.process is None
        assert not service.tick(os.environ, 900 + RETRY_SECONDS_MAX - 1)
        assert service.tick(os.environ, 900 + RETRY_SECONDS_MAX)
        assert service.process is not None
        service.stop()

    def test_after_a_steady_time_the_pauses_are_short_again(self, tmp_path: Path):
        family = Family.new()
        with (tmp_path / "output").open("wb") as output:
            program = ["/bin/sleep", "600"]
            service = KeptService(SupervisedService("it", program), family, output.fileno(), lambda _: None)
            service._tries = 9
            service.tick(os.environ, 0.0)
            service.tick(os.environ, STEADY_SECONDS)
            assert service.process is not None
            service.process.kill()
            service.process.wait()
            service.tick(os.environ, 100.0)
            assert service._next_start == 100.0 + services_module.RETRY_SECONDS

    def test_one_that_may_not_run_now_is_stopped_and_started_when_it_may(self, tmp_path: Path):
        allowed = threading.Event()
        program = ["/bin/sleep", "600"]
        with (tmp_path / "output").open("wb") as output:
            spec = SupervisedService("it", program, may_start=allowed.is_set)
            service = KeptService(spec, Family.new(), output.fileno(), lambda _: None)
            assert not service.tick(os.environ, 0.0)
            allowed.set()
            assert service.tick(os.environ, 1.0)
            allowed.clear()
            assert service.tick(os.environ, 2.0)
            assert service.process is None
            allowed.set()
            assert service.tick(os.environ, 3.0)
            service.stop()


class TestLog:
    def test_it_is_kept_over_a_restart_and_closed_to_others(self, tmp_path: Path):
        for line in ("one", "two"):
            log = SharedLog(tmp_path / "log", longest_bytes=1000, files=2)
            log.say(line)
            log.close()
        assert [line.rsplit(" ", 1)[1] for line in (tmp_path / "log").read_text().splitlines()] == ["one", "two"]
        assert (tmp_path / "log").stat().st_mode & 0o077 == 0

    def test_what_is_too_long_moves_aside_and_the_oldest_goes(self, tmp_path: Path):
        log = SharedLog(tmp_path / "log", longest_bytes=100, files=2)
        child = os.dup(log.fileno())  # as a service has it
        for letter in b"abcd":
            os.write(child, bytes([letter]) * 101)
            log.keep_bound()
        os.write(child, b"now")
        log.keep_bound()
        found = {path.name: path.read_bytes()[:3] for path in tmp_path.iterdir()}
        assert found == {"log": b"now", "log.1": b"ddd", "log.2": b"ccc"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
        os.close(child)
        log.close()

    def test_its_last_lines_are_those_of_this_start(self, tmp_path: Path):
        (tmp_path / "log").write_text("of the last start\n")
        log = SharedLog(tmp_path / "log", longest_bytes=1000, files=1)
        begins = log.size()
        os.write(log.fileno(), b"one\ntwo\nthree\n")
        assert log.last_lines(2, since=begins) == ["two", "three"]
        assert log.last_lines(9, since=begins) == ["one", "two", "three"]
        log.close()


def test_a_supervisor_starts_everything_anew_when_asked(tmp_path: Path):
    log = SharedLog(tmp_path / "log", longest_bytes=1000, files=1)
    program = ["/bin/sh", "-c", "echo $WORD; exec /bin/sleep 600"]
    supervisor = Supervisor(
        [SupervisedService("it", program)], {**os.environ, "WORD": "before"}, log, tmp_path / "up.json"
    )
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    until(lambda: "before" in (tmp_path / "log").read_text())
    supervisor.environment = {**os.environ, "WORD": "after"}
    supervisor.restart_all()
    until(lambda: "after" in (tmp_path / "log").read_text())
    stop.set()
    thread.join()
    log.close()
