"""Event types that changed at Cal.com."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from calcom_pipeline.app.event_types.mirror import EventTypeDrift, look_for_drift
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import instance_of, look_container
from calcom_pipeline.defs.timing import CAUSES_NAMED, look_distance, requested, sensor_status
from calcom_pipeline.domain.errors import CircuitOpen, RateLimited

_LOOK_DEADLINE_SECONDS = 30.0  # the daemon gives a tick 60 s
_HANDED_AGAIN = timedelta(minutes=2)  # what no run has cleared by then is handed over again, each time twice as late...
_HANDED_AGAIN_MAX = timedelta(minutes=30)  # ...up to this: what waits for a person needs no run
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The comparison with an account's mirror."""
    job = account.named("event_types_sync")

    @dg.sensor(
        name=account.named("event_type_drift"),
        job_name=job,
        minimum_interval_seconds=look_distance(account, account.at_load.event_type_look, unhurried=True),
        default_status=sensor_status(account),
        description="Event types that somebody changed at Cal.com: a listing per owner, compared with the mirror.",
    )
    def event_type_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """The cursor names the difference that was handed over, when, and how often before.

        It is forgotten once the mirror has followed. A run that failed by itself leaves the difference as it was, and
        nobody starts it again.
        """
        with look_container(account.settings()) as container:
            if (wait := container.maintenance.standing_calls.not_yet("event types look", utc_now())) is not None:
                return dg.SkipReason(wait)
            try:
                calcom, links = container.calcom.within(_LOOK_DEADLINE_SECONDS), container.services.store.links()
                drift = look_for_drift(calcom, container.event_types.mirror, links)
            except (RateLimited, CircuitOpen) as busy:
                return dg.SkipReason(f"Cal.com is not to be asked for another {busy.retry_after:.0f} s")
        if drift.owners and not drift.digest:
            return dg.SensorResult(skip_reason=f"The event types of {drift.owners} owners are as mirrored", cursor="")
        return _answer(drift, context, job)

    return [event_type_drift]


def _answer(drift: EventTypeDrift, context: dg.SensorEvaluationContext, job: str) -> dg.SensorResult | dg.SkipReason:
    """A run for a difference that was not handed over yet, or that no run has cleared."""
    difference, now = drift.digest or "nothing-mirrored", utc_now()
    handed = _Handed.read(context.cursor)
    times = handed.times + 1 if handed.difference == difference else 0
    if times and (now < handed.due or _is_under_way(instance_of(context), job)):
        return dg.SkipReason("The difference from the mirror was handed over already")
    named = ", ".join(map(str, drift.event_type_ids[:CAUSES_NAMED]))
    cause = f"event types differ from the mirror: {named}" if named else "no event type is mirrored yet"
    # The same difference may come again later, so its name alone would be taken for a repetition.
    key = f"event-types:{difference}:{now:%Y%m%dT%H%M%S}"
    return dg.SensorResult([requested(key, cause)], cursor=str(_Handed(difference, now, times)))


@dataclass(frozen=True, slots=True)
class _Handed:
    """A difference that was handed over, when (UTC), and how often before."""

    difference: str
    at: datetime
    times: int

    @classmethod
    def read(cls, cursor: str | None) -> "_Handed":
        """What `str()` wrote; a cursor of an earlier release names the difference alone."""
        difference, at, times = [*(cursor or "").split(" "), "", ""][:3]
        return cls(difference, datetime.fromisoformat(at) if at else datetime.min.replace(tzinfo=UTC), int(times or 0))

    def __str__(self) -> str:
        return f"{self.difference} {self.at.isoformat()} {self.times}"

    @property
    def due(self) -> datetime:
        """When it is handed over again, if it is still there."""
        return self.at + min(_HANDED_AGAIN * 2 ** min(self.times, 10), _HANDED_AGAIN_MAX)


def _is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=_UNDER_WAY), limit=1))
