"""A Valkey of a test's own, which may be killed, started again from a snapshot, and replaced by another."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.exceptions import RedisError

from calcom_pipeline.local.programs import installed
from tests.support.web import free_port

_START_SECONDS = 30.0


class MortalRedis:
    """One address, and whatever server answers there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._snapshot = folder / "snapshot.rdb"
        self._port = free_port()
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    @property
    def client(self) -> redis.Redis:
        """A client that greets nobody."""
        return redis.Redis.from_url(self.url)

    def start(self, *, from_snapshot: bool = False) -> None:
        """A server with nothing in it, or with what it had when the snapshot was taken."""
        home = self._folder / f"life-{self._lives}"
        home.mkdir()
        self._lives += 1
        if from_snapshot:
            shutil.copy(self._snapshot, home / "dump.rdb")
        command = [str(installed().valkey), "--port", str(self._port), "--dir", str(home), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "Valkey ended"
            assert time.monotonic() < until, "Valkey did not start"
            time.sleep(0.01)

    def snapshot(self) -> None:
        """Keep what there is now."""
        self.client.save()
        shutil.copy(self._folder / f"life-{self._lives - 1}" / "dump.rdb", self._snapshot)

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def mortal_redis(folder: Path) -> Iterator[MortalRedis]:
    """A server as long as the block."""
    server = MortalRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
