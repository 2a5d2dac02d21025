"""The alert about a run that failed, or a check that did: one message per cause, with what to do."""

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
#: What to do about a check that failed: each is a cause of its own.
OF_ONE_CHECK: Mapping[str, str] = {
    "services_in_sync": "Open the check: each service has its reason, and a button that retries or resolves it.",
    "nothing_left_to_sync": "`calcom-pipeline plan` says what would be written, and how to apply it.",
    "nothing_held": "Review the plan; then press Apply it in the check, or run `calcom-pipeline apply PLAN`.",
    "slugs_are_unique": "Change the slug of one of the services that share it.",
    "linked_event_types_exist": "The next plan proves that they are gone and parks their services; then decide.",
    "mirrored_event_types_are_listed": "If it lasts: may the key still see everything it should?",
    "mirror_complete": "Run the job bookings_full_read; for rows in quarantine `calcom-pipeline quarantine replay`.",
    "bookings_are_fresh": "Look at the last run of bookings_mirror, and at the schedule: is it switched on?",
    "no_host_is_booked_twice": "Look at both bookings and move one; Cal.com allows hosts to book twice.",
    "cache_right": "Look at the job cache_invalidation; shorten CALCOM_SLOT_TTL_SECONDS if cached starts are wrong.",
    "webhooks_alive": "`calcom-pipeline webhooks status` says what was found; `webhooks ensure --apply` puts it right.",
    "limiter_healthy": "Find who else uses the key; `calcom-pipeline doctor` shows circuits and blocks.",
}
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


def cause_of_check(name: str) -> str:
    """What is kept of an alert to a check, by the check's name."""
    return f"check:{name}"


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check whose last evaluation did not pass. `asset` is its asset's key with slashes, `run_id` of that evaluation.

    `fails`: as an error, not only as a warning. `message` is the evaluation's own, Markdown.
    """

    name: str
    asset: str
    run_id: str
    message: str
    fails: bool = False

    @property
    def cause(self) -> str:
        """What makes two evaluations the same to people."""
        return cause_of_check(self.name)


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """What is sent: no secret, no address of an attendee, no order to a terminal."""

    title: str
    text: str


def message_about(subject: Failure | FailedCheck, *, account: str, ui_url: str, before: int) -> AlertMessage:
    """The message. `before`: failures of this cause since the last message."""
    ui = ui_url.rstrip("/")
    if isinstance(subject, FailedCheck):
        return _about_check(subject, account, ui)
    return _about_failure(subject, account, ui, before)


def _about_check(check: FailedCheck, account: str, ui: str) -> AlertMessage:
    """Its first paragraph: tables are read in the UI, to which the message leads."""
    sentence = check.message.strip().partition("\n\n")[0]
    lines = [
        printable(redacted(sentence, longest=_LONGEST_TEXT)),
        f"What to do: {OF_ONE_CHECK.get(check.name, ELSE_TO_DO)}",
        f"The check: {ui}/assets/{check.asset}?view=checks&checkDetail={check.name}",
        f"The run: {ui}/runs/{check.run_id}",
    ]
    verb = "fails" if check.fails else "warns"
    return AlertMessage(f"calcom-pipeline ({account}): {check.name} {verb}", "\n".join(line for line in lines if line))


def _about_failure(failure: Failure, account: str, ui: str, before: int) -> AlertMessage:
    what_to_do = WHAT_TO_DO.get(failure.code, ELSE_TO_DO)
    link = f"The run: {ui}/runs/{failure.run_id}" if failure.run_id else f"The UI: {ui}"
    lines = [printable(redacted(failure.message, longest=_LONGEST_TEXT)), f"What to do: {what_to_do}", link]
    if before and failure.run_id:
        lines.append(f"It had failed {before} times since the last message.")
    title = f"{failure.job} failed, {failure.code}" if failure.job else failure.code
    return AlertMessage(f"calcom-pipeline ({account}): {title}", "\n".join(lines))
