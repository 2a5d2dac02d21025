"""The sensor that alerts people to what stands still without any run that fails.

Cal.com left alone, a key that is blocked, positions in the future, a run that does not end.
"""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg

from calcom_pipeline.adapters.calcom.client import GROUPS
from calcom_pipeline.adapters.postgres.maintenance.alerts import PostgresAlertLog
from calcom_pipeline.app.maintenance.alerts import send_alert
from calcom_pipeline.bootstrap.alerts import alert_channels, alert_rules
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import instance_of, look_container
from calcom_pipeline.defs.timing import look_distance, sensor_status
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.maintenance.alerts import Failure

_LOOK_SECONDS = 30
_NAMED = 5  # in a sentence


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The look at an account's limiter, circuits, positions and runs."""

    @dg.sensor(
        name=account.named("standstills"),
        minimum_interval_seconds=look_distance(account, _LOOK_SECONDS, unhurried=True),
        default_status=sensor_status(account),
        description="Tells people, once per cause, of what stands still without a run that fails: an open circuit, a "
        "blocked key, a position in the future, a run that does not end.",
    )
    def standstills(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """The cursor holds since when each stands still; what passes soon is nobody's business."""
        now = utc_now()
        with look_container(account.settings()) as container:
            found = found_now(container, instance_of(context), account, now=now)
            since = {code: _since(context.cursor).get(code, now) for code in found}
            after = timedelta(seconds=container.settings.alert_after_seconds)
            lasting = [code for code in found if now - since[code] >= after]
            alerted = [code for code in lasting if _sent_alert(context, container, code, found[code], now=now)]
        cursor = json.dumps({code: at.isoformat() for code, at in since.items()})
        alert_note = f"; told of {', '.join(alerted)}" if alerted else ""
        why = "; ".join(found.values()) + alert_note if found else "Nothing stands still"
        return dg.SensorResult(skip_reason=why, cursor=cursor)

    return [standstills]


def found_now(
    container: Container, instance: dg.DagsterInstance, account: Account, *, now: datetime
) -> Mapping[str, str]:
    """What stands still now, in a sentence each, by the codes of `domain/maintenance/alerts.py`."""
    found: dict[str, str] = {}
    try:
        states = container.limits.breaker.states(list(GROUPS))
        paused = container.limits.limiter.view().paused_seconds
    except CacheError as error:
        found["cache_error"] = str(error)
    else:
        if broken := [group for group, state in states.items() if state == "open"]:
            found["circuit_open"] = f"Cal.com failed again and again and is left alone: {', '.join(broken)}"
        if paused:
            found["key_blocked"] = f"Cal.com blocks the key for another {paused:.0f} s; every process waits that out"
    if ahead := container.reports.overview.positions_ahead():
        named = ", ".join(f"{p.stream} {p.partition}" for p in ahead[:_NAMED])
        found["position_ahead"] = f"Reads of these stand in the future, so changes until then are missed: {named}"
    if late := _endless(instance, account, before=now - timedelta(hours=container.settings.alert_run_hours)):
        found["run_endless"] = f"Runs that began long ago have not ended: {', '.join(late[:_NAMED])}"
    return found


def _endless(instance: dg.DagsterInstance, account: Account, *, before: datetime) -> list[str]:
    """Runs of an account's jobs; those of whose process nothing lives are given up elsewhere (see `reaping`)."""
    started = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return [
        f"{record.dagster_run.job_name} {record.dagster_run.run_id[:8]}"
        for record in started
        if record.start_time is not None
        and record.start_time < before.timestamp()
        and record.dagster_run.job_name.startswith(account.prefix)
    ]


def _sent_alert(
    context: dg.SensorEvaluationContext, container: Container, code: str, message: str, *, now: datetime
) -> bool:
    settings = container.settings
    failure = Failure(code, "", "", message)
    outcome = send_alert(
        failure,
        PostgresAlertLog(container.database),
        alert_channels(settings),
        rules=alert_rules(settings),
        now=now,
    )
    for why in outcome.failed:
        context.log.warning("A message about %s did not get out: %s", failure.cause, why)
    return bool(outcome.sent)


def _since(cursor: str | None) -> dict[str, datetime]:
    try:
        return {code: datetime.fromisoformat(at) for code, at in json.loads(cursor or "{}").items()}
    except (ValueError, AttributeError):
        return {}
