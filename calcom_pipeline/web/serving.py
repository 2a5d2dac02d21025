"""The HTTP API as a server: one process in this one, or several under a supervisor that replaces one that died."""

import gc
import os
import socket
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from uvicorn.supervisors import Multiprocess

from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.domain.errors import ConfigurationError, PipelineError
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.settings import Settings, load_settings
from calcom_pipeline.web.app import build_app
from calcom_pipeline.web.measures import FOLDER_VARIABLE
from calcom_pipeline.web.options import WebOptions
from calcom_pipeline.web.protocol import bounded_protocol
from calcom_pipeline.web.webhooks import WebhookOptions, receiving, webhook_routes

WORKERS_VARIABLE = "CALCOM_HTTP_WORKERS"
#: Seconds that an idle connection is kept; longer than a page takes to ask for its next month.
_KEEP_ALIVE_SECONDS = 15
#: Connections beyond what threads and queues hold are refused at once.
_SPARE_CONNECTIONS = 200
_BACKLOG = 512


class HttpApiEnded(PipelineError):  # noqa: N818 - says what happened
    """The HTTP API did not start, or ended unasked."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ConfigurationError: the port is taken, or there is no such address.
    """
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


def serve(settings: Settings, listener: socket.socket) -> None:
    """Answer until a signal asks to stop.

    Raises:
        HttpApiEnded: it did not start.
        PipelineError: what `ready_container` raises; checked before anything is served, also for several processes.
    """
    # Held open here too: embedded servers live as long as the longest of us, and mistakes are told by this process.
    with ready_container(settings) as container:
        if settings.http_workers == 1:
            with ExitStack() as stack:
                server = uvicorn.Server(server_config(_application(container, stack), settings))
                server.run(sockets=[listener])
            if not server.started:
                raise HttpApiEnded("The HTTP API did not start")
            return
        with _shared_figures():
            os.environ[WORKERS_VARIABLE] = str(settings.http_workers)
            Multiprocess(server_config(f"{__name__}:worker_app", settings), [listener]).run()


def worker_app() -> Starlette:
    """The application of one of several processes, by its environment."""
    settings = load_settings()
    stack = ExitStack()
    return _application(stack.enter_context(ready_container(settings)), stack)


def _application(container: Container, stack: ExitStack) -> Starlette:
    """The HTTP API, and the receiver of webhooks where a secret says whose deliveries are true.

    `stack` is closed once nothing is asked any more.
    """
    settings, receiver = container.settings, list[BaseRoute]()
    if container.deliveries.secrets():
        intake = stack.enter_context(receiving(container))
        receiver += webhook_routes(intake, WebhookOptions.of(settings))
    app = build_app(CalcomService(container), WebOptions.of(settings), extra=receiver, on_stop=stack.close)
    gc.freeze()  # what was made until now stays; looking through it again and again is a tenth of a warm answer
    return app


def server_config(app: Starlette | str, settings: Settings) -> uvicorn.Config:
    """Lines of its own would hold addresses with what was asked; ours hold names of operations."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=settings.http_workers,
        http=bounded_protocol(settings.http_header_kilobytes * 1024),
        loop="auto",  # uvloop, wherever there is one
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=5 * (settings.http_threads + settings.http_write_threads) + _SPARE_CONNECTIONS,
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
