"""`calcom-pipeline maintain`: the daily upkeep by hand."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from calcom_pipeline.app.maintenance.retention import Forgotten
    from calcom_pipeline.bootstrap.container import Container


@click.command()
@with_output
def maintain(output: Output) -> int:
    """Delete our own records and Dagster's runs past their lifetimes, as the schedule retention_daily does every day.

    The settings CALCOM_*_RETENTION_DAYS say how long each kind is kept; `status` shows what is there. What something
    still needs stays. Dagster's part is left out where Dagster has never run.
    """
    from calcom_pipeline.app.maintenance.retention import keep_lifetimes
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        batch = container.settings.retention_batch
        with output.progress("Upkeep") as progress:

            def show(done: "Forgotten") -> None:
                progress(0, None, done.kind)

            found = keep_lifetimes(container.maintenance.lifetimes, now=utc_now(), batch=batch, on_done=show)
        found += _dagster(container)
    rows = [(f.kind, f"{f.days} days", f.records, f.error) for f in found]
    output.table("Upkeep", ("records", "kept for", "deleted", "error"), rows)
    output.result("maintain", {"kinds": [asdict(f) for f in found]})
    return exit_codes.PARTIAL if any(f.error for f in found) else exit_codes.OK


def _dagster(container: "Container") -> "list[Forgotten]":
    """Dagster's part; nothing where it has no database. It finds its home and its database in the environment."""
    from calcom_pipeline.bootstrap.dagster_instance import dagster_home, known_dagster_url

    url = known_dagster_url(container)
    if url is None:
        return []
    os.environ.update({"DAGSTER_HOME": str(dagster_home(container.settings)), "DAGSTER_PG_URL": url})
    from calcom_pipeline.defs.maintenance.by_hand import forget_now
    from calcom_pipeline.settings import load_settings

    return forget_now(load_settings())
