"""`calcom-pipeline status` and `calcom-pipeline doctor`."""

from dataclasses import asdict

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

_PROBLEMS_SHOWN = 50


@click.command()
@with_output
def status(output: Output) -> None:
    """How much is mirrored, how far each read has come, and which services need somebody. Asks PostgreSQL only."""
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.wiring import open_pipeline

    with open_pipeline(load_settings()) as pipeline:
        counts = pipeline.overview.counts()
        watermarks = pipeline.overview.watermarks()
        rows = [(name.replace("_", " "), value) for name, value in asdict(counts).items()]
        output.table(f"Account {pipeline.settings.account}", ("what", "how many"), rows)
        marks = [(w.stream, w.partition, f"{w.position:%Y-%m-%d %H:%M:%S} UTC") for w in watermarks]
        output.table("Watermarks", ("stream", "partition", "read up to"), marks)
        links = pipeline.overview.links()
        if links:
            output.line("Services: " + ", ".join(f"{number} {state}" for state, number in links.items()))
        problems = pipeline.overview.problems(limit=_PROBLEMS_SHOWN)
        if problems:
            output.table("Services that need somebody", ("service", "", "why"), problems)
            output.line("More about one: calcom-pipeline explain SERVICE")
        backlog = pipeline.outbox.backlog()
        output.line(f"Facts waiting for the caches: {backlog.pending}")
        named = [{"service": s, "what": what, "why": why} for s, what, why in problems]
        values = {
            "links": links,
            "problems": named,
            "facts_pending": backlog.pending,
            "counts": asdict(counts),
            "watermarks": [asdict(w) for w in watermarks],
        }
        output.result("status", {"account": pipeline.settings.account, **values})


@click.command()
@with_output
def doctor(output: Output) -> int:
    """Check every setting against the running world: key, scope, versions, limit, clock, PostgreSQL, Redis, schema.

    Spends about nine calls. Exit code 12 says that something is wrong; the table says what and what to do.
    """
    from calcom_pipeline.cli.runs import run_examinations
    from calcom_pipeline.doctor import examinations
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.sync.health import examine
    from calcom_pipeline.wiring import open_pipeline

    with open_pipeline(load_settings()) as pipeline:
        findings = examine([*examinations(pipeline), *run_examinations(pipeline)])
    marks = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
    output.table("Doctor", ("check", "", "finding"), [(f.check, marks[f.verdict], f.finding) for f in findings])
    output.result("doctor", {"findings": [asdict(f) for f in findings]})
    return exit_codes.UNHEALTHY if any(f.verdict == "problem" for f in findings) else exit_codes.OK
