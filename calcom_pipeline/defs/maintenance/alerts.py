"""The sensor that alerts people to runs that failed for good: one message per cause, none per retry."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Iterator

import dagster as dg

from calcom_pipeline.adapters.postgres.maintenance.alerts import PostgresAlertLog
from calcom_pipeline.app.maintenance.alerts import send_alert
from calcom_pipeline.bootstrap.alerts import alert_channels, alert_rules
from calcom_pipeline.bootstrap.container import open_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.timing import least_distance
from calcom_pipeline.domain import errors
from calcom_pipeline.domain.maintenance.alerts import Failure
from calcom_pipeline.domain.text import snake_case
from calcom_pipeline.settings import load_settings

_LOOK_SECONDS = 30
_WILL_RETRY = "dagster/will_retry"
_OURS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.PipelineError)
}


@dg.run_failure_sensor(
    minimum_interval_seconds=least_distance(_LOOK_SECONDS),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people of runs that failed (CALCOM_ALERT_WEBHOOK, CALCOM_ALERT_SMTP_URL), once per cause.",
)
def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason:
    """A run that Dagster starts again causes no alert; the last of its attempts does."""
    if context.dagster_run.tags.get(_WILL_RETRY) == "true":
        return dg.SkipReason("It is started again")
    settings = load_settings()
    channels = alert_channels(settings)
    if not channels:
        return dg.SkipReason("Nobody is to be told: neither CALCOM_ALERT_WEBHOOK nor CALCOM_ALERT_SMTP_URL is set")
    failure = failure_of(context)
    with open_container(settings) as container:
        log = PostgresAlertLog(container.database)
        outcome = send_alert(failure, log, channels, rules=alert_rules(settings), now=utc_now())
    for why in outcome.failed:
        context.log.warning("A message about %s did not get out: %s", failure.cause, why)
    if outcome.sent:
        return dg.SkipReason(f"Told of {failure.cause} by {', '.join(outcome.sent)}")
    return dg.SkipReason(
        f"Nobody was told of {failure.cause}" if outcome.failed else f"{failure.cause} was told already"
    )


def failure_of(context: dg.RunFailureSensorContext) -> Failure:
    """Why a run failed: the first of its steps that did, or that its process died."""
    run = context.dagster_run
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        kinds = list(_chain(data.error))
        if not kinds:
            continue
        code, message = next((kind for kind in kinds if kind[0] in _OURS), kinds[-1])
        if data.user_failure_data and data.user_failure_data.description:
            message = data.user_failure_data.description
        return Failure(snake_case(code), run.job_name, run.run_id, message)
    return Failure("run_died", run.job_name, run.run_id, context.failure_event.message or "The run failed")


def _chain(error: object) -> Iterator[tuple[str, str]]:
    """Kind and sentence of an error and of what caused it, in turn."""
    while error is not None:
        name = str(getattr(error, "cls_name", "") or "unknown").rpartition(".")[2]
        yield name, str(getattr(error, "message", "")).strip().removeprefix(f"{errors.__name__}.{name}: ")
        error = getattr(error, "cause", None)
