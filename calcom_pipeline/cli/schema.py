"""`calcom-pipeline migrate`."""

import click

from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep


@click.command()
@click.option("--print", "print_only", is_flag=True, help="Show the SQL that would run, and run nothing.")
@with_output
def migrate(output: Output, *, print_only: bool) -> None:
    """Bring the schema to this release: every file of sql/ once, each in a transaction.

    Safe while others run it too. A file that was applied and has changed since is an error. An empty database gets
    its schema on first use of any command; an older schema is only ever changed by this one.
    """
    from calcom_pipeline.adapters.postgres import migrations
    from calcom_pipeline.bootstrap.container import open_container
    from calcom_pipeline.settings import load_settings

    shipped = migrations.shipped_migrations()
    with open_container(load_settings()) as container:
        if print_only:
            missing = migrations.pending(container.database, shipped)
            for migration in missing:
                output.line(f"-- {migration.version:04d}_{migration.name}\n{migration.text}")
        else:
            missing = migrations.migrate(container.database, shipped)
        names = [f"{m.version:04d}_{m.name}" for m in missing]
        done = "would be applied" if print_only else "applied"
        prefix = "-- " if print_only else "  "
        output.line(f"{prefix.lstrip()}Schema {container.database.schema}: {', '.join(names) or 'nothing'} {done}")
        told = {"schema": container.database.schema, "applied": not print_only, "migrations": names}
        then = NextStep("calcom-pipeline migrate", "run it") if print_only and names else None
        output.result("migrate", told, then=then, before_step=prefix)
