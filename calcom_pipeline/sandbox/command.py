"""`sandbox serve`: the command line of the sandbox. Only click is imported before a command runs."""

import click

_HELP_COLUMNS = 120
_INSERT_SECONDS = 0.1  # the real server takes some 0.3 s
_HELP = (
    "Serve an account until SIGTERM or Ctrl-C; prints its address.\n"
    "\n"
    "\b\n"
    "--account captures      the recorded one: alice, bob, a team, event types 1 to 11, and the keys\n"
    "                        cal_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01 (alice, 100000 requests per 60 s)\n"
    "                        cal_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02 (bob, 120 per 60 s, then a 60 s block)\n"
    "                        cal_cccccccccccccccccccccccccccccc03 (alice, 5 per 10 s)\n"
    "                        cal_dddddddddddddddddddddddddddddd04 (expired)\n"
    "--account generated     one made from --seed, of the size that you ask for\n"
    "--account demo          a small generated one with the key cal_demo0000000000000000000000000001\n"
    '--account FILE.json     yours: {"users": [...], "keys": [...], "event_types": [{"user": 1, "body": {...}}], ...}\n'
    "\n"
    "\b\n"
    "Every group of endpoints wants its own version, as at Cal.com:\n"
    '  curl -H "Authorization: Bearer cal_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01" \\\n'
    '       -H "cal-api-version: 2024-08-13" http://127.0.0.1:5555/v2/bookings\n'
    '  curl -H "cal-api-version: 2024-09-04" \\\n'
    '       "http://127.0.0.1:5555/v2/slots?eventTypeId=2&start=2030-01-07&end=2030-01-11"\n'
    "\n"
    "\b\n"
    "With --control, /__sandbox is there for tests: GET account, counters, requests, deliveries, faults, clock;\n"
    "POST clock, faults, mutate, reset. For example, let every second create fail after it was done:\n"
    '  curl -d \'{"kind": "fail_after_create", "endpoint": "POST /v2/bookings", "share": 0.5}\' \\\n'
    "       http://127.0.0.1:5555/__sandbox/faults\n"
)
_ACCOUNTS = "captures, generated, demo, or the path of a JSON file"


@click.group()
def cli() -> None:
    """Serve a Cal.com API v2 on this machine that behaves like the real one."""


@cli.command(help=_HELP, context_settings={"terminal_width": _HELP_COLUMNS})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free port.")
@click.option("--account", default="captures", show_default=True, help=f"What to serve: {_ACCOUNTS}.")
@click.option("--event-types", type=click.IntRange(min=0), help="Event types of a generated account.")
@click.option("--teams", type=click.IntRange(min=0), help="Teams of a generated account.")
@click.option("--bookings", type=click.IntRange(min=0), help="Bookings of a generated account.")
@click.option("--organization/--no-organization", default=False, help="Put a generated account's teams into one.")
@click.option(
    "--seed", default=1, show_default=True, help="Seed of generated accounts, of ties and, without --state, of ids."
)
@click.option("--state", type=click.Path(dir_okay=False), help="File that keeps the account over restarts.")
@click.option("--control/--no-control", default=False, help="Serve /__sandbox: counters, clock, changes, faults.")
@click.option("--now", help="ISO 8601 instant at which the clock starts; it runs on from there.")
@click.option("--limit", type=click.IntRange(min=1), help="Requests per window of keys without limits of their own.")
@click.option("--window-seconds", type=click.FloatRange(min=0, min_open=True), help="Length of that window.")
@click.option("--block-seconds", type=click.FloatRange(min=0, min_open=True), help="Length of the block after it.")
@click.option(
    "--insert-seconds",
    default=_INSERT_SECONDS,
    show_default=True,
    type=click.FloatRange(min=0),
    help="From a create's check to its insert; creates for one slot that come in between race.",
)
@click.option("--ready-file", type=click.Path(dir_okay=False), help="Written as JSON (url, port, pid) when it answers.")
def serve(**options: object) -> None:
    """Serves an account until it is asked to end."""
    from calcom_pipeline.sandbox.server import Options, run

    try:
        run(Options.from_command(options))
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
