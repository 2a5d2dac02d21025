"""Checks of bookings: they ask the tables and Cal.com again, now."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.bookings.ports import BookingMirror
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import table
from calcom_pipeline.domain.bookings.listing import MINE, BookingQuery

_SHOWN = 20
_LOOKING_BACK = timedelta(days=30)


def no_host_is_booked_twice(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """Cal.com lets a host overbook on purpose, so this warns."""
    with dagster_failures("Looking for double bookings"):
        found = container.bookings.overview.overlaps(since=utc_now() - _LOOKING_BACK, limit=_SHOWN)
    rows = [
        {
            "booking": o.uid,
            "host": o.user_id,
            "starts": f"{o.starts_at:%Y-%m-%d %H:%M}",
            "busy until": f"{o.busy_until:%H:%M}",
        }
        for o in found
    ]
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={f"the first {len(rows)}": table(rows)} if rows else {},
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
    seconds = (utc_now() - polled_at).total_seconds()
    rows = [
        {"stream": p.stream, "partition": p.partition, "stands at": f"{p.instant:%Y-%m-%d %H:%M:%S}"} for p in ahead
    ]
    return dg.AssetCheckResult(
        passed=seconds <= container.settings.booking_freshness_seconds and not rows,
        metadata={
            "seconds since the last read": round(seconds),
            "allowed": container.settings.booking_freshness_seconds,
            **({"in the future": table(rows)} if rows else {}),
        },
    )


def bookings_are_as_many_as_at_cal_com(
    calcom: dg.ResourceParam[CalcomClient],
    booking_mirror: dg.ResourceParam[BookingMirror],
    container: dg.ResourceParam[Container],
) -> dg.AssetCheckResult:
    """One call without a time filter: only there Cal.com's count can be trusted (fact sheet 6.2)."""
    if container.bookings.options.keep_past is not None:
        return dg.AssetCheckResult(passed=True, description="Old bookings are dropped here, so counts must differ.")
    with dagster_failures("Counting bookings"):
        there = calcom.page(BookingQuery(MINE, sort="start", take=1)).total
        here = booking_mirror.live(MINE)
    return dg.AssetCheckResult(
        passed=there == here,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"at Cal.com": there if there is not None else "not told", "here": here},
        description=""
        if there == here
        else "Deletions are found by `bookings_full_read`, as are rows without a stamp.",
    )


_CHECKS: dict[Callable[..., dg.AssetCheckResult], str] = {
    no_host_is_booked_twice: "No two accepted bookings of a host overlap, but seats and collective ones.",
    bookings_are_fresh: "Bookings were read lately, and no position lies in the future.",
    bookings_are_as_many_as_at_cal_com: "The mirror holds as many bookings as Cal.com counts.",
}


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """All of them, of an account."""
    key = account.key("bookings")
    return [dg.asset_check(asset=key, description=d)(account.given_to(check)) for check, d in _CHECKS.items()]
