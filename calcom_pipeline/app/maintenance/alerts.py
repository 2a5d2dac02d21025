"""Tell people of a run or a check that failed: once per cause, until it was quiet for long enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.maintenance.ports import AlertChannel, AlertLog, NotSent
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.maintenance.alerts import FailedCheck, Failure, cause_of_check, message_about


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
    failure: Failure | FailedCheck,
    log: AlertLog,
    channels: Sequence[AlertChannel],
    *,
    rules: AlertRules,
    now: datetime,
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


@dataclass(frozen=True, slots=True)
class CheckStanding:
    """How a check stands, and since when it was seen so, UTC."""

    passed: bool
    since: datetime


def standings_of(
    passed: Mapping[str, bool], before: Mapping[str, CheckStanding], *, now: datetime
) -> dict[str, CheckStanding]:
    """By name: what was so before keeps its instant; a check that is being evaluated now (in none) keeps all."""
    seen = {
        name: old if (old := before.get(name)) is not None and old.passed == is_so else CheckStanding(is_so, now)
        for name, is_so in passed.items()
    }
    return {**before, **seen}


def alert_checks(
    failed: Sequence[FailedCheck],
    standings: Mapping[str, CheckStanding],
    log: AlertLog,
    channels: Sequence[AlertChannel],
    *,
    rules: AlertRules,
    after: timedelta,
    now: datetime,
) -> dict[str, AlertOutcome]:
    """Alert people to checks that have failed for `after`, and forget those that have passed again for as long.

    So one that turns yellow anew is told at once, however lately it was told, and one that flickers is not. By name,
    those that were due.

    Raises:
        StoreError: what has passed again cannot be forgotten.
    """
    lasting = {name: one for name, one in standings.items() if now - one.since >= after}
    log.forget([cause_of_check(name) for name, one in lasting.items() if one.passed])
    return {
        check.name: send_alert(check, log, channels, rules=rules, now=now)
        for check in failed
        if check.name in lasting and not lasting[check.name].passed
    }


def _release(log: AlertLog, cause: str) -> None:
    try:
        log.release(cause)
    except StoreError:
        return  # nor was it claimed
