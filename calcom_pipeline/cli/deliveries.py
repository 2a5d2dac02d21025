"""`calcom-pipeline webhooks drain`: deliveries that are still open."""

from dataclasses import asdict

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output


@click.command()
@with_output
def drain(output: Output) -> int:
    """Read the bookings again that deliveries of webhooks name, and mirror them.

    What the receiver could only keep on this machine's disk goes into the inbox first. Several drains at once share the
    work.
    """
    from calcom_pipeline.app.webhooks.drain import drain as run
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container, output.progress("Deliveries", container.calcom):
        group = container.deliveries
        calcom, mirror = container.calcom.in_lane("sync"), container.bookings.mirror
        report = run(calcom, mirror, group.inbox, group.spool, now=utc_now, rules=group.drain_rules)
        left = group.inbox.backlog(now=utc_now()).open
    output.line(
        f"Deliveries: {report.done + report.unknown} dealt with, {report.bookings} bookings read, "
        f"{report.quarantined} put away, {left} still open"
    )
    if report.unspooled:
        output.line(f"  {report.unspooled} of them came from the spool")
    if report.stopped:
        output.line(f"  stopped early: {report.stopped}")
    output.result("webhooks drain", {**asdict(report), "open": left})
    return exit_codes.PARTIAL if report.stopped or report.failed else exit_codes.OK
