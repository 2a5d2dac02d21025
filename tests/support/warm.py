"""Commands in processes of their own, without the second of processor time in which each imports what it runs.

One process imports them, and is forked for each start; from there on a command is what a shell would have started, with
variables, pipes and signals of its own. That nothing but its own imports is needed, and how Python itself ends, is for
those tests that start a Python.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import NoReturn, Self, TextIO

from tests.support import leaks

_CHECKOUT = Path(__file__).parents[2]
#: The server, and what commands import when they open the pipeline.
IMPORTED = (
    "calcom_pipeline.web.serving",
    "calcom_pipeline.adapters.calcom.bookings.endpoints",
    "calcom_pipeline.adapters.calcom.client",
    "calcom_pipeline.adapters.calcom.slots",
    "calcom_pipeline.adapters.postgres.call_ledger",
    "calcom_pipeline.adapters.postgres.migrations",
    "calcom_pipeline.adapters.redis.availability.days",
    "calcom_pipeline.adapters.redis.limiter",
    "calcom_pipeline.adapters.redis.together",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
_NUMBER = struct.Struct("i")
_ONE_AT_A_TIME = threading.Lock()


# --- the process that is forked --------------------------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    """Start what is asked for until the other side is gone; returns in each started process, whose words it leaves."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a person who ends the tests
    while True:
        length, files, _, _ = socket.recv_fds(control, _NUMBER.size, 3)
        if not length:
            os._exit(0)
        request = _exactly(control, _NUMBER.unpack(length)[0])
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            control.close()
            if _keep(files):
                _become(json.loads(request), files)
                return
        for file in files:
            os.close(file)


def _exactly(control: socket.socket, size: int) -> bytes:
    with control.makefile("rb", buffering=0) as reading:
        found = b""
        while len(found) < size:
            found += reading.read(size - len(found)) or os._exit(0)
        return found


def _keep(files: list[int]) -> bool:
    """Fork once more: the parent says the child's number and how it ended, and True is returned in the child."""
    notes = files[0]
    if not (pid := os.fork()):
        return True
    for file in files[1:]:
        os.close(file)
    os.write(notes, _NUMBER.pack(pid))
    os.write(notes, _NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    os._exit(0)


def _become(request: dict[str, dict[str, str] | list[str]], files: list[int]) -> None:
    for number, file in enumerate(files[1:], start=1):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["words"]


def is_measured() -> bool:
    """Whether coverage is measured, which begins as a Python starts."""
    return "COVERAGE_PROCESS_CONFIG" in os.environ or "COVERAGE_PROCESS_START" in os.environ


# --- the tests' side -------------------------------------------------------------------------------------------


class WarmProcess:
    """A started command, to be used as one of `subprocess` is. It writes where it is told to, else into pipes."""

    def __init__(
        self, words: Sequence[str], environment: dict[str, str], *, out: int | None = None, err: int | None = None
    ) -> None:
        self.args = ["calcom-pipeline", *words]
        self.returncode: int | None = None
        self._is_open = True
        (self._notes, theirs), (self._out, own_out), (self._err, own_err) = os.pipe(), os.pipe(), os.pipe()
        request = json.dumps({"words": list(words), "environment": environment}).encode()
        files = [theirs, own_out if out is None else out, own_err if err is None else err]
        with _ONE_AT_A_TIME:
            socket.send_fds(_starter()[0], [_NUMBER.pack(len(request))], files)
            _starter()[0].sendall(request)
        for file in (theirs, own_out, own_err):
            os.close(file)
        self.pid = self._note()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        self.close()

    @cached_property
    def stderr(self) -> TextIO:
        """What it writes there, to be read as it comes; whoever reads it asks for no `communicate`."""
        return os.fdopen(os.dup(self._err))

    def poll(self) -> int | None:
        """How it ended, if it did."""
        if self.returncode is None and self._is_open and select.select([self._notes], [], [], 0)[0]:
            self.returncode = self._note()
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """How it ended, as soon as it did. Raises TimeoutExpired."""
        if self.returncode is None and not select.select([self._notes], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended; that its starter has not told of that yet makes no difference."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """What it and its children wrote, once all of them have ended. Raises TimeoutExpired."""
        until = time.monotonic() + timeout
        heard = {self._out: b"", self._err: b""}
        left = set(heard)
        while left:
            ready, _, _ = select.select(left, [], [], max(0, until - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout)
            for file in ready:
                more = os.read(file, 1 << 16)
                heard[file] += more
                if not more:
                    left.remove(file)
        self.wait(max(0, until - time.monotonic()))
        out, err = (text.decode() for text in heard.values())
        leaks.said(f"`{' '.join(self.args)}`", out, err)
        return out, err

    def close(self) -> None:
        """Let its pipes go."""
        if not self._is_open:
            return
        self._is_open = False
        for file in (self._notes, self._out, self._err):
            os.close(file)
        if "stderr" in vars(self):
            self.stderr.close()

    def _note(self) -> int:
        return _NUMBER.unpack(os.read(self._notes, _NUMBER.size))[0]


@cache
def _starter() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The way to the process that is forked, which ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    words = [sys.executable, "-m", __name__, str(theirs.fileno())]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_CHECKOUT)}
    process = subprocess.Popen(words, env=variables, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    return ours, process


def _end(code: int) -> NoReturn:
    """As Python ends, but for taking all modules apart, which costs more than most commands do."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as `multiprocessing` does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120  # Python's own
    os._exit(code)


if __name__ == "__main__":
    from calcom_pipeline.cli import main

    for _name in IMPORTED:
        import_module(_name)
    gc.freeze()  # what is looked through for garbage is copied
    _serve(socket.socket(fileno=int(sys.argv.pop())))
    try:
        main()
    except SystemExit as ended:
        _end(int(ended.code or 0))
