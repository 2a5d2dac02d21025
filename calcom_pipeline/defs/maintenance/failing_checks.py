"""The sensor that alerts people to checks that turned yellow or red: one message per check, none per evaluation."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as EVALUATED,
)

from calcom_pipeline.adapters.postgres.maintenance.alerts import PostgresAlertLog
from calcom_pipeline.app.maintenance.alerts import CheckStanding, alert_checks, standings_of
from calcom_pipeline.bootstrap.alerts import alert_channels, alert_rules
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import instance_of, look_container
from calcom_pipeline.defs.timing import look_distance, sensor_status
from calcom_pipeline.domain.maintenance.alerts import FailedCheck

_LOOK_SECONDS = 30


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The look at an account's checks."""

    @dg.sensor(
        name=account.named("failing_checks"),
        minimum_interval_seconds=look_distance(account, _LOOK_SECONDS, unhurried=True),
        default_status=sensor_status(account),
        description="Tells people, once until it is green again, of a check that has turned yellow or red "
        "(CALCOM_ALERT_WEBHOOK, CALCOM_ALERT_SMTP_URL).",
    )
    def failing_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """The cursor holds how each check stands since when; what passes soon is nobody's business."""
        settings, now = account.settings(), utc_now()
        passed, failed = _evaluations(context, account)
        standings = standings_of(passed, _standings(context.cursor), now=now)
        alert_note = ""
        if alert_channels(settings):
            with look_container(settings) as container:
                alert_note = _alerted(context, container, failed, standings, now=now)
        names = ", ".join(check.name for check in failed)
        why = f"Not passing: {names}{alert_note}" if failed else "Every check that was evaluated passes"
        return dg.SensorResult(skip_reason=why, cursor=_kept(standings))

    return [failing_checks]


def _evaluations(context: dg.SensorEvaluationContext, account: Account) -> tuple[dict[str, bool], list[FailedCheck]]:
    """What the last evaluation of each of an account's checks came to; those under way and those never made in none."""
    repository = context.repository_def
    keys = repository.asset_graph.asset_check_keys if repository is not None else set[dg.AssetCheckKey]()
    own = sorted(key for key in keys if list(key.asset_key.path[:-1]) == account.key_prefix)
    passed: dict[str, bool] = {}
    failed: list[FailedCheck] = []
    for key, record in instance_of(context).event_log_storage.get_latest_asset_check_execution_by_key(own).items():
        evaluation = record.evaluation
        if record.status not in EVALUATED or evaluation is None:
            continue
        passed[key.name] = evaluation.passed
        if not evaluation.passed:
            fails = evaluation.severity is dg.AssetCheckSeverity.ERROR
            asset = "/".join(key.asset_key.path)
            failed.append(FailedCheck(key.name, asset, record.run_id, evaluation.description or "", fails))
    return passed, failed


def _alerted(
    context: dg.SensorEvaluationContext,
    container: Container,
    failed: Iterable[FailedCheck],
    standings: Mapping[str, CheckStanding],
    *,
    now: datetime,
) -> str:
    """Who was alerted to what, for the sensor's answer."""
    settings = container.settings
    outcomes = alert_checks(
        list(failed),
        standings,
        PostgresAlertLog(container.database),
        alert_channels(settings),
        rules=alert_rules(settings),
        after=timedelta(seconds=settings.alert_after_seconds),
        now=now,
    )
    for name, outcome in outcomes.items():
        for why in outcome.failed:
            context.log.warning("A message about %s did not get out: %s", name, why)
    sent = [name for name, outcome in outcomes.items() if outcome.sent]
    return f"; people were alerted to {', '.join(sent)}" if sent else ""


def _kept(standings: Mapping[str, CheckStanding]) -> str:
    return json.dumps({name: [one.passed, one.since.isoformat()] for name, one in standings.items()})


def _standings(cursor: str | None) -> dict[str, CheckStanding]:
    try:
        kept = json.loads(cursor or "{}").items()
        return {name: CheckStanding(bool(passed), datetime.fromisoformat(since)) for name, (passed, since) in kept}
    except (ValueError, AttributeError, TypeError):
        return {}
