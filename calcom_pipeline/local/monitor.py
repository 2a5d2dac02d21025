"""Keeps one server running: starts it, notices its end, starts it again, stops it."""

import logging
import os
import signal
import subprocess
import time

from calcom_pipeline.local import logs
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import end, spawn
from calcom_pipeline.local.servers import Server
from calcom_pipeline.local.values import LocalServerError, full_disk

FIRST_TRIES = 3  # a server that ends this often before it ever answered is given up
RETRY_SECONDS = 0.1  # before the first new try; doubled for each further one...
RETRY_SECONDS_MAX = 5.0  # ...up to this
STEADY_SECONDS = 10.0  # after answering this long, a server has its tries again
KILL_WAIT_SECONDS = 10.0

_log = logging.getLogger(__name__)


class ServerMonitor:
    """Keeps one server running. `tick` is called again and again, from one thread."""

    def __init__(self, server: Server, folder: Folder) -> None:
        self.server = server
        self.lives = False
        self.ever_lived = False
        self._folder = folder
        self._log_file = folder.log(server.name)
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._tries = 0
        self._next_start = 0.0
        self._living_since = 0.0

    def tick(self) -> bool:
        """Do what is due; True if the server began or ceased to live.

        Raises LocalServerError if it never lived and is given up.
        """
        now = time.monotonic()
        if self._process is None:
            if now >= self._next_start:
                self._next_start = now + RETRY_SECONDS  # should this try raise an OSError
                self._start()
            return False
        if self._process.poll() is not None:
            return self._ended(now)
        if not self.lives and self.server.lives():
            self.lives = self.ever_lived = True
            self._living_since = now
            _log.info("%s answers", self.server.title)
            return True
        if self.lives and not self.server.is_reachable():
            _log.warning("%s lost its socket or ready file: starting it again", self.server.title)
            self.stop()
        return False

    def cut_log(self) -> None:
        """Keep its log small."""
        logs.cut(self._log_file)

    def ask_to_stop(self) -> None:
        """Send the first, gentle signal, so that several servers stop side by side."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(self.server.ways_to_end[0][0])

    def stop(self) -> None:
        """Stop it and wait until it is gone, with ever less patience."""
        process = self._process
        if process is None:
            return
        for wish, seconds in (*self.server.ways_to_end, (signal.SIGKILL, KILL_WAIT_SECONDS)):
            if process.poll() is not None:
                break
            process.send_signal(wish)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                _log.warning("%s did not end within %g s of %s", self.server.title, seconds, wish.name)
        self._process = None
        self.lives = False
        self._end_stragglers()

    def _start(self) -> None:
        self._end_stragglers()
        self.server.prepare()
        self._log_start = logs.size(self._log_file)
        output = logs.open_log(self._log_file)
        try:
            self._process = spawn(self.server.command(), output)
        finally:
            os.close(output)
        _log.info("%s started as process %s", self.server.title, self._process.pid)

    def _ended(self, now: float) -> bool:
        assert self._process is not None
        code, self._process = self._process.returncode, None
        reason = logs.last_line(self._log_file, self._log_start)
        _log.warning("%s ended (%s): %s", self.server.title, _how(code), reason)
        if self.lives and now - self._living_since >= STEADY_SECONDS:
            self._tries = 0
        self._tries += 1
        if not self.ever_lived and self._tries >= FIRST_TRIES:
            reason = (
                full_disk(self._folder.path, reason) or f"{self.server.title} does not start ({_how(code)}): {reason}"
            )
            raise LocalServerError(f"{reason} (log: {self._log_file})")
        self._next_start = now + min(RETRY_SECONDS * 2 ** (self._tries - 1), RETRY_SECONDS_MAX)
        lived, self.lives = self.lives, False
        return lived

    def _end_stragglers(self) -> None:
        if end(self.server.mark, self.server.ways_to_end, self.server.leaders):
            _log.info("%s had left processes behind: ended", self.server.title)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
