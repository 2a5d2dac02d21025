"""What a person should know beside the services: reads that are late, what waits, what fails."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from calcom_pipeline.app.reports.models import Backlogs, Concern, LastRun, ReadAge, ReportPart, Traffic, Webhooks
from calcom_pipeline.domain.reports.verdict import age
from calcom_pipeline.domain.text import counted

#: A fact older than that is late: sensors apply them every few seconds, a run of Dagster takes some more.
_FACT_LATE = timedelta(minutes=5)


def concerns_of(
    reads: Sequence[ReadAge],
    backlogs: Backlogs,
    traffic: Traffic,
    webhooks: Webhooks,
    runs: ReportPart[Sequence[LastRun]],
    *,
    now: datetime,
) -> list[Concern]:
    """All of them, what is serious first."""
    found = [
        *_late(reads, now),
        *_waiting(backlogs, now),
        *_limited(traffic),
        *_not_delivered(webhooks),
        *_failed(runs),
    ]
    return sorted(found, key=lambda concern: not concern.serious)


def _late(reads: Sequence[ReadAge], now: datetime) -> Iterator[Concern]:
    for one in reads:
        if one.read_at is None:
            yield Concern("never_read", f"{one.what} have not been read yet.", one.command)
        elif one.late:
            yield Concern("read_late", f"{one.what} were last read {age(now - one.read_at)} ago.", one.command)


def _waiting(backlogs: Backlogs, now: datetime) -> Iterator[Concern]:
    if backlogs.oldest_fact_at is not None and now - backlogs.oldest_fact_at > _FACT_LATE:
        waits = age(now - backlogs.oldest_fact_at)
        sentence = f"Cached free times may be wrong: {counted(backlogs.facts, 'change')} not told to Redis for {waits}."
        yield Concern("facts_late", sentence, "calcom-pipeline sync caches")
    if backlogs.quarantined:
        rows = ", ".join(f"{number} of {stream}" for stream, number in backlogs.quarantined.items())
        yield Concern("quarantined", f"Rows that could not be read: {rows}.", "calcom-pipeline quarantine list")
    if backlogs.doubtful_bookings:
        sentence = f"Nobody knows yet whether {counted(backlogs.doubtful_bookings, 'booking')} came about."
        yield Concern("outcome_unknown", sentence, "calcom-pipeline sync bookings", serious=False)
    if backlogs.missing_event_types:
        number = counted(backlogs.missing_event_types, "event type")
        sentence = f"Cal.com does not list {number} any more; kept until it is proven that they are gone."
        yield Concern("missing_event_types", sentence, "calcom-pipeline status", serious=False)


def _limited(traffic: Traffic) -> Iterator[Concern]:
    limiter, circuits = traffic.limiter.value, traffic.circuits.value
    if traffic.limiter.why_not:
        sentence = f"Redis cannot be asked: {traffic.limiter.why_not}."
        yield Concern("redis_away", sentence, "calcom-pipeline doctor")
    if limiter is not None and limiter.paused_seconds > 0:
        sentence = f"Cal.com blocks the key for another {limiter.paused_seconds:.0f} s; every process waits that out."
        yield Concern("key_blocked", sentence, serious=False)
    broken = [group for group, state in (circuits or {}).items() if state != "closed"]
    if broken:
        named = ", ".join(group.replace("_", " ") for group in broken)
        yield Concern("circuit_open", f"Cal.com failed again and again and is left alone: {named}.", serious=False)


def _not_delivered(webhooks: Webhooks) -> Iterator[Concern]:
    if webhooks.wanted and webhooks.wrong:
        first = webhooks.wrong[0]
        more = f", and {len(webhooks.wrong) - 1} more" if len(webhooks.wrong) > 1 else ""
        sentence = f"Webhook subscription {first.scope}{more}: {first.reason}."
        yield Concern("webhooks_wrong", sentence, "calcom-pipeline webhooks ensure")
    if webhooks.arrivals is not None and webhooks.arrivals.are_silent:
        sentence = f"No webhook arrives: {counted(webhooks.arrivals.lost, 'change')} found by polling alone."
        yield Concern("webhooks_silent", sentence, "calcom-pipeline webhooks status")
    given_up = _sum(webhooks.deliveries, "quarantined")
    if given_up:
        sentence = f"{counted(given_up, 'delivery', 'deliveries')} could not be dealt with."
        yield Concern("deliveries_given_up", sentence, serious=False)


def _failed(runs: ReportPart[Sequence[LastRun]]) -> Iterator[Concern]:
    if runs.why_not:
        yield Concern("runs_unknown", f"Dagster's runs cannot be read: {runs.why_not}.", serious=False)
    newest: dict[str, LastRun] = {}
    for run in runs.value or ():
        newest.setdefault(run.job, run)
    for job, run in newest.items():
        if run.status == "FAILURE":
            sentence = f"The last run of {job} failed; Dagster's UI says why."
            yield Concern("run_failed", sentence, "calcom-pipeline up")


def _sum(numbers: Mapping[str, int], *names: str) -> int:
    return sum(numbers.get(name, 0) for name in names)
