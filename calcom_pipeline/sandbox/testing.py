"""A sandbox for tests: `with serve_sandbox() as sandbox:` and a small typed client of its control surface.

It runs in a process of its own, so that it neither shares the test's interpreter nor its patched clock;
`in_thread=True` saves the start of a process where that does not matter.
"""

import http.client
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from calcom_pipeline.sandbox.core.json_types import Json

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.02
_REQUEST_SECONDS: Final = 120.0
_HTTP_ERROR: Final = 400


class ControlError(Exception):
    """The control surface refused a request."""


class Control:
    """What tests ask of a running sandbox apart from the API. Times are ISO 8601 texts, lengths seconds."""

    def __init__(self, url: str) -> None:
        """`url` is the API's address, `http://host:port/v2`."""
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """One request to `/__sandbox…`. Raises ControlError for a refusal."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_REQUEST_SECONDS)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, "/__sandbox" + path, body=orjson.dumps(body) if body else None, headers=headers)
            response = connection.getresponse()
            found = orjson.loads(response.read())
        finally:
            connection.close()
        if response.status >= _HTTP_ERROR:
            raise ControlError(found["error"])
        return found

    # -- what there is, what happened

    def account(self) -> Json:
        """Keys, users, teams, and the ids of event types."""
        return self.ask("GET", "/account")

    def counters(self) -> Json:
        """Requests by endpoint and by key, refusals, the densest window of each key, crashes."""
        return self.ask("GET", "/counters")

    def requests(self, limit: int = 100) -> list[Json]:
        """The newest requests, oldest first."""
        return self.ask("GET", f"/requests?limit={limit}")

    def deliveries(self) -> list[Json]:
        """What became of the newest webhooks, oldest first."""
        return self.ask("GET", "/deliveries")

    def reset(self, *, account: bool = False) -> None:
        """Forgets counters, limiter, faults and cached slots; with `account` also what happened to the account."""
        self.ask("POST", "/reset", account=account)

    # -- time

    def clock(self) -> Json:
        """`now`, `ms` and whether it is `frozen`."""
        return self.ask("GET", "/clock")

    def freeze(self, at: str | None = None) -> None:
        """Stops the clock, at an instant or where it is."""
        self.ask("POST", "/clock", freeze=True, at=at)

    def set_clock(self, at: str) -> None:
        """Makes it that instant; a running clock runs on from there."""
        self.ask("POST", "/clock", at=at)

    def advance(self, seconds: float) -> None:
        """Moves the clock on."""
        self.ask("POST", "/clock", advance_seconds=seconds)

    def resume(self) -> None:
        """Lets a frozen clock run on."""
        self.ask("POST", "/clock", resume=True)

    # -- faults

    def add_fault(self, kind: str, endpoint: str = "*", **fields: Any) -> int:
        """Puts a fault in force; its id. Kinds and fields: `control.faults`."""
        return self.ask("POST", "/faults", kind=kind, endpoint=endpoint, **fields)["id"]

    def faults(self) -> list[Json]:
        """The faults in force, with what they saw and struck."""
        return self.ask("GET", "/faults")

    def remove_fault(self, fault_id: int) -> None:
        """Takes one fault out of force."""
        self.ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Takes all faults out of force."""
        self.ask("DELETE", "/faults")

    # -- changes behind the client's back

    def mutate(self, do: str, **fields: Any) -> Json:
        """One mutation of `control.mutations`, by name."""
        return self.ask("POST", "/mutate", do=do, **fields)

    def update_bookings(self, **fields: Any) -> int:
        """Changes bookings chosen by ids, uids, event_type_id, status, count; how many."""
        return self.mutate("update_bookings", **fields)["bookings"]

    def delete_bookings(self, **fields: Any) -> int:
        """Removes bookings without a trace; how many."""
        return self.mutate("delete_bookings", **fields)["bookings"]

    def read_bookings(self, **fields: Any) -> list[Json]:
        """Bookings as they are in the database."""
        return self.mutate("read_booking", **fields)["bookings"]


@dataclass(slots=True)
class RunningSandbox:
    """`url` ends in `/v2`; `keys` are the account's keys by name (without control: none)."""

    url: str
    pid: int
    keys: dict[str, str]
    control: Control

    @property
    def root(self) -> str:
        """The address without `/v2`."""
        return self.url.removesuffix("/v2")

    def path(self, *parts: object) -> str:
        """A path below the API, each part quoted."""
        return "/".join([self.url, *(quote(str(part), safe="") for part in parts)])


@contextmanager
def serve_sandbox(  # noqa: PLR0913 - every part of an account may be chosen, all by name
    account: str = "captures",
    *,
    control: bool = True,
    limit: int | None = None,
    window_seconds: float | None = None,
    block_seconds: float | None = None,
    insert_seconds: float = 0.02,
    now: str | None = None,
    seed: int = 1,
    event_types: int | None = None,
    teams: int | None = None,
    bookings: int | None = None,
    organization: bool = False,
    state: Path | None = None,
    port: int = 0,
    in_thread: bool = False,
) -> Generator[RunningSandbox]:
    """Serves an account as long as the block runs.

    `limit`, `window_seconds` and `block_seconds` (fractions are fine) replace the limit of keys without one of their
    own; `insert_seconds` pass between a create's check and its insert; `now` is the instant at which the clock starts.
    Raises RuntimeError if it does not start.
    """
    options: dict[str, Any] = {
        "account": account,
        "port": port,
        "event_types": event_types,
        "teams": teams,
        "bookings": bookings,
        "organization": organization,
        "seed": seed,
        "state": state,
        "control": control,
        "now": now,
        "limit": limit,
        "window_seconds": window_seconds,
        "block_seconds": block_seconds,
        "insert_seconds": insert_seconds,
    }
    running = _in_thread(options) if in_thread else _in_process(options)
    with running as (url, pid):
        surface = Control(url)
        keys: dict[str, str] = surface.account()["keys"] if control else {}
        yield RunningSandbox(url, pid, keys, surface)


@contextmanager
def _in_process(options: dict[str, Any]) -> Generator[tuple[str, int]]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
        ready, errors = Path(folder) / "ready.json", Path(folder) / "errors"
        errors.touch()
        process = _forks().Process(target=_serve, args=({**options, "ready_file": ready}, errors), daemon=True)
        process.start()
        try:
            found = _wait_for(process, ready, errors)
            yield found["url"], found["pid"]
        finally:
            _stop(process)
        error_text = errors.read_text("utf-8", "replace").strip()
        if error_text:
            raise RuntimeError(f"The sandbox said:\n{error_text}")


@cache
def _forks() -> ForkServerContext:
    """One process that has everything imported and forks a sandbox in milliseconds; it ends with ours."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["calcom_pipeline.sandbox.server"])
    return context


def _serve(options: dict[str, Any], errors: Path) -> None:
    from calcom_pipeline.sandbox.server import Options, run

    with errors.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        run(Options(**options))
    except (ValueError, OSError) as error:
        sys.exit(str(error))


def _wait_for(process: BaseProcess, ready: Path, errors: Path) -> Json:
    until = time.monotonic() + _START_SECONDS
    while not ready.exists():
        if not process.is_alive() or time.monotonic() > until:
            raise RuntimeError(f"The sandbox did not start: {errors.read_text('utf-8', 'replace').strip()}")
        time.sleep(_POLL_SECONDS)
    return orjson.loads(ready.read_bytes())


def _stop(process: BaseProcess) -> None:
    process.terminate()
    process.join(_STOP_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


@contextmanager
def _in_thread(options: dict[str, Any]) -> Generator[tuple[str, int]]:
    from calcom_pipeline.sandbox.server import Options, SandboxServer

    ready = threading.Event()
    ports: list[int] = []

    def note(port: int) -> None:
        ports.append(port)
        ready.set()

    server = SandboxServer(Options(**options), on_ready=note)
    thread = threading.Thread(target=server.run, name="sandbox", daemon=True)
    thread.start()
    if not ready.wait(_START_SECONDS):
        raise RuntimeError("The sandbox did not start")
    try:
        yield f"http://127.0.0.1:{ports[0]}/v2", os.getpid()
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
