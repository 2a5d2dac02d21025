"""`calcom-pipeline sync`: the mirrors without Dagster."""

import functools
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from calcom_pipeline.app.bookings.mirror import BookingsReport, Mode
    from calcom_pipeline.app.calls import Changes
    from calcom_pipeline.bootstrap.container import Pipeline
    from calcom_pipeline.domain.bookings.positions import Forecast


@click.group()
def sync() -> None:
    """Mirror Cal.com into PostgreSQL and Redis, without Dagster.

    What is mirrored once is only read for changes afterwards; an unchanged row is never written again.
    """


@sync.command("event-types")
@with_output
def event_types(output: Output) -> int:
    """Event types of the key's user and its teams: one row each in `event_types`."""
    return _run(output, "sync event-types", _event_types)


@sync.command("bookings")
@click.option("--full", "mode", flag_value="full", help="Read all anew: finds deletions and what moves no timestamp.")
@click.option("--reread", "mode", flag_value="reread", help="Read what starts around now anew, for the same reason.")
@click.option("--resume", is_flag=True, help="With --full: go on where an interrupted one stopped.")
@with_output
def bookings(output: Output, *, mode: "Mode | None", resume: bool) -> int:
    """Bookings: everything the first time, then what changed since the watermark (three calls if nothing did)."""
    return _run(output, "sync bookings", functools.partial(_bookings, mode=mode or "changes", resume=resume))


@sync.command("slots")
@with_output
def slots(output: Output) -> int:
    """Free starts of every bookable event type for the coming weeks, into `slots` and into Redis."""
    return _run(output, "sync slots", _slots)


@sync.command("all")
@with_output
def everything(output: Output) -> int:
    """The whole loop: services, event types, bookings, caches, slots, in this order."""
    # What has changed leaves the caches before slots are fetched: those are newer than every change.
    return _run(output, "sync all", _services, _event_types, _bookings, _caches, _slots)


@sync.command("services")
@with_output
def services(output: Output) -> int:
    """Plan services against event types and apply what may be applied unasked.

    On a real account nothing is written unless CALCOM_APPLY=auto; the plan is kept, to be applied by its name.
    """
    return _run(output, "sync services", _services)


@sync.command("caches")
@with_output
def caches(output: Output) -> int:
    """Apply the outbox: cached days that a change concerns leave Redis."""
    return _run(output, "sync caches", _caches)


def _run(output: Output, command: str, *parts: Any) -> int:
    from calcom_pipeline.bootstrap.container import open_pipeline
    from calcom_pipeline.settings import load_settings

    results: dict[str, Any] = {}
    code = exit_codes.OK
    with open_pipeline(load_settings()) as pipeline:
        for part in parts:
            before, began = pipeline.calcom.spent(), time.monotonic()
            name, sentence, values = part(pipeline, output)
            spent = pipeline.calcom.spent().since(before)
            seconds = round(time.monotonic() - began, 2)
            output.line(f"{sentence}; {spent.calls} calls, {seconds} s")
            results[name] = {**values, "calls": spent.calls, "calls_refused": spent.refused, "seconds": seconds}
            if values.get("failures"):
                code = exit_codes.PARTIAL
    output.result(command, {"results": results})
    return code


def _services(pipeline: "Pipeline", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.bootstrap.reconciling import plan_now
    from calcom_pipeline.cli.plans import applied

    stored, decided = plan_now(pipeline, "calcom-pipeline sync services")
    values: dict[str, Any] = {"plan": stored.id, "counts": stored.counts}
    if decided.is_empty:
        return "services", f"Services: nothing to do, {decided.unchanged} agree with Cal.com", values
    if pipeline.apply_mode != "auto":
        said = f"Services: planned, nothing written; apply with: calcom-pipeline apply {stored.id}"
        return "services", said, values
    report = applied(pipeline, stored, output, approved=False)
    for result in report.results:
        if result.outcome != "done":
            output.line(f"  service {result.service_id}: {result.kind} {result.outcome}: {result.message}")
    failures = {r.service_id: r.message for r in report.results if r.outcome == "failed"}
    told = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items())
    return "services", f"Services: {told}", {**values, "outcomes": report.counts, "failures": failures}


def _caches(pipeline: "Pipeline", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.availability.invalidate import clear, resolve

    del output  # quick enough for one line
    report = clear(
        pipeline.outbox,
        pipeline.slot_cache,
        resolve(pipeline.outbox, pipeline.outbox.pending(limit=pipeline.settings.invalidation_batch)),
    )
    said = f"Caches: {report.facts} facts, {report.keys} cached days of {report.event_types} event types cleared"
    return "caches", said, asdict(report)


def _event_types(pipeline: "Pipeline", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.event_types.mirror import pull_event_types
    from calcom_pipeline.clock import utc_now

    with output.progress("Event types") as progress:
        report = pull_event_types(
            pipeline.calcom,
            pipeline.event_type_mirror,
            teams=pipeline.teams,
            rules=pipeline.absence_rules,
            now=utc_now,
            progress=progress,
        )
    said = f"Event types: {report.event_types} of {report.owners} owners, {_changes(report.changes)}"
    parts = {"missing and kept": report.missing, "quarantined": report.quarantined, "listed twice": report.repeated}
    said += "".join(f", {number} {what}" for what, number in parts.items() if number)
    for line in report.notes:
        output.line(f"  {line}")
    return "event_types", said, asdict(report)


def _bookings(
    pipeline: "Pipeline", output: Output, *, mode: "Mode" = "changes", resume: bool = False
) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.bookings.in_doubt import close_outcomes
    from calcom_pipeline.app.bookings.mirror import pull_bookings
    from calcom_pipeline.clock import utc_now

    def announce(reason: str, cost: "Forecast") -> None:
        output.line(f"  Reading all bookings ({reason}): {cost}")

    with output.progress("Bookings") as progress:
        report = pull_bookings(
            pipeline.calcom if mode == "changes" else pipeline.calcom.in_lane("backfill"),
            pipeline.booking_mirror,
            pipeline.booking_options,
            now=utc_now,
            mode=mode,
            resume=resume,
            progress=progress,
            announce=announce,
        )
    kind = f"everything: {report.full}" if report.full else {"reread": "around now"}.get(mode, "changes only")
    said = f"Bookings: {report.read} read ({kind}), {_changes(report.stored.changes)}"
    parts = {
        "proven gone": report.proven.gone,
        "out of scope": report.proven.out_of_scope,
        "too old to keep": report.stored.too_old + report.forgotten,
        "quarantined": report.quarantined,
    }
    said += "".join(f", {number} {what}" for what, number in parts.items() if number)
    for line in booking_warnings(report):
        output.line(f"  {line}")
    closed = close_outcomes(pipeline.calcom, pipeline.outcomes, now=utc_now())
    outcomes = {"found": closed.made, "never made": closed.never_made, "still open": closed.still_open}
    said += "".join(f", {number} doubtful ones {what}" for what, number in outcomes.items() if number)
    return "bookings", said, {**asdict(report), "outcomes": asdict(closed)}


def booking_warnings(report: "BookingsReport") -> list[str]:
    """What an operator should know although the read worked."""
    unknown = report.unknown_fields.items()
    lines = [f"unknown field {name} in {rows} bookings: kept in raw, in no column" for name, rows in unknown]
    if report.proven.open:
        lines.append(f"{report.proven.open} or more missing bookings are not settled: {report.proven.why_open}")
    return [*lines, *report.notes]


def _slots(pipeline: "Pipeline", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.availability.refresh import refresh_slots
    from calcom_pipeline.clock import utc_now

    with output.progress("Slots") as progress:
        report = refresh_slots(
            pipeline.calcom,
            pipeline.event_type_mirror,
            pipeline.slot_mirror,
            pipeline.slot_cache,
            now=utc_now(),
            options=pipeline.slot_options,
            progress=progress,
        )
    said = f"Slots: {report.slots} free starts on {report.days} days, {_changes(report.changes)}"
    parts = {"without a seat left": report.full, "days quarantined": report.quarantined}
    parts |= {"cached values unreadable": report.spoiled, "queries asked twice": report.asked_again}
    said += "".join(f", {number} {what}" for what, number in parts.items() if number)
    if report.fresh_queries:
        said += f", {report.fresh_queries} event types still fresh"
    for event_type_id, why in report.failures.items():
        output.line(f"  event type {event_type_id} was not read: {why}")
    return "slots", said, asdict(report)


def _changes(changes: "Changes") -> str:
    return f"{changes.added} added, {changes.changed} changed, {changes.gone} gone"
