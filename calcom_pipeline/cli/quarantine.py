"""`calcom-pipeline quarantine`: bookings that could not be read."""

from dataclasses import asdict

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output


@click.group()
def quarantine() -> None:
    """Bookings that could not be read. They are kept as they came, and settled when they are read at last."""


@quarantine.command("list")
@with_output
def listed(output: Output) -> int:
    """The open records: which booking, why, how often it was seen. What is in them is not shown."""
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        records = container.bookings.quarantine.open_records()
    rows = [(r.uid or "?", r.reason, r.times_seen, f"{r.last_seen_at:%Y-%m-%d %H:%M}") for r in records]
    if rows:
        output.table("Quarantine", ("booking", "reason", "seen", "last seen (UTC)"), rows)
    else:
        output.line("The quarantine is empty.")
    shown = [{"uid": r.uid, "reason": r.reason, "seen": r.times_seen, "last_seen_at": r.last_seen_at} for r in records]
    output.result("quarantine list", {"records": shown})
    return exit_codes.OK


@quarantine.command("replay")
@with_output
def replay(output: Output) -> int:
    """Read the open records once more, after an upgrade or after Cal.com has mended them."""
    from calcom_pipeline.adapters.calcom.bookings.rows import replayed
    from calcom_pipeline.app.bookings.quarantine import replay as run
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        report = run(container.calcom, container.bookings.mirror, container.bookings.quarantine, replayed, now=utc_now)
    output.line(
        f"Quarantine: {report.looked_at} looked at, {report.read} read at last, {report.gone} gone at Cal.com, "
        f"{report.still_unreadable} still unreadable"
    )
    output.result("quarantine replay", asdict(report))
    return exit_codes.PARTIAL if report.still_unreadable else exit_codes.OK
