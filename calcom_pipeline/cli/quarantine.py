"""`calcom-pipeline quarantine`: rows of Cal.com's lists that could not be read."""

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import STATUS

if TYPE_CHECKING:
    from calcom_pipeline.bootstrap.container import Container


@click.group()
def quarantine() -> None:
    """Rows that could not be read: bookings, event types, teams, schedules, slot days.

    They are kept as they came, and settled when they are read at last.
    """


@quarantine.command("list")
@with_output
def listed(output: Output) -> int:
    """The open records: which row, why, how often it was seen. What is in them is not shown."""
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        records = container.event_types.row_quarantine.open_records()
    rows = [(r.stream, r.key or "?", r.reason, r.times_seen, f"{r.last_seen_at:%Y-%m-%d %H:%M}") for r in records]
    if rows:
        output.table("Quarantine", ("list", "row", "reason", "seen", "last seen (UTC)"), rows)
    else:
        output.line("The quarantine is empty.")
    shown = [
        {"stream": r.stream, "uid": r.key, "reason": r.reason, "seen": r.times_seen, "last_seen_at": r.last_seen_at}
        for r in records
    ]
    output.result("quarantine list", {"records": shown}, then=None if records else STATUS)
    return exit_codes.OK


@quarantine.command("replay")
@with_output
def replay(output: Output) -> int:
    """Read the open records once more, after an upgrade or after Cal.com has mended them.

    Bookings are read from what was kept, then one by one; the lists of the others are read anew.
    """
    from calcom_pipeline.adapters.calcom.bookings.rows import replayed
    from calcom_pipeline.app.bookings.quarantine import replay as run
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container, output.progress("Quarantine", container.calcom):
        report = run(container.calcom, container.bookings.mirror, container.bookings.quarantine, replayed, now=utc_now)
        others = [r for r in container.event_types.row_quarantine.open_records() if r.stream != "bookings"]
        left = _read_lists_again(container, {r.stream for r in others}) if others else 0
    output.line(
        f"Quarantine: {report.looked_at} bookings looked at, {report.read} read at last, "
        f"{report.gone} gone at Cal.com, {report.still_unreadable} still unreadable"
    )
    if others:
        output.line(f"Rows of other lists: {len(others)} before, {left} still unreadable")
    output.result("quarantine replay", {**asdict(report), "rows": len(others), "rows_still_unreadable": left})
    return exit_codes.PARTIAL if report.still_unreadable or left else exit_codes.OK


def _read_lists_again(container: "Container", streams: Collection[str]) -> int:
    """Read the lists that had such rows; what they do not show any more is settled. How many are left."""
    from calcom_pipeline.app.availability.refresh import refresh_slots
    from calcom_pipeline.app.event_types.mirror import pull_event_types
    from calcom_pipeline.clock import utc_now

    before = utc_now()
    pull_event_types(
        container.calcom,
        container.event_types.mirror,
        teams=container.event_types.teams,
        rules=container.event_types.absence_rules,
        now=utc_now,
    )
    read = ["event_types", "teams", "schedules"]
    if "slots" in streams:  # a day that could not be read is never fresh, so it is asked for again
        mirror, cache, options = (
            container.availability.mirror,
            container.availability.cache,
            container.availability.options,
        )
        report = refresh_slots(
            container.calcom, container.event_types.mirror, mirror, cache, now=before, options=options
        )
        read += ["slots"] if not report.failures else []
    container.event_types.row_quarantine.settle_unseen(read, before=before)
    return sum(r.stream != "bookings" for r in container.event_types.row_quarantine.open_records())
