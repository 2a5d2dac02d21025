"""Tell people of a run that failed: once per cause, until it was quiet for long enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.maintenance.ports import AlertChannel, AlertLog, NotSent
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.maintenance.alerts import Failure, message_about


@dataclass(frozen=True, slots=True)
class AlertRules:
    """`repeat`: a cause that lasts is told again after so long. `ui_url` is where runs are looked at."""

    account: str
    ui_url: str
    repeat: timedelta


@dataclass(frozen=True, slots=True)
class AlertOutcome:
    """`sent` names the channels that took the message, `failed` says why others did not; neither: it was known."""

    sent: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def send_alert(
    failure: Failure, log: AlertLog, channels: Sequence[AlertChannel], *, rules: AlertRules, now: datetime
) -> AlertOutcome:
    """Send a message unless its cause was told already. Where none gets out, the next failure of it tries again.

    A log that cannot be asked does not keep a message back: PostgreSQL may be what it is about.
    """
    if not channels:
        return AlertOutcome()
    try:
        before = log.claim(failure.cause, now=now, repeat=rules.repeat)
    except StoreError:
        before = 0
    if before is None:
        return AlertOutcome()
    message = message_about(failure, account=rules.account, ui_url=rules.ui_url, before=before)
    sent: list[str] = []
    failed: list[str] = []
    for channel in channels:
        try:
            channel.send(message)
        except NotSent as error:
            failed.append(f"{channel.name}: {error}")
        else:
            sent.append(channel.name)
    if not sent:
        _release(log, failure.cause)
    return AlertOutcome(tuple(sent), tuple(failed))


def _release(log: AlertLog, cause: str) -> None:
    try:
        log.release(cause)
    except StoreError:
        return  # nor was it claimed
