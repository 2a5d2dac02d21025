"""`calcom-pipeline serve`: the HTTP API, until Ctrl-C."""

import ipaddress
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from calcom_pipeline.cli.console import say
from calcom_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from calcom_pipeline.settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _StopAsked(BaseException):
    """A signal asked us to stop."""


@click.command()
@click.option("--host", default=None, help="Address to listen on; default CALCOM_HTTP_HOST, 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65_535), default=None, help="Port; default CALCOM_HTTP_PORT, 8080.")
@click.option("--workers", type=click.IntRange(1, 64), default=None, help="Processes; default CALCOM_HTTP_WORKERS, 1.")
@click.option("--all", "everyone", is_flag=True, help="Also receive the webhooks of all accounts that files describe.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def serve(host: str | None, port: int | None, workers: int | None, *, everyone: bool) -> None:
    """Serve free times, holds, bookings and the report over HTTP until Ctrl-C.

    The report is the page /, for whoever has one of CALCOM_HTTP_TOKENS. /openapi.json says what else there is. With
    CALCOM_WEBHOOK_SECRET, Cal.com's webhooks come in at /webhooks/calcom. Open requests may end when it is stopped, for
    CALCOM_HTTP_STOP_SECONDS. With --all each described account that has a webhook secret is received at
    /webhooks/calcom/NAME; where the environment is no account, nothing else is served. SIGHUP has the webhooks' secrets
    read anew from their files and the .env file, with --all also which accounts there are.
    """
    from calcom_pipeline.settings import load_settings

    given = {"http_host": host, "http_port": port, "http_workers": workers}
    settings = load_settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    _require_tokens(settings)
    from calcom_pipeline.web.serving import listening
    from calcom_pipeline.web.serving import serve as serve_there

    with _until_stopped(), listening(settings.http_host, settings.http_port) as listener:
        where = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
        root = f"http://{where}:{settings.http_port}"
        say("\n".join(_where_to_look(settings, root, everyone=everyone)))
        serve_there(settings, listener, everyone=everyone)


def _where_to_look(settings: "Settings", root: str, *, everyone: bool) -> list[str]:
    from calcom_pipeline.settings import serves_environment

    lines = list[str]()
    is_account = settings.api_key is not None or serves_environment()
    if is_account or not everyone:
        lines.append(f"HTTP API: {root}  (/openapi.json says what there is; Ctrl-C stops it)")
    if everyone and "webhooks" not in settings.http_off:
        lines.append(f"Webhooks: {root}/webhooks/calcom/NAME  (of each account that files describe and give a secret)")
    if everyone and not is_account:
        return [*lines, f"  Next: curl {root}/metrics   (how many deliveries came to what; Ctrl-C stops it)"]
    if "report" in settings.http_off:
        return [*lines, f"  Next: curl {root}/openapi.json   (what can be asked)"]
    asked = ", for whoever has a token" if settings.http_tokens else ""
    lines.append(f"Report: {root}/  (in sync or not, each service, what to do; live{asked})")
    return [*lines, f"  Next: open {root}/   (or curl {root}/openapi.json, what else can be asked)"]


@contextmanager
def _until_stopped() -> Generator[None]:
    """The block ends well when a signal asks for it, whatever it is at."""
    before = {each: signal.signal(each, _raise_stop) for each in _SIGNALS}
    try:
        yield
    except _StopAsked:
        return
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _require_tokens(settings: "Settings") -> None:
    """Whoever can reach it can book: only this machine may do that without a token."""
    if settings.http_tokens is None and not _is_loopback(settings.http_host):
        raise ConfigurationError(
            [f"CALCOM_HTTP_TOKENS is not set, and {settings.http_host} can be reached from other machines"],
            advice="Set tokens (website=<token>), or listen on 127.0.0.1.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    raise _StopAsked
