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
    from calcom_pipeline.app.services.sync import ServicesSynced
    from calcom_pipeline.bootstrap.container import Container
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
    from calcom_pipeline.app.loop import LOOP

    parts = {
        "services": _services,
        "event_types": _event_types,
        "bookings": _bookings,
        "caches": _caches,
        "slots": _slots,
    }
    return _run(output, "sync all", *(parts[part] for part in LOOP))


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


@sync.command("warm")
@with_output
def warm(output: Output) -> int:
    """Refill the coming days of active services in Redis, those asked for most first, as far as the limit allows."""
    return _run(output, "sync warm", _warm)


def _run(output: Output, command: str, *parts: Any) -> int:
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    results: dict[str, Any] = {}
    code = exit_codes.OK
    with ready_container(load_settings()) as container:
        for part in parts:
            before, began = container.calcom.spent(), time.monotonic()
            name, sentence, values = part(container, output)
            spent = container.calcom.spent().since(before)
            seconds = round(time.monotonic() - began, 2)
            output.line(f"{sentence}; {spent.calls} calls, {seconds} s")
            results[name] = {**values, "calls": spent.calls, "calls_refused": spent.refused, "seconds": seconds}
            if values.get("failures") or values.get("cache_error"):
                code = exit_codes.PARTIAL
    output.result(command, {"results": results})
    return code


def _services(container: "Container", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.services.planning import PlanRequest
    from calcom_pipeline.app.services.sync import sync_services
    from calcom_pipeline.clock import utc_now

    group = container.services
    with output.progress("Services", container.calcom) as progress:
        synced = sync_services(
            container.calcom,
            group.store,
            group.plans,
            PlanRequest("calcom-pipeline sync services", container.event_types.teams),
            plan_rules=group.plan_rules,
            apply_rules=group.apply_rules,
            may_write=group.apply_mode == "auto",
            now=utc_now,
            progress=progress,
        )
    return "services", *_show_services(container, output, synced)


def _show_services(container: "Container", output: Output, synced: "ServicesSynced") -> tuple[str, dict[str, Any]]:
    """The plan's or the apply's line, with what needs somebody below it."""
    from calcom_pipeline.app.services.summary import names_of, plain, summarize, summarize_apply
    from calcom_pipeline.cli.plan_lines import group_lines

    plan, report = synced.plan, synced.report
    names = names_of(container.services.store, plan)
    planned = summarize(plan, names)
    summary = planned if report is None else summarize_apply(plan, report, names)
    values: dict[str, Any] = {"plan": plan.id, "counts": plan.counts, "summary": summary.counts}
    values["groups"] = plain(summary.groups)
    output.lines(group_lines(summary.groups, width=output.width, indent=2))
    if report is not None:
        values["failures"] = {r.service_id: r.message for r in report.results if r.outcome == "failed"}
        values["outcomes"] = report.counts
    elif planned.applicable:
        sentence = f"Services: {summary.sentence}; nothing written, apply with: calcom-pipeline apply {plan.id}"
        return sentence, values
    return f"Services: {summary.sentence}", values


def _caches(container: "Container", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.availability.invalidate import apply_outbox

    del output  # quick enough for one line
    group = container.availability
    report = apply_outbox(group.outbox, group.cache, limit=container.settings.invalidation_batch)
    sentence = f"Caches: {report.facts} facts, {report.keys} cached days of {report.event_types} event types cleared"
    return "caches", sentence, asdict(report)


def _event_types(container: "Container", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.event_types.mirror import pull_event_types
    from calcom_pipeline.clock import utc_now

    group = container.event_types
    with output.progress("Event types", container.calcom) as progress:
        report = pull_event_types(
            container.calcom,
            group.mirror,
            teams=group.teams,
            rules=group.absence_rules,
            now=utc_now,
            progress=progress,
        )
    sentence = f"Event types: {report.event_types} of {report.owners} owners, {_changes(report.changes)}"
    parts = {"missing and kept": report.missing, "quarantined": report.quarantined, "listed twice": report.repeated}
    sentence += "".join(f", {number} {what}" for what, number in parts.items() if number)
    for line in report.notes:
        output.line(f"  {line}")
    return "event_types", sentence, asdict(report)


def _bookings(
    container: "Container", output: Output, *, mode: "Mode" = "changes", resume: bool = False
) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.bookings.sync import sync_bookings
    from calcom_pipeline.clock import utc_now

    def announce(reason: str, cost: "Forecast") -> None:
        output.line(f"  Reading all bookings ({reason}): {cost}")

    group = container.bookings
    with output.progress("Bookings", container.calcom) as progress:
        synced = sync_bookings(
            container.calcom,
            group.mirror,
            group.in_doubt,
            group.options,
            now=utc_now,
            mode=mode,
            resume=resume,
            progress=progress,
            announce=announce,
        )
    report, doubts = synced.report, synced.doubts
    kind = f"everything: {report.full}" if report.full else {"reread": "around now"}.get(mode, "changes only")
    sentence = f"Bookings: {report.read} read ({kind}), {_changes(report.stored.changes)}"
    parts = {
        "proven gone": report.proven.gone,
        "out of scope": report.proven.out_of_scope,
        "too old to keep": report.stored.too_old + report.forgotten,
        "quarantined": report.quarantined,
        "doubtful ones found": doubts.made,
        "doubtful ones never made": doubts.never_made,
        "doubtful ones still open": doubts.still_open,
    }
    sentence += "".join(f", {number} {what}" for what, number in parts.items() if number)
    for line in booking_warnings(report):
        output.line(f"  {line}")
    return "bookings", sentence, {**asdict(report), "outcomes": asdict(doubts)}


def booking_warnings(report: "BookingsReport") -> list[str]:
    """What an operator should know although the read worked."""
    unknown = report.unknown_fields.items()
    lines = [f"unknown field {name} in {rows} bookings: kept in raw, in no column" for name, rows in unknown]
    if report.proven.open:
        lines.append(f"{report.proven.open} or more missing bookings are not settled: {report.proven.why_open}")
    return [*lines, *report.notes]


def _warm(container: "Container", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.bootstrap.warming import warm_free_times

    with output.progress("Free times", container.calcom) as progress:
        report = warm_free_times(container, progress)
    sentence = f"Free times: {report.fetched} months fetched, {report.warm} event types warm already"
    if report.refused:
        sentence += f", {report.refused} months more than the limit allows"
    for event_type_id, why in report.failures.items():
        output.line(f"  event type {event_type_id} was not read: {why}")
    return "warm", sentence, asdict(report)


def _slots(container: "Container", output: Output) -> tuple[str, str, dict[str, Any]]:
    from calcom_pipeline.app.availability.refresh import refresh_slots
    from calcom_pipeline.clock import utc_now

    group = container.availability
    with output.progress("Slots", container.calcom) as progress:
        report = refresh_slots(
            container.calcom,
            container.event_types.mirror,
            group.mirror,
            group.cache,
            now=utc_now(),
            options=group.options,
            progress=progress,
        )
    sentence = f"Slots: {report.slots} free starts on {report.days} days, {_changes(report.changes)}"
    parts = {"without a seat left": report.full, "days quarantined": report.quarantined}
    parts |= {"cached values unreadable": report.spoiled, "queries asked twice": report.asked_again}
    sentence += "".join(f", {number} {what}" for what, number in parts.items() if number)
    if report.fresh_queries:
        sentence += f", {report.fresh_queries} event types still fresh"
    for event_type_id, why in report.failures.items():
        output.line(f"  event type {event_type_id} was not read: {why}")
    if report.cache_error:
        output.line(f"  {report.days - report.cached_days} days are not cached: {report.cache_error}")
    return "slots", sentence, asdict(report)


def _changes(changes: "Changes") -> str:
    return f"{changes.added} added, {changes.changed} changed, {changes.gone} gone"
