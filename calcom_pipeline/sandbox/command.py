"""`sandbox serve`: the command line of the sandbox. Only click is imported before a command runs."""

import click

_ACCOUNTS = "captures, generated, demo, or the path of a JSON file"


@click.group()
def cli() -> None:
    """Serve a Cal.com API v2 on this machine that behaves like the real one."""


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free port.")
@click.option("--account", default="captures", show_default=True, help=f"What to serve: {_ACCOUNTS}.")
@click.option("--event-types", type=click.IntRange(min=0), help="Event types of a generated account.")
@click.option("--teams", type=click.IntRange(min=0), help="Teams of a generated account.")
@click.option("--bookings", type=click.IntRange(min=0), help="Bookings of a generated account.")
@click.option("--organization/--no-organization", default=False, help="Put a generated account's teams into one.")
@click.option("--seed", default=1, show_default=True, help="Seed of ids, ties and generated accounts.")
@click.option("--state", type=click.Path(dir_okay=False), help="File that keeps the account over restarts.")
@click.option("--control/--no-control", default=False, help="Serve /__sandbox: counters, clock, changes, faults.")
@click.option("--now", help="ISO 8601 instant at which the clock starts; it runs on from there.")
@click.option("--limit", type=click.IntRange(min=1), help="Requests per window of keys without limits of their own.")
@click.option("--window-seconds", type=click.FloatRange(min=0, min_open=True), help="Length of that window.")
@click.option("--block-seconds", type=click.FloatRange(min=0, min_open=True), help="Length of the block after it.")
@click.option("--ready-file", type=click.Path(dir_okay=False), help="Written as JSON (url, port, pid) when it answers.")
def serve(**options: object) -> None:
    """Serve an account until SIGTERM or Ctrl-C."""
    from calcom_pipeline.sandbox.server import Options, run

    try:
        run(Options.from_command(options))
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
