"""`calcom-pipeline book | cancel | reschedule`: one booking, by hand."""

from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep

if TYPE_CHECKING:
    from calcom_pipeline.app.bookings.commands import Appointment

_ZONE_HELP = "Zone of a start without an offset (IANA). Default: CALCOM_DEFAULT_TIME_ZONE."


@click.command()
@click.option("--event-type", "event_type_id", type=int, required=True, help="Id of the event type.")
@click.option("--start", required=True, help="When, such as 2026-12-01T10:00 or 2026-12-01T09:00:00Z.")
@click.option("--name", required=True, help="Who books.")
@click.option("--email", help="Address of who books; or give --phone.")
@click.option("--phone", help="Phone number of who books, where the event type asks for one.")
@click.option("--time-zone", help=_ZONE_HELP)
@click.option("--language", help="Language of the mails, such as en or de.")
@click.option("--notes", help="What the host should know.")
@click.option("--guest", "guests", multiple=True, help="Address of somebody who is brought along; may be repeated.")
@click.option("--length", "length_minutes", type=int, help="Minutes, where the event type offers several lengths.")
@click.option("--metadata", multiple=True, metavar="NAME=VALUE", help="Kept with the booking; may be repeated.")
@click.option("--key", help="Names this request: a second call with the same key finds the booking of the first.")
@click.option("--hold", "hold_uid", help="Uid of the hold on this start; released once the booking is made.")
@with_output
def book(output: Output, metadata: tuple[str, ...], key: str | None, hold_uid: str | None, **details: Any) -> None:
    """Book a time, exactly once, and let the cached days that it closes go.

    If the answer is lost, the booking is looked for before it is sent again. Everything wrong with the details is said
    at once, and nothing is sent.
    """
    pairs = [pair.partition("=") for pair in metadata]
    if any(not separator for _, separator, _ in pairs):
        raise click.UsageError("--metadata wants NAME=VALUE")
    spelled = {
        "eventTypeId": details["event_type_id"],
        "start": details["start"],
        "name": details["name"],
        "email": details["email"],
        "phoneNumber": details["phone"],
        "timeZone": details["time_zone"],
        "language": details["language"],
        "notes": details["notes"],
        "guests": list(details["guests"]) or None,
        "lengthInMinutes": details["length_minutes"],
        "metadata": {name: value for name, _, value in pairs} or None,
    }
    from calcom_pipeline.facade import CalcomService

    with CalcomService.open() as calcom:
        given = {name: value for name, value in spelled.items() if value is not None}
        made = calcom.book(given, key=key, hold_uid=hold_uid)
        _show(output, "book", made)


@click.command()
@click.argument("uid")
@click.option("--reason", default="", help="Told to the attendee; Cal.com wants one from a host.")
@click.option("--seat", "seat_uid", help="Cancel this seat alone, of a booking with seats.")
@with_output
def cancel(output: Output, uid: str, reason: str, seat_uid: str | None) -> None:
    """Cancel a booking by its uid, and let the cached days that it frees go."""
    from calcom_pipeline.facade import CalcomService

    with CalcomService.open() as calcom:
        _show(output, "cancel", calcom.cancel(uid, reason=reason, seat_uid=seat_uid))


@click.command()
@click.argument("uid")
@click.option("--start", required=True, help="The new time, such as 2026-12-01T10:00.")
@click.option("--time-zone", help=_ZONE_HELP)
@click.option("--reason", default="", help="Told to the attendee.")
@with_output
def reschedule(output: Output, uid: str, start: str, time_zone: str | None, reason: str) -> None:
    """Move a booking to another time. Cal.com makes a new booking with a new uid, which is printed."""
    from calcom_pipeline.facade import CalcomService

    with CalcomService.open() as calcom:
        _show(output, "reschedule", calcom.reschedule(uid, start, reason=reason, time_zone=time_zone))


def _show(output: Output, command: str, done: "Appointment") -> None:
    booking = done.booking
    found = " (it was there already)" if done.adopted else ""
    output.line(f"{booking.uid}: {booking.status}, {booking.start:%Y-%m-%d %H:%M} UTC{found}")
    if done.ignored:
        output.line(f"  Cal.com accepted but ignored: {', '.join(done.ignored)}")
    others = ", others by the outbox job" if done.cleared_by_others else ""
    output.line(f"  {done.cache_problem or f'{done.cached_days_cleared} cached days cleared{others}'}")
    if done.hold_problem:
        output.line(f"  {done.hold_problem}")
    values = {
        "uid": booking.uid,
        "status": booking.status,
        "start": booking.start,
        "end": booking.end,
        "event_type_id": booking.event_type_id,
        "rescheduled_from": booking.rescheduled_from_uid,
        "adopted": done.adopted,
        "ignored": done.ignored,
        "cached_days_cleared": done.cached_days_cleared,
        "cleared_by_others": done.cleared_by_others,
        "cache_problem": done.cache_problem,
        "hold_problem": done.hold_problem,
    }
    undo = NextStep(f"calcom-pipeline cancel {booking.uid}", "undo it") if command != "cancel" else None
    output.result(command, values, then=undo)
