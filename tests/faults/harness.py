"""The harness of faults: real processes on real servers, seeded kills, restarts, the sandbox's faults, quiet, an audit.

    with site(limit=120, window_seconds=6) as here, here.crew() as crew:
        crew.hire(roles.reader, "sync", count=8)        # processes of their own
        here.sandbox.control.add_fault("error", share=0.1)
        crew.storm(kills=20, seed=1, between=(0.1, 0.4))  # SIGKILL at seeded moments, a successor for each
        here.restart_valkey()
        here.quiet()
        crew.dismiss()              # at the end of the site's block: an audit of all that was written

A role is a function of `roles.py` (or of any module that can be imported) that takes a `Desk`. What it tells is written
to a file of its own, one JSON line each, so a killed process loses nothing that it had told.
"""

import json
import logging
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
import redis

from calcom_pipeline import local
from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.redis.limiter.limiter import Budget
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.clients import client_of
from tests.support.forks import Forks

_FORKS = Forks("tests.faults.roles", "tests.faults.booking_roles", "tests.faults.webhook_roles")
_DISMISS_SECONDS = 5.0
_SERVER_BACK_SECONDS = 30.0
SCHEMA = "calcom"
_log = logging.getLogger("tests.faults")


@dataclass(frozen=True)
class Place:
    """Where a process finds everything. Travels to it."""

    url: str
    key: str
    redis_url: str
    database_url: str
    folder: Path
    budget: Budget


class Desk:
    """What a role works with: its name, its place, a seeded generator, and a way to tell what it did."""

    def __init__(self, place: Place, name: str, seed: int) -> None:
        self.place = place
        self.name = name
        self.random = random.Random(f"{name}-{seed}")
        self._file = os.open(place.folder / f"{name}.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def tell(self, what: str, **fields: Any) -> None:
        """One line, whole even if this process is killed right after."""
        line = json.dumps({"who": self.name, "what": what, "at": time.time(), **fields})
        os.write(self._file, line.encode() + b"\n")

    @contextmanager
    def calcom(self, **options: Any) -> Generator[CalcomClient]:
        """A client at this place; options are those of `client_of`."""
        from calcom_pipeline.adapters.redis.connection import open_redis

        place = self.place
        with open_redis(place.redis_url) as store:
            given = {"budget": place.budget, "patience": RetryPatience(deadline_seconds=300, attempts=6), **options}
            with client_of(place.url, place.key, store, **given) as calcom:
                yield calcom

    @contextmanager
    def database(self) -> Generator[Database]:
        """PostgreSQL at this place; the site has to be one with a database."""
        with open_database(self.place.database_url, schema=SCHEMA) as database:
            yield database


def _work(role: Callable[..., None], place: Place, name: str, seed: int, arguments: tuple[Any, ...]) -> None:
    """The first function of a hired process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Everything that could be logged is, so that the audit can look for what must not be.
    logging.basicConfig(filename=place.folder / f"{name}.log", level=logging.DEBUG, force=True)
    try:
        role(Desk(place, name, seed), *arguments)
    except BaseException:
        _log.exception("%s ended", name)  # for the audit, and for whoever wonders why
        raise


@dataclass
class _Hired:
    process: BaseProcess
    name: str
    role: Callable[..., None]
    arguments: tuple[Any, ...]


@dataclass
class Crew:
    """Processes at work at one place."""

    place: Place
    seed: int = 1
    killed: int = 0
    _at_work: list[_Hired] = field(default_factory=list)
    _hired: int = 0

    def hire(self, role: Callable[..., None], *arguments: Any, count: int = 1) -> None:
        """Start processes in a role."""
        for _ in range(count):
            name = f"{role.__name__}-{self._hired}"
            self._hired += 1
            process = _FORKS.start(_work, role, self.place, name, self.seed, arguments)
            self._at_work.append(_Hired(process, name, role, arguments))

    def storm(self, *, kills: int, seed: int, between: tuple[float, float]) -> None:
        """Kill with SIGKILL at seeded moments, one process at a time; each gets a successor at once."""
        moments = random.Random(seed)
        for _ in range(kills):
            time.sleep(moments.uniform(*between))
            victim = moments.choice(self._at_work)
            self._kill(victim)
            self.hire(victim.role, *victim.arguments)

    def dismiss(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End all of them."""
        for hired in list(self._at_work):
            self._kill(hired, how)

    def wait(self, seconds: float) -> None:
        """Until all have ended by themselves, without an error."""
        end = time.monotonic() + seconds
        for hired in self._at_work:
            hired.process.join(max(0.0, end - time.monotonic()))
        late = [h.name for h in self._at_work if h.process.is_alive()]
        failed = [h.name for h in self._at_work if h.process.exitcode not in (0, None)]
        assert not late, f"still at work after {seconds} s: {late}"
        assert not failed, f"ended with an error: {failed}: {self._last_words(failed)}"
        self._at_work.clear()

    def _last_words(self, names: list[str]) -> list[str]:
        logs = [self.place.folder / f"{name}.log" for name in names]
        return [log.read_text(errors="replace")[-500:] for log in logs if log.exists()]

    def _kill(self, hired: _Hired, how: signal.Signals = signal.SIGKILL) -> None:
        if hired.process.is_alive() and hired.process.pid:
            os.kill(hired.process.pid, how)
            self.killed += how is signal.SIGKILL
        hired.process.join(_DISMISS_SECONDS)
        hired.process.close()
        self._at_work.remove(hired)


@dataclass
class Site:
    """One sandbox, one PostgreSQL, one Valkey, a folder of what was told; nothing of it is shared with other tests."""

    sandbox: RunningSandbox
    servers: local.Servers
    place: Place
    logs: Path

    @contextmanager
    def crew(self, *, seed: int = 1) -> Generator[Crew]:
        """Processes that are gone at the end of the block, whatever happened."""
        crew = Crew(self.place, seed)
        try:
            yield crew
        finally:
            crew.dismiss()

    # --- looking -----------------------------------------------------------------------------------------

    def told(self, what: str = "") -> list[dict[str, Any]]:
        """Everything that was told, or one kind of it, in order of time."""
        return sorted((line for line in self._lines() if not what or line["what"] == what), key=lambda line: line["at"])

    def counted(self) -> Counter[str]:
        """How often each thing was told."""
        return Counter(line["what"] for line in self._lines())

    def key_counters(self) -> dict[str, Any]:
        """The sandbox's counters of our key."""
        names = {secret: name for name, secret in self.sandbox.keys.items()}
        return self.sandbox.control.counters()["keys"].get(names[self.place.key], {})

    @contextmanager
    def redis(self) -> Generator[redis.Redis]:
        """Valkey."""
        client = redis.Redis.from_url(self.place.redis_url)
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def database(self) -> Generator[Database]:
        """PostgreSQL, in the schema of this release."""
        with open_database(self.place.database_url, schema=SCHEMA) as database:
            yield database

    # --- faults of the ground ----------------------------------------------------------------------------

    def flush_valkey(self) -> None:
        """Everything in it is gone."""
        with self.redis() as client:
            client.flushall()

    def restart_valkey(self) -> None:
        """SIGKILL; its owner starts it again, empty."""
        with self.redis() as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        self._until_back(self._ping)

    def restart_postgres(self) -> None:
        """SIGKILL to the postmaster; its owner starts it again, after crash recovery."""
        with psycopg.connect(self.place.database_url) as connection:
            stat = Path(f"/proc/{connection.info.backend_pid}/stat").read_text()
        parent = int(stat.rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        self._until_back(self._select)

    def quiet(self) -> None:
        """No fault is in force any more."""
        self.sandbox.control.clear_faults()

    # --- the audit ---------------------------------------------------------------------------------------

    def audit(self) -> None:
        """What must be true after any storm: no crash of the stand-in, and nothing secret in anything written.

        `site` asks for it at the end of its block.
        """
        from tests.support import leaks  # not in the processes of a crew: it watches whoever imports it

        assert self.sandbox.control.counters()["crashes"] == 0
        leaks.nothing_leaked_anywhere(self.servers, self.place.folder, self.logs)

    # --- inside ------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[dict[str, Any]]:
        for file in self.place.folder.glob("*.jsonl"):
            for line in file.read_bytes().splitlines():
                yield json.loads(line)

    def _until_back(self, answers: Callable[[], object]) -> None:
        end = time.monotonic() + _SERVER_BACK_SECONDS
        while True:
            try:
                answers()
            except (redis.RedisError, psycopg.Error):
                assert time.monotonic() < end, "the server was not started again"
                time.sleep(0.02)
            else:
                return

    def _ping(self) -> None:
        with self.redis() as client:
            client.ping()

    def _select(self) -> None:
        psycopg.connect(self.place.database_url).close()


@contextmanager
def site(
    *, key: str = "bob", budget: Budget, with_database: bool = False, account: str = "captures", **sandbox: Any
) -> Generator[Site]:
    """A site of its own; further arguments are those of `serve_sandbox`."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o711)  # the embedded servers of root run as somebody else
    told = folder / "told"
    told.mkdir()
    try:
        with (
            local.join(folder / "data", durable=False, linger_seconds=0.3) as servers,
            serve_sandbox(account, control=True, **sandbox) as running,
        ):
            place = Place(running.url, running.keys[key], servers.redis_url, servers.database_url, told, budget)
            here = Site(running, servers, place, folder / "data" / "log")
            if with_database:
                with here.database() as database:
                    migrate(database, shipped_migrations())
            yield here
            here.audit()
        local.remove(folder / "data")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def machine() -> str:
    """The machine, as figures are printed with it."""
    cores, load = os.cpu_count(), os.getloadavg()[0]
    return f"{cores} cores, load {load:.1f}"
