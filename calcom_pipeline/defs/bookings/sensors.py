"""Bookings that changed at Cal.com."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from datetime import datetime, timedelta

import dagster as dg

from calcom_pipeline.app.bookings.change_probe import TOLERATED_AHEAD, newest_change
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import look_container
from calcom_pipeline.defs.timing import look_distance, requested, sensor_status
from calcom_pipeline.domain.bookings.listing import MINE

_FIRST_LOOK_BACK = timedelta(minutes=5)


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The question to Cal.com, for an account."""

    @dg.sensor(
        name=account.named("changed_bookings"),
        job_name=account.named("bookings_mirror"),
        minimum_interval_seconds=look_distance(account, account.at_load.booking_look),
        default_status=sensor_status(account),
        description="One cheap question to Cal.com: has any booking changed?",
    )
    def changed_bookings(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """The cursor is the newest change that was handed over; what Cal.com stamps late, the schedule finds."""
        now = utc_now()
        after = _look_back(context.cursor, now)
        with look_container(account.settings()) as container:
            if context.cursor is None and container.bookings.mirror.state(MINE).full_done_at is None:
                first = requested(f"bookings:{now:%Y%m%dT%H%M%S}", "no booking was read yet")
                return dg.SensorResult([first], cursor=f"{now}")
            if (wait := container.maintenance.standing_calls.not_yet("bookings look", now)) is not None:
                return dg.SkipReason(wait)
            if (wait := container.subscriptions.no_look_yet(now)) is not None:
                return dg.SkipReason(f"No look yet; {wait}")
            newest = newest_change(container.calcom, after=after, now=now)
            container.subscriptions.sweep.looked(now)
        if newest is None:
            return dg.SkipReason(f"No booking changed since {after:%Y-%m-%d %H:%M:%S} UTC")
        named = newest.isoformat()
        return dg.SensorResult([requested(f"bookings:{named}", f"a booking changed at {named}")], cursor=named)

    return [changed_bookings]


def _look_back(cursor: str | None, now: datetime) -> datetime:
    """Where the look for changes begins. A cursor further ahead of now than clocks differ would hide all until then."""
    after = datetime.fromisoformat(cursor) if cursor else None
    return after if after is not None and after <= now + TOLERATED_AHEAD else now - _FIRST_LOOK_BACK
