"""`calcom-pipeline erase`: a person who asked to be forgotten."""

import sys
from dataclasses import asdict

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output


@click.command()
@click.argument("who", metavar="EMAIL_OR_PHONE")
@with_output
def erase(output: Output, who: str) -> int:
    """Take a person out of all bookings that are mirrored here, for good; `-` reads who it is from standard input.

    Named by a mail address, or by a telephone number with its country code (+49 30 1234567); somebody with both needs
    both to be named. Their bookings stay as times with hosts; every free text of them goes. A keyed hash stays behind,
    so that no later read brings the person back. At Cal.com nothing is changed. Prints a receipt that names nobody.
    """
    from calcom_pipeline.app.webhooks.drain import unspool
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.domain.addresses import canonical_number
    from calcom_pipeline.domain.text import counted
    from calcom_pipeline.settings import load_settings

    who = sys.stdin.readline().strip() if who == "-" else who.strip()
    if "@" not in who.strip("@") and not (who.startswith(("+", "00")) and canonical_number(who)):
        raise click.UsageError("that is no e-mail address, nor a telephone number with its country code (+49 ...)")
    with ready_container(load_settings()) as container:
        unspool(container.deliveries.spool, container.deliveries.inbox)  # where erasing reaches them
        receipt = container.bookings.eraser.erase(who, now=utc_now())
    output.line(f"Receipt {receipt.id} of {receipt.erased_at:%Y-%m-%d %H:%M:%S} UTC for {receipt.subject}:")
    bookings, records = counted(receipt.bookings, "booking"), counted(receipt.quarantined, "record")
    output.line(f"  {bookings}, {records} in quarantine, {counted(receipt.users, 'user')}")
    if receipt.deliveries:
        output.line(f"  {counted(receipt.deliveries, 'delivery', 'deliveries')} of webhooks")
    if receipt.still_host_of:
        of = counted(receipt.still_host_of, "booking")
        output.line(f"  still named as a host of {of}: Cal.com has to forget its own users")
    output.result("erase", {"receipt": asdict(receipt)})
    return exit_codes.OK
