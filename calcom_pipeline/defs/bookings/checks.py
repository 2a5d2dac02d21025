"""Checks of bookings: they ask the tables and Cal.com again, now."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.bookings.ports import BookingMirror
from calcom_pipeline.app.reports.mirrors import MirrorNow, mirror_now
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.markdown import code, shown
from calcom_pipeline.defs.markdown import rows as rows_of
from calcom_pipeline.domain.bookings.listing import MINE

_SHOWN = 20
_LOOKING_BACK = timedelta(days=30)
_LOOK_SECONDS = 60.0
_REPLAY = f"Read them once more with {code('calcom-pipeline quarantine replay')}; an upgrade may know them."


def no_host_is_booked_twice(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """Cal.com lets a host overbook on purpose, so this warns."""
    with dagster_failures("Looking for double bookings"):
        found = container.bookings.overview.overlaps(since=utc_now() - _LOOKING_BACK, limit=_SHOWN)
    rows = [(o.uid, o.user_id, f"{o.starts_at:%Y-%m-%d %H:%M}", f"{o.busy_until:%H:%M}") for o in found]
    table = rows_of(("booking", "host", "starts (UTC)", "host is busy until (UTC)"), rows)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"These begin while their host is still in another one:\n\n{table}"
        if rows
        else "No host is booked twice.",
        metadata={"double bookings": len(rows)},
    )


def bookings_are_fresh(
    booking_mirror: dg.ResourceParam[BookingMirror], container: dg.ResourceParam[Container]
) -> dg.AssetCheckResult:
    """By the age of the last read that ended, not by the newest booking: nobody may have booked.

    What changes until a position in the future has come would be missed; the next read begins anew.
    """
    with dagster_failures("Reading how far bookings are"):
        polled_at = booking_mirror.state(MINE).polled_at
        ahead = container.reports.overview.positions_ahead()
    if polled_at is None:
        return dg.AssetCheckResult(passed=False, description="No read of bookings has ended yet.")
    seconds, allowed = (utc_now() - polled_at).total_seconds(), container.settings.booking_freshness_seconds
    rows = [(p.stream, p.partition, f"{p.instant:%Y-%m-%d %H:%M:%S}") for p in ahead]
    text = [f"The last read ended {seconds:.0f} s ago; {allowed:.0f} s are allowed (CALCOM_BOOKING_FRESHNESS_SECONDS)."]
    if rows:
        text += [
            "A wrong clock has set these; the next read begins anew:",
            rows_of(("read", "part", "stands at"), rows),
        ]
    return dg.AssetCheckResult(
        passed=seconds <= allowed and not rows,
        description="\n\n".join(text),
        metadata={"seconds since the last read": round(seconds), "seconds allowed": allowed},
    )


def mirror_complete(
    calcom: dg.ResourceParam[CalcomClient],
    booking_mirror: dg.ResourceParam[BookingMirror],
    container: dg.ResourceParam[Container],
) -> dg.AssetCheckResult:
    """Warns: what is missing is found by the next full read, what could not be read is kept."""
    keeps_all = container.bookings.options.keep_past is None
    with dagster_failures("Counting bookings"):
        rows = container.event_types.row_quarantine.open_records()
        now = mirror_now(calcom.within(_LOOK_SECONDS), booking_mirror, rows, keeps_all=keeps_all)
    unread = [(stream, number, why) for (stream, why), number in now.unread.items()]
    metadata: dict[str, Any] = {"bookings here": now.here, "rows in quarantine": sum(now.unread.values())}
    if now.there is not None:
        metadata["bookings at Cal.com"] = now.there
    text = [_completeness(now, keeps_all=keeps_all)]
    if unread:
        text += [rows_of(("list", "rows", "why they could not be read"), unread[:_SHOWN]), _REPLAY]
    return dg.AssetCheckResult(
        passed=now.is_complete, severity=dg.AssetCheckSeverity.WARN, description="\n\n".join(text), metadata=metadata
    )


def _completeness(now: MirrorNow, *, keeps_all: bool) -> str:
    if now.unasked:
        return f"Cal.com could not be asked how many bookings it has: {shown(now.unasked)}"
    if not keeps_all:
        return f"{now.here} bookings are here; older ones are dropped on purpose (CALCOM_BOOKING_RETENTION_DAYS)."
    if now.there is None or now.there == now.here:
        return f"{now.here} bookings are here, as many as Cal.com counts."
    more = "Cal.com has deleted some" if now.there < now.here else "some were not read yet"
    return (
        f"{now.here} bookings are here, {now.there} at Cal.com: {more}. The next full read settles it: job "
        f"bookings_full_read, or {code('calcom-pipeline sync bookings --full')}."
    )


_CHECKS: dict[Callable[..., dg.AssetCheckResult], str] = {
    no_host_is_booked_twice: "No two accepted bookings of a host overlap, but seats and collective ones.",
    bookings_are_fresh: "Bookings were read lately, and no position lies in the future.",
    mirror_complete: "The mirror holds as many bookings as Cal.com counts, and no row of any list waits in quarantine.",
}


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """All of them, of an account."""
    key = account.key("bookings")
    return [dg.asset_check(asset=key, description=d)(account.given_to(check)) for check, d in _CHECKS.items()]
