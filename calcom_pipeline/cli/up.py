"""`calcom-pipeline up`: the Dagster UI and its daemon, until Ctrl-C."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

import click

from calcom_pipeline.domain.errors import ConfigurationError, PipelineError
from calcom_pipeline.domain.redaction import without_secrets

_LINES_OF_TROUBLE = 15
# Dagster ends its own children within this; past it they are ended for it.
_STOP_SECONDS = 20.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOPPED = (0, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGINT)


class DagsterEnded(PipelineError):  # noqa: N818 - says what happened
    """The UI or the daemon ended, and nobody asked them to."""


@click.command()
@click.option("--port", type=int, default=None, help="Port of the UI; default CALCOM_UI_PORT, 3000.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the UI listens on; it has no login.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def up(port: int | None, host: str) -> None:
    """Serve the Dagster UI with its daemon: schedules and sensors run until Ctrl-C."""
    from calcom_pipeline.bootstrap.dagster_instance import dagster_environment, workspace
    from calcom_pipeline.bootstrap.locations import data_folder
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    chosen = port or settings.ui_port
    _require_free(host, chosen)
    folder = data_folder(settings) / "log"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "dagster.log"
    with _alone(folder / "up.lock"), dagster_environment(settings) as (environment, _), log.open("wb") as file:
        click.echo(f"Dagster UI: http://{host}:{chosen}  (in some seconds; Ctrl-C stops it; its log: {log})")
        os.environ.update(environment)
        from calcom_pipeline.defs.pools import make_pool  # seconds of imports, after everything that may be refused

        make_pool()
        options = ["--workspace", str(workspace()), "--port", str(chosen), "--host", host]
        code = _serve(options, environment, file)
    if code not in _STOPPED:
        lines = log.read_text(errors="replace").splitlines()[-_LINES_OF_TROUBLE:]
        click.echo(without_secrets("\n".join(lines)), err=True)
        raise DagsterEnded(f"Dagster ended with exit code {code}", advice=f"Its log is {log}.")


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                [f"Port {port} at {host} cannot be used ({error.strerror})"],
                advice="Choose another one with --port or CALCOM_UI_PORT.",
            ) from None


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """Two daemons on one instance would fire every sensor twice."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                ["calcom-pipeline up is running already for this data folder"], advice="Use that one, or stop it."
            ) from None
        yield


def _serve(options: list[str], environment: dict[str, str], log: IO[bytes]) -> int:
    """Run Dagster as a child in a session of its own; whatever ends us ends it first, gracefully."""
    command = [sys.executable, "-m", "dagster", "dev", *options]
    # `dg dev`, which the notice wants, serves only from a project's folder; this one serves an installed wheel too.
    quiet = {"PYTHONWARNINGS": "ignore:Function `dev_command` is superseded"}
    variables = {**os.environ, **environment, **quiet}
    # Before the child starts: a shell that runs us in the background has SIGINT ignored, which a child would inherit
    # and with it ignore SIGTERM too (Dagster gives both the same handler). A handled signal is reset instead.
    for each in _SIGNALS:
        signal.signal(each, _raise_stop)
    with subprocess.Popen(
        command, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    ) as dagster:
        try:
            return dagster.wait()
        except _StopAsked:
            return _stopped(dagster)


class _StopAsked(BaseException):
    """A signal asked us to stop."""


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    raise _StopAsked


def _stopped(dagster: subprocess.Popen[bytes]) -> int:
    """End Dagster, gracefully as long as it takes no longer than a person would wait."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    dagster.send_signal(signal.SIGTERM)
    try:
        dagster.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(dagster.pid, signal.SIGKILL)  # its own session: nobody else is in this group
        dagster.wait()
    return 0
