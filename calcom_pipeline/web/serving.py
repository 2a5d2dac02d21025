"""The HTTP API as a server: one process in this one, or several under a supervisor that replaces one that died."""

import gc
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from uvicorn.supervisors import Multiprocess

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.bootstrap.container import Container, open_container
from calcom_pipeline.domain.errors import ConfigurationError, PipelineError, SchemaOutdated, StoreError
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.settings import Settings, load_settings
from calcom_pipeline.web.app import build_app
from calcom_pipeline.web.connections import BoundedConnection, ConnectionBounds, room_for
from calcom_pipeline.web.following import following_edits, receiving
from calcom_pipeline.web.measures import FOLDER_VARIABLE
from calcom_pipeline.web.options import WebOptions
from calcom_pipeline.web.receivers import AccountReceivers
from calcom_pipeline.web.webhooks import WebhookOptions, routes_by_name, webhook_routes

WORKERS_VARIABLE = "CALCOM_HTTP_WORKERS"
#: Seconds that an idle connection is kept; longer than a page takes to ask for its next month.
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 512
_FIRST_HANDED_OVER = 3
# Until PostgreSQL is taken for away: those who connect meanwhile wait in the socket's queue.
_FIRST_LOOK_SECONDS = 3.0

_log = event_logger("http")


class HttpApiEnded(PipelineError):  # noqa: N818 - says what happened
    """The HTTP API did not start, or ended unasked."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; the one that a service manager handed over, if it did (systemd's LISTEN_FDS).

    Such a socket outlives us: who connects while we are started again waits, and is not refused.

    Raises:
        ConfigurationError: the port is taken, or there is no such address.
    """
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0":
        listener = socket.socket(fileno=_FIRST_HANDED_OVER)
        listener.set_inheritable(True)
        return listener
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            [f"Port {port} at {host} cannot be used ({error.strerror})"],
            advice="Choose another one with --port or CALCOM_HTTP_PORT, another address with --host.",
        ) from None
    listener.set_inheritable(True)
    return listener


def serve(settings: Settings, listener: socket.socket, *, everyone: bool = False) -> None:
    """Answer until a signal asks to stop. PostgreSQL and Redis may be away: each answer says what it cannot do without.

    With `everyone` there are receivers of all accounts that files describe; and where the environment is no account,
    nothing else. SIGHUP has the webhooks' secrets read anew, without a moment in which nobody answers.

    Raises:
        HttpApiEnded: it did not start.
        ConfigurationError: an address of a server cannot be understood; checked before anything is served, also for
            several processes.
        SchemaOutdated: where no deliveries are taken in, who come but once.
    """
    # Held open here too: embedded servers live as long as the longest of us, and mistakes are told by this process.
    with open_container(settings) as container:
        _, _ = container.redis, container.database  # their addresses can be understood
        if not everyone or _is_account(container):
            _look_first(container)
        if settings.http_workers == 1:
            with ExitStack() as stack:
                server = uvicorn.Server(server_config(_application(container, stack, everyone=everyone), settings))
                server.run(sockets=[listener])
            if not server.started:
                raise HttpApiEnded("The HTTP API did not start")
            return
        with _shared_figures():
            os.environ[WORKERS_VARIABLE] = str(settings.http_workers)
            application = "worker_app_for_all" if everyone else "worker_app"
            _Workers(server_config(f"{__name__}:{application}", settings), [listener]).run()


class _Workers(Multiprocess):
    """Several processes, of which one that died is replaced."""

    def handle_hup(self) -> None:
        """All read the secrets anew at once; started anew one by one, some would refuse what others take."""
        for each in self.processes:
            if each.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGHUP)


def worker_app(*, everyone: bool = False) -> Starlette:
    """The application of one of several processes, by its environment."""
    settings = load_settings()
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()
    stack = ExitStack()
    container = stack.enter_context(open_container(settings))
    return _application(container, stack, everyone=everyone)


def worker_app_for_all() -> Starlette:
    """The same, with receivers of all accounts."""
    return worker_app(everyone=True)


def _end_with_parent() -> None:
    """Nobody replaces what outlives a killed parent, and its port would be taken for the next one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _look_first(container: Container) -> None:
    """Make the schema where there is none, and tell mistakes. A PostgreSQL that is away now is told, no more."""
    found = Future[None]()

    def look() -> None:
        try:
            container.require_schema()
        except BaseException as error:  # noqa: BLE001 - whoever waits hears of it
            found.set_exception(error)
        else:
            found.set_result(None)

    threading.Thread(target=look, name="first look", daemon=True).start()
    try:
        found.result(None if container.endpoints.embedded_database else _FIRST_LOOK_SECONDS)
    except TimeoutError:
        _log.warning("serving_without_postgresql", why="it does not answer", schema=container.database.schema)
    except SchemaOutdated as error:
        if not _takes_deliveries(container):
            raise
        _log.warning("serving_without_postgresql", why=str(error), advice=error.advice)
    except StoreError as error:
        _log.warning("serving_without_postgresql", why=str(error), advice=error.advice)


@contextmanager
def _renewing_secrets(renew: Callable[[], None]) -> Generator[None]:
    """On SIGHUP, beside the answers: a hundred accounts take a while to read."""
    guard, renewals = threading.Lock(), list[threading.Thread]()

    def run() -> None:
        try:
            with guard:
                renew()
        except ConfigurationError as error:  # it goes on as before
            _log.warning("webhook_secrets_not_renewed", why=str(error))

    def begin(_signal: int, _frame: object) -> None:
        renewals[:] = [each for each in renewals if each.is_alive()]
        renewals.append(threading.Thread(target=run, name="renewing secrets", daemon=True))
        renewals[-1].start()

    before = signal.signal(signal.SIGHUP, begin)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
        for each in renewals:
            each.join()


def _takes_deliveries(container: Container) -> bool:
    """Where a secret says whose deliveries are true, unless the receiver is off."""
    return bool(container.deliveries.secrets()) and "webhooks" not in container.settings.http_off


def _application(container: Container, stack: ExitStack, *, everyone: bool) -> Starlette:
    """The HTTP API, and receivers of webhooks. `stack` is closed once nothing is asked any more."""
    settings, routes, renewals = container.settings, list[BaseRoute](), list[Callable[[], None]]()
    serves_api = not everyone or _is_account(container)
    if serves_api and _takes_deliveries(container):
        intake = stack.enter_context(receiving(container))
        routes += webhook_routes(intake, WebhookOptions.of(settings))
        renewals.append(lambda: container.deliveries.renew_secrets(load_settings()))
    if serves_api:
        stack.enter_context(following_edits(container))
    if everyone and "webhooks" not in settings.http_off:
        receivers = stack.enter_context(AccountReceivers(container))
        routes += routes_by_name(receivers.find)
        renewals.append(receivers.renew)

    def renew() -> None:
        for each in renewals:
            each()
        _log.info("webhook_secrets_renewed")

    stack.enter_context(_renewing_secrets(renew))
    service = CalcomService(container) if serves_api else object()
    app = build_app(service, WebOptions.of(settings), extra=routes, on_stop=stack.close)
    gc.freeze()  # what was made until now stays; looking through it again and again is a tenth of a warm answer
    return app


def _is_account(container: Container) -> bool:
    """Where files describe accounts, an environment without a key is none."""
    return container.endpoints.api_key is not None


def server_config(app: Starlette | str, settings: Settings) -> uvicorn.Config:
    """Lines of its own would hold addresses with what was asked; ours hold names of operations."""
    bounds = ConnectionBounds(
        head_bytes=settings.http_header_kilobytes * 1024,
        head_seconds=settings.http_head_seconds,
        most=room_for(settings.http_connections),
    )
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=settings.http_workers,
        http=cast("Any", partial(BoundedConnection, bounds=bounds)),
        loop="auto",  # uvloop, wherever there is one
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.http_stop_seconds) or 1,
    )


@contextmanager
def _shared_figures() -> Generator[None]:
    """A folder through which the processes sum what /metrics tells."""
    with tempfile.TemporaryDirectory(prefix="calcom-metrics-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]
