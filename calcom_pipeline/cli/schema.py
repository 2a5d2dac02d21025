"""`calcom-pipeline migrate`."""

from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep

if TYPE_CHECKING:
    from calcom_pipeline.settings import Settings


@click.command()
@click.option("--print", "print_only", is_flag=True, help="Show the SQL that would run, and run nothing.")
@click.option("--all", "everyone", is_flag=True, help="Also the schemas of all accounts that files describe.")
@with_output
def migrate(output: Output, *, print_only: bool, everyone: bool) -> int:
    """Bring the schema to this release: every file of sql/ once, each in a transaction.

    Safe while others run it too. A file that was applied and has changed since is an error. An empty database gets
    its schema on first use of any command; an older schema is only ever changed by this one.
    """
    from calcom_pipeline.settings import load_settings

    if not everyone:
        migrated = _migrated(output, load_settings(), print_only=print_only)
        then = NextStep("calcom-pipeline migrate", "run it") if print_only and migrated["migrations"] else None
        output.result("migrate", migrated, then=then, before_step="-- " if print_only else "  ")
        return exit_codes.OK
    done, failed = list[dict[str, Any]](), dict[str, str]()
    for name, settings in _accounts(failed).items():
        done.append({"account": name, **_migrated(output, settings, print_only=print_only)})
    for problem in failed.values():
        output.line(problem)
    output.result("migrate", {"accounts": done, "failed": failed})
    return exit_codes.PARTIAL if failed else exit_codes.OK


def _accounts(failed: dict[str, str]) -> "dict[str, Settings]":
    """Settings by account; of those that cannot be used, why."""
    from calcom_pipeline.settings import load_settings, serves_environment
    from calcom_pipeline.settings.accounts import described_accounts

    own = load_settings()  # also where it is no account: what people were told of failed runs stands in its schema
    found = described_accounts(own if serves_environment() else None)
    failed |= {name: "; ".join(problems) for name, problems in found.stopped.items()}
    return {own.account: own, **found.right}


def _migrated(output: Output, settings: "Settings", *, print_only: bool) -> dict[str, Any]:
    from calcom_pipeline.adapters.postgres import migrations
    from calcom_pipeline.bootstrap.container import open_container

    shipped = migrations.shipped_migrations()
    with open_container(settings) as container:
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
        return {"schema": container.database.schema, "applied": not print_only, "migrations": names}
