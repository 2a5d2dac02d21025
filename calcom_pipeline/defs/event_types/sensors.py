"""Event types that changed at Cal.com."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.app.event_types.mirror import look_for_drift
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.timing import CAUSES_NAMED, requested
from calcom_pipeline.domain.errors import CircuitOpen, RateLimited

_LOOK_DEADLINE_SECONDS = 30.0  # the daemon gives a tick 60 s


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The comparison with an account's mirror."""

    @dg.sensor(
        name=account.named("event_type_drift"),
        job_name=account.named("event_types_sync"),
        minimum_interval_seconds=account.at_load.event_type_look,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Event types that somebody changed at Cal.com: a listing per owner, compared with the mirror.",
    )
    def event_type_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """The cursor names the difference that was handed over; it is forgotten once the mirror has followed."""
        with ready_container(account.settings()) as container:
            try:
                calcom, links = container.calcom.within(_LOOK_DEADLINE_SECONDS), container.services.store.links()
                drift = look_for_drift(calcom, container.event_types.mirror, links)
            except (RateLimited, CircuitOpen) as busy:
                return dg.SkipReason(f"Cal.com is not to be asked for another {busy.retry_after:.0f} s")
        if drift.owners and not drift.digest:
            return dg.SensorResult(skip_reason=f"The event types of {drift.owners} owners are as mirrored", cursor="")
        difference = drift.digest or "nothing-mirrored"
        if difference == context.cursor:
            return dg.SkipReason("The difference from the mirror was handed over already")
        named = ", ".join(map(str, drift.event_type_ids[:CAUSES_NAMED]))
        cause = f"event types differ from the mirror: {named}" if named else "no event type is mirrored yet"
        # The same difference may come again later, so its name alone would be taken for a repetition.
        key = f"event-types:{difference}:{utc_now():%Y%m%dT%H%M%S}"
        return dg.SensorResult([requested(key, cause)], cursor=difference)

    return [event_type_drift]
