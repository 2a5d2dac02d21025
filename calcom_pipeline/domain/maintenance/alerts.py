"""The alert about a run that failed: one message per cause, with what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from calcom_pipeline.domain.cleaning import printable
from calcom_pipeline.domain.redaction import redacted

_LONGEST_TEXT = 600
#: Causes that every job meets, whichever failed first; of others each job has its own.
OF_ALL_JOBS: Mapping[str, str] = {
    "unauthorized": "Check CALCOM_API_KEY: is it right, not expired, and may it do that?",
    "rate_limited": "Something else spends the key's limit; `calcom-pipeline status` shows the calls of each minute.",
    "circuit_open": "Cal.com fails again and again: look at its status page. Nothing has to be done here.",
    "transient_error": "Cal.com or the way to it is away. The next run tries again.",
    "certificate_refused": "Look at who answers in Cal.com's place; your own authority goes into CALCOM_CA_BUNDLE.",
    "configuration_error": "Correct the setting; `calcom-pipeline doctor` checks them all.",
    "schema_outdated": "Run `calcom-pipeline migrate`.",
    "store_error": "Look at PostgreSQL: is it there, is its disk full?",
    "store_timeout": "Look at PostgreSQL: is it overloaded, does somebody hold a lock?",
    "key_blocked": "Something spends more calls than the key has: other programs with the same key? `calcom-pipeline "
    "status` shows ours.",
    "position_ahead": "Set all clocks by NTP. The next `sync all` reads them anew; for months, `backfill --again`.",
    "run_endless": "Look into the run: does it still do anything? Terminate it in the UI; the next one does its work.",
    "cache_error": "Look at Redis: is it there, is its memory full?",
    "run_died": "Its process was killed: look at memory and at the log. It is started again if it is safe to.",
}
#: Causes that each job meets for itself.
OF_ONE_JOB: Mapping[str, str] = {
    "contract_broken": "Cal.com answered something new. Look into the run, and whether an upgrade is out.",
    "rejected": "Cal.com refuses what was sent: look at the message and the service or booking it names.",
    "outcome_unknown": "Nobody knows whether it was done; the next sync looks. If it stays: `calcom-pipeline resolve`.",
    "store_conflict": "Another writer was faster several times; the next run tries again.",
}
#: What to do about a failure, by its code.
WHAT_TO_DO: Mapping[str, str] = {**OF_ALL_JOBS, **OF_ONE_JOB}
ELSE_TO_DO = "Look into the run; what nobody foresaw is a bug: please report it with the run's log."


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed for good, or something that stands still without one (no `job` and `run_id` then).

    `code` is the kind of error in snake case, `message` its sentence.
    """

    code: str
    job: str
    run_id: str
    message: str

    @property
    def cause(self) -> str:
        """What makes two failures the same to people."""
        return self.code if self.code in OF_ALL_JOBS else f"{self.code}:{self.job}"


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """What is sent: no secret, no address of an attendee, no order to a terminal."""

    title: str
    text: str


def message_about(failure: Failure, *, account: str, ui_url: str, before: int) -> AlertMessage:
    """The message. `before`: failures of this cause since the last message."""
    what_to_do = WHAT_TO_DO.get(failure.code, ELSE_TO_DO)
    link = f"The run: {ui_url.rstrip('/')}/runs/{failure.run_id}" if failure.run_id else f"The UI: {ui_url}"
    lines = [printable(redacted(failure.message, longest=_LONGEST_TEXT)), f"What to do: {what_to_do}", link]
    if before and failure.run_id:
        lines.append(f"It had failed {before} times since the last message.")
    title = f"{failure.job} failed, {failure.code}" if failure.job else failure.code
    return AlertMessage(f"calcom-pipeline ({account}): {title}", "\n".join(lines))
