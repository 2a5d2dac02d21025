"""`calcom-pipeline up` and `calcom-pipeline local`: what runs on this machine."""

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from calcom_pipeline.local import Servers


@click.group()
def local() -> None:
    """The embedded PostgreSQL, Redis (Valkey) and Cal.com sandbox of this machine.

    Commands start them when they need them; `local up` keeps them running until `local down`, for a shell, a CI job or
    another program. They live in one folder (CALCOM_DATA_DIR) and touch nothing else.
    """


@local.command("up")
@with_output
def local_up(output: Output) -> None:
    """Start the embedded servers and keep them running. Then: eval "$(calcom-pipeline local env)"."""
    from calcom_pipeline import local as embedded
    from calcom_pipeline.hosting import migrate_embedded
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.wiring import data_folder, embedded_failures, sandbox_companion

    settings = load_settings()
    with embedded_failures():
        servers = embedded.up(data_folder(settings), companions=[sandbox_companion(settings)])
    migrate_embedded(settings)
    _tell(output, "local up", servers)
    output.line('Use them in this shell:  eval "$(calcom-pipeline local env)"')


@local.command("remove")
@with_output
def local_remove(output: Output) -> None:
    """Stop the embedded servers by force and delete all their data, wherever it lies."""
    from calcom_pipeline import local as embedded
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.wiring import data_folder, embedded_failures

    folder = data_folder(load_settings())
    with embedded_failures():
        removed = embedded.remove(folder)
    output.line("Removed." if removed else "Nothing was there.")
    output.result("local remove", {"removed": removed})


@local.command("down")
@click.option("--force", is_flag=True, help="Stop them although other processes use them.")
@with_output
def local_down(output: Output, *, force: bool) -> None:
    """Stop the embedded servers; their data stays."""
    from calcom_pipeline import local as embedded
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.wiring import data_folder, embedded_failures

    folder = data_folder(load_settings())
    with embedded_failures():
        stopped = embedded.down(folder, force=force)
    output.line("Stopped." if stopped else "Nothing was running.")
    output.result("local down", {"stopped": stopped})


@local.command("env")
@with_output
def local_env(output: Output) -> None:
    """Print `export` lines for a shell: DATABASE_URL, REDIS_URL, DAGSTER_PG_URL, DAGSTER_HOME.

    The sandbox needs no variable: it is used as long as CALCOM_API_KEY is not set.
    """
    from calcom_pipeline import local as embedded
    from calcom_pipeline.hosting import local_environment
    from calcom_pipeline.local.environment import shell_exports
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.wiring import EmbeddedServersFailed, data_folder, embedded_failures

    settings = load_settings()
    with embedded_failures():
        servers = embedded.status(data_folder(settings))
    if servers is None:
        raise EmbeddedServersFailed("The embedded servers do not run", advice="Run `calcom-pipeline local up` first.")
    variables = local_environment(settings, servers)
    output.line(shell_exports(variables).rstrip("\n"))
    output.result("local env", {"environment": variables})


def _tell(output: Output, command: str, servers: "Servers") -> None:
    rows = [("PostgreSQL", servers.database_url), ("Redis", servers.redis_url), *servers.companions.items()]
    output.table("Running on this machine", ("server", "address"), rows)
    output.result(command, {"data": servers.data, "servers": dict(rows)})


@click.command()
@click.option("--port", type=int, default=None, help="Port of the UI; default CALCOM_UI_PORT, 3000.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the UI listens on; it has no login.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def up(port: int | None, host: str) -> None:
    """Serve the Dagster UI with its daemon: schedules and sensors run until Ctrl-C."""
    from calcom_pipeline.hosting import dagster_environment
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    with dagster_environment(settings) as (environment, _pipeline):
        chosen = port or settings.ui_port
        click.echo(f"Dagster UI: http://{host}:{chosen} (Ctrl-C stops it)")
        code = _serve(["--port", str(chosen), "--host", host], environment)
    if code not in (0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM):
        raise click.ClickException(f"Dagster ended with exit code {code}; is port {chosen} free?")


def _serve(options: list[str], environment: dict[str, str]) -> int:
    """Run Dagster as a child; whatever ends us ends it first, gracefully, so that its own children end too."""
    command = [sys.executable, "-m", "dagster", "dev", "-m", "calcom_pipeline.definitions", *options]
    # `dg dev`, which the notice wants, serves only from a project's folder; this one serves an installed wheel too.
    quiet = {"PYTHONWARNINGS": "ignore:Function `dev_command` is superseded"}
    with subprocess.Popen(
        [*command, "--log-level", "warning"], env={**os.environ, **environment, **quiet}, start_new_session=True
    ) as dagster:

        def stop(_signal: int, _frame: object) -> None:
            dagster.send_signal(signal.SIGINT)

        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, stop)
        return dagster.wait()
