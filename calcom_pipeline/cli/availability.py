"""`calcom-pipeline slots | alternatives | first-free | month | hold`: what a website asks for, by hand."""

from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from calcom_pipeline.domain.availability.finding import Alternative
    from calcom_pipeline.domain.availability.holds import Hold
    from calcom_pipeline.facade import CalcomService

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LENGTH = click.option("--length", "length_minutes", type=int, help="Minutes, where the event type offers several.")
_ZONE = click.option(
    "--time-zone",
    help="Zone (IANA) of times without an offset, and of the times shown. Default: CALCOM_DEFAULT_TIME_ZONE.",
)
_LOCAL = "local to the event type's schedule"
_DAY = click.DateTime(("%Y-%m-%d",))
_CLOCK = click.DateTime(("%H:%M",))


@click.command()
@click.argument("event_type_id", type=int, metavar="EVENT_TYPE")
@click.option("--from", "first", type=_DAY, help=f"First day, {_LOCAL}. Default: today.")
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="How many days.")
@_LENGTH
@_ZONE
@with_output
def slots(
    output: Output,
    event_type_id: int,
    first: datetime | None,
    days: int,
    length_minutes: int | None,
    time_zone: str | None,
) -> None:
    """Free starts of an event type by its id, from the cache where it has them."""
    with _opened(time_zone) as (calcom, zone):
        first_day = first.date() if first else datetime.now(zone).date()
        last_day = first_day + timedelta(days=days - 1)
        found = calcom.availability(
            event_type_id, first_day=first_day, last_day=last_day, duration_minutes=length_minutes
        )
    rows: dict[date, list[str]] = {}
    for slot in found.slots:
        seats = "" if slot.seats_remaining is None else f" ({slot.seats_remaining})"
        there = slot.start.astimezone(zone)
        rows.setdefault(there.date(), []).append(f"{there:%H:%M}{seats}")
    title = f"Free starts of event type {event_type_id} ({zone.key})"
    output.table(title, ("day", "starts"), [(f"{day:%a %Y-%m-%d}", "  ".join(at)) for day, at in rows.items()])
    output.line(f"{len(found.slots)} free starts on {len(rows)} days{_age(found.as_of, stale=found.stale)}")
    if found.unread:
        output.line(f"  Nothing is known of {', '.join(day.isoformat() for day in found.unread)}")
    values = {
        "event_type_id": event_type_id,
        "slots": [{"start": s.start, "seats_remaining": s.seats_remaining} for s in found.slots],
        "unread": found.unread,
    }
    then = _booking(event_type_id, found.slots[0].start) if found.slots else None
    output.result("slots", values | _read(found.as_of, stale=found.stale), then=then)


@click.command()
@click.argument("event_type_ids", type=int, nargs=-1, required=True, metavar="EVENT_TYPE...")
@click.option("--around", required=True, help="The wanted start, such as 2026-12-01T10:00.")
@click.option("--count", type=int, default=5, show_default=True, help="How many, at most.")
@click.option("--weekday", "weekdays", type=click.Choice(_WEEKDAYS), multiple=True, help="May be repeated.")
@click.option("--earliest", type=_CLOCK, help=f"Time of day such as 09:00, {_LOCAL}.")
@click.option("--latest", type=_CLOCK, help=f"Time of day such as 17:30, {_LOCAL}.")
@click.option("--within-days", type=int, default=14, show_default=True, help="So many days before and after.")
@_LENGTH
@_ZONE
@with_output
def alternatives(
    output: Output, event_type_ids: tuple[int, ...], around: str, time_zone: str | None, **wishes: Any
) -> None:
    """The free starts nearest to a wanted one: of the same day first, then outward.

    Of several event types a start is listed once, of the one that is named first.
    """
    with _opened(time_zone) as (calcom, zone):
        found = calcom.alternatives(
            event_type_ids,
            around=_instant("around", around, zone),
            count=wishes["count"],
            duration_minutes=wishes["length_minutes"],
            weekdays=frozenset(map(_WEEKDAYS.index, wishes["weekdays"])) or None,
            earliest=_clock(wishes["earliest"]),
            latest=_clock(wishes["latest"]),
            within_days=wishes["within_days"],
        )
    _starts(output, f"Nearest free starts ({zone.key})", found.starts, zone)
    output.line(f"{len(found.starts)} free starts{_age(found.as_of, stale=found.stale)}")
    values = {"starts": [_start(one) for one in found.starts]}
    then = _booking(found.starts[0].event_type_id, found.starts[0].start) if found.starts else None
    output.result("alternatives", values | _read(found.as_of, stale=found.stale), then=then)


@click.command("first-free")
@click.argument("event_type_ids", type=int, nargs=-1, required=True, metavar="EVENT_TYPE...")
@click.option("--after", help="From then on, such as 2026-12-01T10:00. Default: now.")
@click.option("--within-days", type=int, help="So many days on. Default: CALCOM_SLOT_HORIZON_DAYS.")
@_LENGTH
@_ZONE
@with_output
def first_free(
    output: Output,
    event_type_ids: tuple[int, ...],
    after: str | None,
    within_days: int | None,
    length_minutes: int | None,
    time_zone: str | None,
) -> None:
    """The first free start of an event type, or of any of several."""
    with _opened(time_zone) as (calcom, zone):
        found = calcom.first_free(
            event_type_ids,
            after=None if after is None else _instant("after", after, zone),
            within_days=within_days,
            duration_minutes=length_minutes,
        )
    if found.start is None:
        output.line(f"No free start{_age(found.as_of, stale=found.stale)}")
    else:
        _starts(output, f"First free start ({zone.key})", [found.start], zone)
        output.line(f"{_age(found.as_of, stale=found.stale).lstrip('; ')}")
    values = {"start": None if found.start is None else _start(found.start)}
    then = None if found.start is None else _booking(found.start.event_type_id, found.start.start)
    output.result("first-free", values | _read(found.as_of, stale=found.stale), then=then)


@click.command()
@click.argument("event_type_id", type=int, metavar="EVENT_TYPE")
@click.option("--month", "month_", type=click.DateTime(("%Y-%m",)), help="Such as 2026-12. Default: this one.")
@_LENGTH
@with_output
def month(output: Output, event_type_id: int, month_: datetime | None, length_minutes: int | None) -> None:
    """How many free starts each day of a month has, local to the event type's schedule."""
    with _opened(None) as (calcom, zone):
        wanted = month_ or datetime.now(zone)
        view = calcom.month(event_type_id, year=wanted.year, month=wanted.month, duration_minutes=length_minutes)
    weeks: dict[tuple[int, int], list[str]] = {}
    for one in view.days:
        known = "?" if one.day in view.unread else str(one.free) if one.free else "-"
        calendar = one.day.isocalendar()
        week = weeks.setdefault((calendar.year, calendar.week), [""] * len(_WEEKDAYS))
        week[one.day.weekday()] = f"{one.day.day}: {known}"
    output.table(
        f"Free starts in {wanted:%Y-%m}, day by day", [d.capitalize() for d in _WEEKDAYS], list(weeks.values())
    )
    total, some = sum(one.free for one in view.days), sum(one.free > 0 for one in view.days)
    output.line(f"{total} free starts on {some} days{_age(view.as_of, stale=view.stale)}")
    values = {
        "event_type_id": event_type_id,
        "days": [{"day": one.day, "free": one.free} for one in view.days],
        "unread": view.unread,
    }
    output.result("month", values | _read(view.as_of, stale=view.stale))


@click.group()
def hold() -> None:
    """Hold a start while somebody decides. A hold ends by itself; `book --hold UID` makes a booking of it."""


@hold.command("start")
@click.argument("event_type_id", type=int, metavar="EVENT_TYPE")
@click.argument("start")
@click.option("--minutes", type=int, help="How long it is held. Default: Cal.com's 5.")
@_LENGTH
@_ZONE
@with_output
def hold_start(
    output: Output,
    event_type_id: int,
    start: str,
    minutes: int | None,
    length_minutes: int | None,
    time_zone: str | None,
) -> None:
    """Hold a start, such as 2026-12-01T10:00, and let the cached days that it closes go."""
    with _opened(time_zone) as (calcom, zone):
        moment = _instant("start", start, zone)
        made = calcom.hold(event_type_id, moment, minutes=minutes, duration_minutes=length_minutes)
    _held(output, "hold start", made, cleared=made.cached_days_cleared, problem=made.cache_problem)


@hold.command("move")
@click.argument("uid")
@click.argument("start")
@click.option("--minutes", type=int, help="How long it is held from now on. Default: Cal.com's 5.")
@_ZONE
@with_output
def hold_move(output: Output, uid: str, start: str, minutes: int | None, time_zone: str) -> None:
    """Hold another start of the same event type instead; one that overlaps what is held is refused."""
    with _opened(time_zone) as (calcom, zone):
        made = calcom.move_hold(uid, _instant("start", start, zone), minutes=minutes)
    _held(output, "hold move", made, cleared=made.cached_days_cleared, problem=made.cache_problem)


@hold.command("show")
@click.argument("uid")
@with_output
def hold_show(output: Output, uid: str) -> None:
    """Show a hold while it lasts."""
    with _opened(None) as (calcom, _):
        found = calcom.held(uid)
    if found is None:
        output.line("No such hold: it is unknown, released or over")
        output.result("hold show", {"hold": None})
    else:
        _held(output, "hold show", found)


@hold.command("release")
@click.argument("uid")
@with_output
def hold_release(output: Output, uid: str) -> None:
    """End a hold, and let the cached days that it frees go."""
    with _opened(None) as (calcom, _):
        done = calcom.release(uid)
    output.line("Released" if done.was_held else "It was unknown or over")
    output.line(f"  {done.cache_problem or f'{done.cached_days_cleared} cached days cleared'}")
    values = {"was_held": done.was_held, "cached_days_cleared": done.cached_days_cleared}
    output.result("hold release", values | {"cache_problem": done.cache_problem})


@contextmanager
def _opened(time_zone: str | None) -> "Generator[tuple[CalcomService, ZoneInfo]]":
    """The service, and the zone in which times are read and shown."""
    from calcom_pipeline.domain.errors import InvalidInput
    from calcom_pipeline.domain.zones import UnknownZoneError, zone_of
    from calcom_pipeline.facade import CalcomService
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    try:
        zone = zone_of(time_zone or settings.default_time_zone)
    except UnknownZoneError as error:
        raise InvalidInput([f"--time-zone: {error}"]) from None
    with CalcomService.open(settings) as calcom:
        yield calcom, zone


def _instant(name: str, text: str, zone: ZoneInfo) -> datetime:
    """A time as somebody writes it, UTC; of one that comes twice in its zone the first. Raises InvalidInput."""
    from calcom_pipeline.domain.errors import InvalidInput

    try:
        moment = datetime.fromisoformat(text.strip())
        local = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        known = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput([f"{name}: is no time such as 2026-12-01T10:00"]) from None
    if moment.tzinfo is None and known.astimezone(zone).replace(tzinfo=None) != moment:
        raise InvalidInput([f"{name}: does not exist in {zone.key}: the clock skips it"])
    return known


def _clock(value: datetime | None) -> time | None:
    return None if value is None else value.time()


def _starts(output: Output, title: str, starts: "Iterable[Alternative]", zone: ZoneInfo) -> None:
    rows = [
        (f"{one.start.astimezone(zone):%a %Y-%m-%d %H:%M}", one.event_type_id, _blank(one.seats_remaining))
        for one in starts
    ]
    output.table(title, ("start", "event type", "seats"), rows)


def _held(output: Output, command: str, hold: "Hold", *, cleared: int | None = None, problem: str = "") -> None:
    output.line(f"{hold.uid}: event type {hold.event_type_id}, {hold.start:%Y-%m-%d %H:%M} to {hold.end:%H:%M} UTC")
    output.line(f"  held until {hold.until:%Y-%m-%d %H:%M:%S} UTC")
    values = {
        "uid": hold.uid,
        "event_type_id": hold.event_type_id,
        "start": hold.start,
        "end": hold.end,
        "until": hold.until,
    }
    then = _booking(hold.event_type_id, hold.start, f" --hold {hold.uid}")
    if cleared is None:
        output.result(command, {"hold": values}, then=then)
        return
    output.line(f"  {problem or f'{cleared} cached days cleared'}")
    output.result(command, {"hold": values, "cached_days_cleared": cleared, "cache_problem": problem}, then=then)


def _booking(event_type_id: int, start: datetime, hold: str = "") -> NextStep:
    """How the start is taken, ready to be completed with who takes it."""
    when = f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    words = f"calcom-pipeline book --event-type {event_type_id} --start {when}{hold} --name NAME --email EMAIL"
    return NextStep(words, "make a booking of it" if hold else "take the first of them")


def _start(one: "Alternative") -> dict[str, Any]:
    return {"event_type_id": one.event_type_id, "start": one.start, "seats_remaining": one.seats_remaining}


def _read(as_of: datetime | None, *, stale: bool) -> dict[str, Any]:
    return {"as_of": as_of, "stale": stale}


def _blank(value: object) -> str:
    return "" if value is None else str(value)


def _age(as_of: datetime | None, *, stale: bool) -> str:
    age_text = "" if as_of is None else f"; as of {as_of:%Y-%m-%d %H:%M:%S} UTC"
    return f"{age_text}, and Cal.com could not be asked since" if stale else age_text
