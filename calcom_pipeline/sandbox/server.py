"""One sandbox behind uvicorn: from the command's options to a served account, and its state back into the file."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calcom_pipeline.sandbox import persistence
from calcom_pipeline.sandbox.accounts.specs import AccountSpec, build, kind_of
from calcom_pipeline.sandbox.app import build_app
from calcom_pipeline.sandbox.core.clock import Clock
from calcom_pipeline.sandbox.core.times import SECOND_MS, parse_iso
from calcom_pipeline.sandbox.files import replace_file
from calcom_pipeline.sandbox.http.limiter import Limit
from calcom_pipeline.sandbox.http.transport import WatchedProtocol
from calcom_pipeline.sandbox.runtime import QUICK_INSERT_SECONDS, Sandbox
from calcom_pipeline.sandbox.sequences import SUFFIX, KeptSequences, Ledger
from calcom_pipeline.sandbox.state.world import World

_SAVE_EVERY_SECONDS: Final = 5.0  # where answers do not wait for the state, a killed process loses at most so much
_QUICK_SAVE_SECONDS: Final = 0.1  # state that takes longer to write is not written before every answer to a write
_GRACE_SECONDS: Final = 3  # for open requests when it ends


@dataclass(frozen=True, slots=True)
class Options:
    """What to serve, and where. `now` is an ISO 8601 instant; the limit's parts that are None are Cal.com's."""

    account: str = "captures"
    host: str = "127.0.0.1"
    port: int = 0
    event_types: int | None = None
    teams: int | None = None
    bookings: int | None = None
    organization: bool = False
    seed: int = 1
    state: Path | None = None
    control: bool = False
    now: str | None = None
    limit: int | None = None
    window_seconds: float | None = None
    block_seconds: float | None = None
    insert_seconds: float = QUICK_INSERT_SECONDS
    ready_file: Path | None = None

    @classmethod
    def from_command(cls, options: Mapping[str, Any]) -> "Options":
        """The options as click names them."""
        paths = {name: Path(options[name]) for name in ("state", "ready_file") if options[name]}
        given: dict[str, Any] = {**options, "state": None, "ready_file": None, **paths}
        return cls(**given)

    def key_limit(self) -> Limit | None:
        """The limit of keys without one of their own, if any part of it was given."""
        if self.limit is None and self.window_seconds is None and self.block_seconds is None:
            return None
        usual = Limit()
        window = usual.window_ms if self.window_seconds is None else round(self.window_seconds * SECOND_MS)
        block = window if self.block_seconds is None else round(self.block_seconds * SECOND_MS)
        return replace(usual, hits=self.limit or usual.hits, window_ms=max(window, 1), block_ms=max(block, 1))


@dataclass(frozen=True, slots=True)
class Opened:
    """A sandbox with what its state file needs: the account's spec, and the ledger of its ids if there is a file."""

    sandbox: Sandbox
    spec: AccountSpec
    ledger: Ledger | None = None


def open_sandbox(options: Options) -> Opened:
    """The account of the options, ready to be served. Raises ValueError or OSError if there is no such account.

    With a state file every life draws its uids from a seed of its own: a killed process has handed out some that stand
    in no file.
    """
    start = None
    if options.now is not None:
        start = parse_iso(options.now)
        if start is None:
            raise ValueError(f"--now must be an ISO 8601 instant, not {options.now!r}")
    clock = Clock(start_ms=start)
    kind = kind_of(options.account)
    asked = AccountSpec(
        kind=kind,
        created=clock.now(),
        seed=options.seed,
        event_types=options.event_types,
        teams=options.teams,
        bookings=options.bookings,
        organization=options.organization,
        path=str(Path(options.account).resolve()) if kind == "file" else None,
    )
    spec, world, generators = persistence.load_or_create(options.state, asked)
    worlds = iter([world])  # the first building is done; a reset makes the account again
    ledger = None if options.state is None else Ledger(options.state.with_name(options.state.name + SUFFIX))

    def build_world() -> World:
        made = next(worlds, None) or build(spec)
        if ledger is not None:
            made.sequences = KeptSequences(made.sequences, ledger)
        return made

    sandbox = Sandbox(
        build_world,
        clock,
        seed=options.seed,
        life="" if options.state is None else secrets.token_hex(),
        key_limit=options.key_limit(),
        shuffles_rows=spec.shuffles_rows,
        insert_seconds=options.insert_seconds,
    )
    sandbox.resume(generators)
    return Opened(sandbox, spec, ledger)


class SandboxServer(uvicorn.Server):
    """uvicorn with one sandbox; says where it is once it answers, and keeps the state file."""

    def __init__(self, options: Options, *, on_ready: Callable[[int], None] | None = None) -> None:
        opened = open_sandbox(options)
        self.sandbox, self._spec, self._ledger = opened.sandbox, opened.spec, opened.ledger
        self._options = options
        self._on_ready = on_ready
        self._saved = -1  # of the sandbox's writes
        self._save_seconds = 0.0  # what the last one took
        super().__init__(
            uvicorn.Config(
                self._saving(build_app(self.sandbox, control=options.control)),
                host=options.host,
                port=options.port,
                http=WatchedProtocol,
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    async def startup(self, sockets: Any = None) -> None:
        """Opens the port, then reports where it is."""
        await super().startup(sockets)
        if not self.started:
            return
        port: int = self.servers[0].sockets[0].getsockname()[1]
        self.save()  # before anybody gets an answer: an account that is made again later is another one
        self._keeper = asyncio.create_task(self._keep())
        if self._options.ready_file is not None:
            url = f"http://{self._options.host}:{port}/v2"
            replace_file(self._options.ready_file, orjson.dumps({"url": url, "port": port, "pid": os.getpid()}))
        if self._on_ready is not None:
            self._on_ready(port)

    async def shutdown(self, sockets: Any = None) -> None:
        """Ends the requests, then writes the state a last time."""
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        await super().shutdown(sockets)
        self.save()
        if self._ledger is not None:
            self._ledger.settle()

    def save(self) -> None:
        """Writes the state file if there is one and something changed since."""
        path, writes = self._options.state, self.sandbox.writes
        if path is not None and writes != self._saved:
            began = time.monotonic()
            replace_file(path, persistence.snapshot(self._spec, self.sandbox))
            self._saved = writes
            self._save_seconds = time.monotonic() - began

    def _saving(self, app: ASGIApp) -> ASGIApp:
        """Writes the state before a write is answered, while that is quick: what was answered outlives a kill."""

        async def saved_first(scope: Scope, receive: Receive, send: Send) -> None:
            async def after_saving(message: Message) -> None:
                if message["type"] == "http.response.start" and self._save_seconds < _QUICK_SAVE_SECONDS:
                    with suppress(OSError):  # a full disk: tried again later
                        self.save()
                await send(message)

            await app(scope, receive, after_saving)

        return saved_first

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY_SECONDS)
            with suppress(OSError):  # as above
                self.save()


def run(options: Options) -> None:
    """Serves until SIGTERM or SIGINT; the process then ends with 0."""
    server = SandboxServer(options, on_ready=None if options.ready_file else lambda port: _say(options, port))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stay)
    try:
        server.run()
    except SystemExit as error:  # how uvicorn says that it cannot open the port
        raise OSError(f"Cannot listen on {options.host}:{options.port}") from error


def _stay(number: int, frame: object) -> None:
    """Uvicorn ends by a signal and raises it once more when it is done; that second one shall not kill."""


def _say(options: Options, port: int) -> None:
    print(f"http://{options.host}:{port}/v2", flush=True)  # noqa: T201 - a server without a ready file says where it is
