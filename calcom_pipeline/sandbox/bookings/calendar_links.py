"""The four links by which an attendee puts a booking into a calendar of their own (fact sheet 10 25).

Guess, from the published source: which links, in which order, and what each of them says.
"""

from urllib.parse import quote, urlencode

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import iso, moment_of
from calcom_pipeline.sandbox.state.model import SandboxBooking

_GOOGLE = "https://calendar.google.com/calendar/r/eventedit"
_OFFICE = "https://outlook.office.com/calendar/0/deeplink/compose"
_OUTLOOK = "https://outlook.live.com/calendar/0/deeplink/compose"
_COMPACT = "%Y%m%dT%H%M%SZ"


def calendar_links(booking: SandboxBooking) -> list[Json]:
    """Label, id and link of each; times are UTC."""
    return [
        {"label": "Google Calendar", "id": "googleCalendar", "link": _google(booking)},
        {"label": "Microsoft Office", "id": "microsoftOffice", "link": _microsoft(_OFFICE, booking)},
        {"label": "Microsoft Outlook", "id": "microsoftOutlook", "link": _microsoft(_OUTLOOK, booking)},
        {"label": "ICS", "id": "ics", "link": _ics(booking)},
    ]


def _google(booking: SandboxBooking) -> str:
    start, end = (moment_of(one).strftime(_COMPACT) for one in (booking.start, booking.end))
    query = {"dates": f"{start}/{end}", "text": booking.title, "details": booking.description or ""}
    return f"{_GOOGLE}?{_encoded(query, _video(booking))}"


def _microsoft(base: str, booking: SandboxBooking) -> str:
    query = {
        "body": booking.description or "",
        "enddt": iso(booking.end),
        "path": "/calendar/action/compose",
        "rru": "addevent",
        "startdt": iso(booking.start),
        "subject": booking.title,
    }
    return f"{base}?{_encoded(query, _video(booking))}"


def _video(booking: SandboxBooking) -> Json:
    url = booking.metadata.get("videoCallUrl")
    return {"location": url} if url else {}


def _encoded(query: dict[str, str], more: Json) -> str:
    return urlencode({**query, **more}, quote_via=quote)


def _ics(booking: SandboxBooking) -> str:
    start, end = (moment_of(one).strftime(_COMPACT) for one in (booking.start, booking.end))
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        f"UID:{booking.ical_uid}",
        f"SUMMARY:{booking.title}",
        f"DTSTART:{start}",
        f"DTEND:{end}",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "data:text/calendar," + quote("\r\n".join(lines))
