"""`calcom-pipeline services`: the business's own table."""

from pathlib import Path

import click

from calcom_pipeline.cli.console import Output, with_output


@click.group()
def services() -> None:
    """The business's services, which event types follow.

    By default they stand in the table `services`. A business with a table of its own attaches that instead.
    """


@services.command("attach")
@click.argument("mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--print", "print_only", is_flag=True, help="Show the SQL that would run, and run nothing.")
@with_output
def attach(output: Output, mapping: Path, *, print_only: bool) -> None:
    """Put the pipeline over your own table, as a TOML file maps it.

    \b
    table = "public.offerings"
    key = "code"
    insert = false                       # may the pipeline add rows (imports)?
    [columns]
    name = "title"                       # a column: read and written
    slug = "url_name"
    duration_minutes = { read = "extract(epoch FROM length) / 60", write = "length = make_interval(mins => $)" }
    is_active = { read = "status = 'live'", write = "status = CASE WHEN $ THEN 'live' ELSE 'draft' END" }
    price_minor = { read = "price * 100" }   # read only

    Columns that are left out are not managed: Cal.com's values stand. So it is with a NULL in description, a buffer or
    the minimum notice: no opinion of that service about that field; an empty description is one. Edits of the table are
    seen by a trigger that this command adds to it; its other triggers keep working.
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from calcom_pipeline.adapters.postgres.services import attach as attaching
    from calcom_pipeline.bootstrap.container import open_container
    from calcom_pipeline.settings import load_settings

    wanted = attaching.read_mapping(mapping)
    with open_container(load_settings()) as container:
        statements = attaching.attach_statements(wanted, container.database.schema)
        if print_only:
            output.line(";\n\n".join(statements) + ";")
        else:
            attaching.attach(container.require_schema(), wanted)
            found = len(container.services.store.services())
            output.line(f"Attached {wanted.table}: {found} services.")
        output_values = {"table": wanted.table, "statements": statements, "attached": not print_only}
        output.result("services attach", output_values, before_step="-- " if print_only else "  ")
