"""`calcom-pipeline status` and `calcom-pipeline doctor`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calcom_pipeline.bootstrap.container import Container

_PROBLEMS_SHOWN = 50
# A look is some ten queries: one every few seconds is no load, and what it shows changes by the minute.
_LOOK_SECONDS, _SHORTEST_LOOK_SECONDS = 5.0, 0.5
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_UNIT = 1024


@click.command()
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--every",
    "every_seconds",
    type=click.FloatRange(min=_SHORTEST_LOOK_SECONDS),
    default=_LOOK_SECONDS,
    show_default=True,
    help="With --watch: seconds between two looks.",
)
@with_output
def status(output: Output, *, watch: bool, every_seconds: float) -> None:
    """How much is mirrored, how far each read has come, which services need somebody, what our own records take.

    Asks PostgreSQL, and Redis for what shadow reads of cached free times came to; never Cal.com. With --watch and
    --json, one object a look.
    """
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.cli.watching import repeat
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        if watch:
            repeat(output, lambda: _status(output, container), every_seconds=every_seconds, now=utc_now)
        else:
            _status(output, container)


def _status(output: Output, container: "Container") -> None:
    from calcom_pipeline.domain.services.remedies import explain_command

    overview = container.reports.overview
    counts, watermarks = overview.counts(), overview.watermarks()
    rows = [(name.replace("_", " "), value) for name, value in asdict(counts).items()]
    output.table(f"Account {container.settings.account}", ("what", "how many"), rows)
    marks = [(w.stream, w.partition, f"{w.position:%Y-%m-%d %H:%M:%S} UTC") for w in watermarks]
    output.table("Watermarks", ("stream", "partition", "read up to"), marks)
    missing = overview.missing_event_types()
    if missing:
        lines = [(m.owner, m.event_types, f"{m.since:%Y-%m-%d %H:%M} UTC", m.why) for m in missing]
        output.table("Event types that are missing and kept", ("owner", "how many", "since", "why"), lines)
    links = overview.links()
    if links:
        output.line("Services: " + ", ".join(f"{number} {state}" for state, number in links.items()))
    problems = overview.problems(limit=_PROBLEMS_SHOWN)
    named = _problems(container, output, problems)
    backlog = container.availability.outbox.backlog()
    output.line(f"Facts waiting for the caches: {backlog.pending}")
    shadow = _shadow_reads(container, output)
    records = _records(container, output)
    values = {
        "links": links,
        "problems": named,
        "missing_event_types": [asdict(m) for m in missing],
        "facts_pending": backlog.pending,
        "shadow_reads": shadow,
        "counts": asdict(counts),
        "watermarks": [asdict(w) for w in watermarks],
        "records": records,
    }
    first = problems[0][0] if problems else None
    then = NextStep(explain_command(first), "all about the first of them") if first else None
    output.result("status", {"account": container.settings.account, **values}, then=then)


def _problems(
    container: "Container", output: Output, problems: "Sequence[tuple[str, str, str]]"
) -> list[dict[str, Any]]:
    """Services that need somebody, by name."""
    if not problems:
        return []
    names = {row.id: row.name or "" for row in container.services.store.services([s for s, _, _ in problems])}
    rows = [(f"{service} {names.get(service, '')}".rstrip(), what, why) for service, what, why in problems]
    output.table("Services that need somebody", ("service", "", "why"), rows)
    return [{"service": s, "name": names.get(s, ""), "what": what, "why": why} for s, what, why in problems]


def _shadow_reads(container: "Container", output: Output) -> dict[str, Any] | None:
    """Told where Redis can be asked."""
    from calcom_pipeline.domain.errors import CacheError

    try:
        counts = container.availability.shadow_book.lately()
    except CacheError as error:
        output.line(f"Shadow reads of free times: unknown; {error}")
        return None
    comparison = f"{counts.wrong_starts} of {counts.starts} starts were wrong in {counts.answers} answers"
    output.line(f"Shadow reads of free times since yesterday: {comparison}")
    return {**asdict(counts), "wrong_rate": counts.wrong_rate}


def _records(container: "Container", output: Output) -> list[dict[str, Any]]:
    """What our own records and Dagster's take, and how long each is kept."""
    from calcom_pipeline.bootstrap.dagster_instance import room_of_dagster
    from calcom_pipeline.domain.errors import StoreError

    days = {lifetime.records.kind: lifetime.keep.days for lifetime in container.maintenance.lifetimes}
    found = [{**asdict(size), "days": days[size.kind]} for size in container.maintenance.sizes.sizes()]
    kept = container.settings.dagster_retention_days
    try:
        room = room_of_dagster(container)
    except StoreError as error:  # it may be another server, or another user's
        room = {}
        output.line(f"Dagster's own records were not measured: {error}")
    found += [
        {"kind": kind, "records": None, "oldest": None, "size_bytes": size, "days": kept} for kind, size in room.items()
    ]
    rows = [
        (
            r["kind"],
            "" if r["records"] is None else r["records"],
            f"{r['oldest']:%Y-%m-%d}" if r["oldest"] else "",
            _readable(r["size_bytes"]),
            f"{r['days']} days",
        )
        for r in found
    ]
    output.table("Own records", ("what", "how many", "oldest", "size", "kept for"), rows)
    return found


def _readable(size: float) -> str:
    for unit in _UNITS[:-1]:
        if size < _UNIT:
            return f"{size:.0f} {unit}"
        size /= _UNIT
    return f"{size:.0f} {_UNITS[-1]}"


@click.command()
@with_output
def doctor(output: Output) -> int:
    """Check every setting against the running world: key, scope, versions, limit, clock, PostgreSQL, Redis, schema.

    Also whose time zone rules say what. Spends about a dozen calls. Exit code 12 says that something is wrong; the
    table says what and what to do.
    """
    from calcom_pipeline.app.maintenance.health import examine
    from calcom_pipeline.bootstrap.container import open_container
    from calcom_pipeline.bootstrap.doctor import examinations
    from calcom_pipeline.cli.runs import run_examinations
    from calcom_pipeline.settings import load_settings

    with open_container(load_settings()) as container, output.progress("Looking"):
        findings = examine([*examinations(container), *run_examinations(container)])
    marks = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
    output.table("Doctor", ("check", "", "finding"), [(f.check, marks[f.verdict], f.finding) for f in findings])
    output.result("doctor", {"findings": [asdict(f) for f in findings]})
    return exit_codes.UNHEALTHY if any(f.verdict == "problem" for f in findings) else exit_codes.OK
