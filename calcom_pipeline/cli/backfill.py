"""`calcom-pipeline backfill`: the history of bookings, month by month."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from calcom_pipeline.app.bookings.history import BackfillPlan
    from calcom_pipeline.domain.bookings.positions import Month


@click.group()
def backfill() -> None:
    """Read what was booked long ago. What was read once is not read again, and an interrupted month goes on."""


@backfill.command("bookings")
@click.option("--from", "first", metavar="YYYY-MM", help="First month of creation. Default: CALCOM_BACKFILL_FROM.")
@click.option("--to", "last", metavar="YYYY-MM", help="Last month. Default: this one.")
@click.option("--again", is_flag=True, help="Read months that are done once more.")
@click.option("--forecast", "only_forecast", is_flag=True, help="Say what it would cost, and read nothing.")
@with_output
def bookings(output: Output, *, first: str | None, last: str | None, again: bool, only_forecast: bool) -> int:
    """Bookings by month of creation; says first what that costs in calls and minutes."""
    from calcom_pipeline.app.bookings.backfill import backfill as run
    from calcom_pipeline.app.bookings.backfill import forecast_backfill
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.domain.bookings.positions import Month
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    months = _months(first or settings.backfill_from, last, Month.of(utc_now()))
    with ready_container(settings) as container:
        calcom, group = container.calcom, container.bookings
        before, began = calcom.spent(), time.monotonic()
        plan = forecast_backfill(
            calcom,
            group.new_mirror,
            months,
            group.options,
            most_workers=settings.backfill_workers,
            again=again,
            now=utc_now(),
        )
        _say(output, plan)
        if only_forecast or not plan.months:
            output.result("backfill bookings", {"plan": _plain(plan)})
            return exit_codes.OK
        with output.progress("Backfill", calcom) as progress:
            report = run(calcom, group.new_mirror, plan, group.options, now=utc_now, again=again, progress=progress)
        spent, seconds = calcom.spent().since(before), round(time.monotonic() - began, 2)
    total = report.total
    changes = total.stored.changes
    output.line(
        f"Backfill: {total.read} read in {len(report.months)} months, {changes.added} added, "
        f"{changes.changed} changed, {report.proven.gone} proven gone; {spent.calls} calls, {seconds} s"
    )
    for month, why in report.failures.items():
        output.line(f"  {month} is not complete: {why}")
    read = {str(m.month): {"read": m.read, "done": m.done, **asdict(m.stored)} for m in report.months}
    output_values = {"plan": _plain(plan), "months": read, "failures": report.failures, "proven": asdict(report.proven)}
    output.result("backfill bookings", {**output_values, "calls": spent.calls, "seconds": seconds})
    return exit_codes.PARTIAL if report.failures else exit_codes.OK


def _months(first: str, last: str | None, current: "Month") -> "list[Month]":
    from calcom_pipeline.domain.bookings.positions import Month

    try:
        begin, end = Month.parse(first), Month.parse(last) if last else current
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if begin > end or end > current:
        raise click.UsageError(f"from {begin} to {end} holds no month that has begun")
    return begin.through(end)


def _say(output: Output, plan: "BackfillPlan") -> None:
    if plan.empty:
        output.line(f"  {plan.empty[0]} to {plan.empty[-1]}: nothing was booked yet")
    if plan.done:
        output.line(f"  {len(plan.done)} months were read before (--again reads them once more)")
    if plan.months:
        at_once = f", {plan.cost.workers} months at once" if plan.cost.workers > 1 else ""
        output.line(f"Forecast for {plan.months[0]} to {plan.months[-1]}: {plan.cost}{at_once}")
    else:
        output.line("Nothing is left to read.")


def _plain(plan: "BackfillPlan") -> dict[str, Any]:
    months = {name: [str(m) for m in getattr(plan, name)] for name in ("months", "done", "empty")}
    return {**months, "forecast": asdict(plan.cost)}
