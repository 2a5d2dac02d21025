"""`calcom-pipeline local`: the embedded servers of this machine."""

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
    from calcom_pipeline.bootstrap.dagster_instance import migrate_embedded
    from calcom_pipeline.bootstrap.locations import data_folder, embedded_failures, sandbox_companion
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    with embedded_failures():
        servers = embedded.up(data_folder(settings), companions=[sandbox_companion(settings)])
    migrate_embedded(settings)
    _show_servers(output, "local up", servers)


@local.command("remove")
@with_output
def local_remove(output: Output) -> None:
    """Stop the embedded servers by force and delete all their data, wherever it lies."""
    from calcom_pipeline import local as embedded
    from calcom_pipeline.bootstrap.locations import data_folder, embedded_failures
    from calcom_pipeline.settings import load_settings

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
    from calcom_pipeline.bootstrap.locations import data_folder, embedded_failures
    from calcom_pipeline.settings import load_settings

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
    from calcom_pipeline.bootstrap.dagster_instance import local_environment
    from calcom_pipeline.bootstrap.locations import EmbeddedServersFailed, data_folder, embedded_failures
    from calcom_pipeline.local.environment import shell_exports
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    with embedded_failures():
        servers = embedded.status(data_folder(settings))
    if servers is None:
        raise EmbeddedServersFailed("The embedded servers do not run", advice="Run `calcom-pipeline local up` first.")
    variables = local_environment(settings, servers)
    output.line(shell_exports(variables).rstrip("\n"))
    output.result("local env", {"environment": variables}, before_step="# ")


def _show_servers(output: Output, command: str, servers: "Servers") -> None:
    rows = [("PostgreSQL", servers.database_url), ("Redis", servers.redis_url), *servers.companions.items()]
    output.table("Running on this machine", ("server", "address"), rows)
    output.result(command, {"data": servers.data, "servers": dict(rows)})
