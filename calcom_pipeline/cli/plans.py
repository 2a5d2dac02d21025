"""`calcom-pipeline plan | apply | revert | explain | resolve`: services against event types, reviewed by a person."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep
from calcom_pipeline.cli.plan_views import show_plan, show_report
from calcom_pipeline.domain.errors import ConfigurationError, PlanUnusable

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager
    from datetime import datetime

    from calcom_pipeline.app.services.apply import ApplyReport
    from calcom_pipeline.app.services.explain import Explanation
    from calcom_pipeline.app.services.ports import ActionResult, StoredPlan
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.domain.services.plans import Plan

_HISTORY = 10
_HISTORY_COLUMNS = ("plan", "kind", "outcome", "message", "finished_at", "before", "after")


@click.command()
@click.option("--service", "only", multiple=True, help="Plan this service alone (its id); may be repeated.")
@click.option(
    exit_codes.DETAILED,
    "detailed",
    is_flag=True,
    help="Exit with 0 when both sides agree, 2 when something is to be done, decided or waited for, 1 on any error.",
)
@with_output
def plan(output: Output, only: tuple[str, ...], *, detailed: bool) -> int:
    """Show what has to happen so that services and event types agree, and why. Writes nothing to either side.

    Only what changes is shown: + an event type is made or shown, ~ a field gets another value, - one is hidden or
    parked, = a service is linked to what is there, ! somebody has to decide. What waits for one reason is one block.

    The plan is kept for an hour (CALCOM_PLAN_LIFETIME_MINUTES): review it, then apply it by its name.
    """
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        with output.progress("Planning", container.calcom):
            stored, decided = planned(container, "calcom-pipeline plan", only or None)
        summary = show_plan(output, container, stored, empty=decided.is_empty)
    return exit_codes.CHANGES if detailed and not summary.agrees else exit_codes.OK


def planned(container: "Container", source: str, only: "Collection[str] | None" = None) -> "tuple[StoredPlan, Plan]":
    """Make a plan, of some services or of all."""
    from calcom_pipeline.app.services.planning import PlanRequest, make_plan
    from calcom_pipeline.clock import utc_now

    group = container.services
    request = PlanRequest(source, container.event_types.teams, only)
    return make_plan(container.calcom, group.store, group.plans, request, rules=group.plan_rules, now=utc_now)


def applied(container: "Container", stored: "StoredPlan", output: Output, *, approved: bool) -> "ApplyReport":
    """Apply a plan, with a bar for a person."""
    from calcom_pipeline.app.services.apply import apply_plan
    from calcom_pipeline.clock import utc_now

    group = container.services
    with output.progress("Services", container.calcom) as progress:
        return apply_plan(
            stored,
            container.calcom,
            group.store,
            group.plans,
            rules=group.apply_rules,
            now=utc_now,
            approved=approved,
            progress=progress,
        )


@click.command()
@click.argument("plan_id", required=False)
@click.option("--auto", "automatic", is_flag=True, help="Make a plan now and apply what needs nobody's approval.")
@with_output
def apply(output: Output, plan_id: str | None, *, automatic: bool) -> int:
    """Apply a reviewed plan by its name, held actions included; or, with --auto, what a new plan may do unasked.

    On a real account --auto needs CALCOM_APPLY=auto. One service's failure is that service's result: exit code 11.
    """
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    if (plan_id is None) == (not automatic):
        raise click.UsageError("Name a plan (calcom-pipeline plan shows one), or say --auto.")
    with ready_container(load_settings()) as container:
        if plan_id is not None:
            stored = _loaded(container, plan_id)
        else:
            _require_auto(container)
            stored, _ = planned(container, "calcom-pipeline apply --auto")
        report = applied(container, stored, output, approved=plan_id is not None)
        return show_report(output, "apply", container, stored, report)


def _require_auto(container: "Container") -> None:
    if container.services.apply_mode != "auto":
        raise ConfigurationError(
            ["apply --auto would write to a real account, and CALCOM_APPLY is not auto"],
            advice="Set CALCOM_APPLY=auto, or review a plan and apply it by name.",
        )


def _loaded(container: "Container", plan_id: str) -> "StoredPlan":
    stored = container.services.plans.load(plan_id)
    if stored is None:
        raise PlanUnusable(f"There is no plan {plan_id}", advice="calcom-pipeline plan makes one.")
    return stored


@click.command()
@click.argument("plan_id", required=False)
@click.option("--service", help="Undo what was last done to this service.")
@with_output
def revert(output: Output, plan_id: str | None, service: str | None) -> int:
    """Undo a plan, or what was last done to one service: both sides get back what they had.

    What was edited since is left alone. A created event type is hidden, an adopted one is unlinked.
    """
    from calcom_pipeline.app.services.revert import undo
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    if (plan_id is None) == (service is None):
        raise click.UsageError("Name a plan, or a service with --service.")
    with ready_container(load_settings()) as container:
        with _no_apply(container):
            undone = undo(container.services.store, _results_to_undo(container, plan_id, service))
        names = {row.id: row.name or "" for row in container.services.store.services([u.service_id for u in undone])}
        rows = [(f"{u.service_id} {names.get(u.service_id, '')}".rstrip(), _mark(u.done), u.message) for u in undone]
        output.table("Undone", ("service", "", "what"), rows)
        touched = [u.service_id for u in undone if u.done]
        if not touched:
            output.result("revert", {"undone": [asdict(u) for u in undone], "results": []})
            return exit_codes.PARTIAL
        stored, _ = planned(container, "calcom-pipeline revert", touched)
        report = applied(container, stored, output, approved=True)
        return show_report(output, "revert", container, stored, report, undone=[asdict(u) for u in undone])


def _no_apply(container: "Container") -> "AbstractContextManager[None]":
    """An apply works on a copy of the links: what a person decides meanwhile would be overwritten by it."""
    return container.services.plans.exclusive(wait_seconds=container.services.plan_rules.wait_seconds)


def _results_to_undo(container: "Container", plan_id: str | None, service: str | None) -> "list[ActionResult]":
    if plan_id is not None:
        return container.services.plans.results(_loaded(container, plan_id).id)
    last = container.services.plans.last_of(str(service))
    if last is None:
        raise PlanUnusable(f"Nothing was ever done to service {service}")
    return [r for r in container.services.plans.results(last.id) if r.service_id == service]


@click.command()
@click.argument("service")
@with_output
def explain(output: Output, service: str) -> None:
    """Tell all about one service: its link, what differs now, what was planned and written, how often it failed."""
    from calcom_pipeline.app.services.conflicts import linked_event_type
    from calcom_pipeline.app.services.explain import explain as explained
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        found = linked_event_type(container.calcom, container.services.store, service)
        explanation = explained(container.services.store, service, found)
        history = container.services.plans.history(service, limit=_HISTORY)
        _show_explanation(output, explanation, [dict(zip(_HISTORY_COLUMNS, row, strict=True)) for row in history])


def _show_explanation(output: Output, explanation: "Explanation", history: list[dict[str, Any]]) -> None:
    link, service = explanation.link, explanation.service
    state = f"{link.state}, event type {link.event_type_id}" if link else "not linked"
    if link and link.reason:
        state += f", {link.attempts} failures: {link.reason}"
    if link and link.next_attempt_at:
        state += f"; next attempt from {_minute(link.next_attempt_at)} UTC"
    output.line(f"Service {service.id} ({service.name}): {state}")
    for problem in explanation.problems:
        output.line(f"  refused: {problem}")
    last_plan = history[0] if history else None
    last_write = next((past for past in history if past["outcome"] == "done"), None)
    if last_plan:
        output.line(f"Last plan: {last_plan['plan']}, {last_plan['kind']}, {last_plan['outcome'] or 'not applied'}")
    if last_write:
        output.line(f"Last write: {_minute(last_write['finished_at'])} UTC, {last_write['message']}")
    drift = [(d.field, d.local, d.remote, d.base) for d in explanation.drift]
    output.table("What differs now", ("field", "here", "Cal.com", "last agreed"), drift)
    rows = [
        (_minute(past["finished_at"]), past["kind"], past["outcome"] or "planned", past["message"]) for past in history
    ]
    output.table("What happened", ("when (UTC)", "action", "outcome", "message"), rows)
    shown = {
        "service": asdict(service),
        "problems": explanation.problems,
        "link": {**asdict(link), "owner": str(link.owner)} if link else None,
        "drift": [asdict(d) for d in explanation.drift],
        "attempts": link.attempts if link else 0,
        "last_plan": last_plan,
        "last_write": last_write,
        "history": history,
    }
    output.result("explain", shown, then=_after_explaining(explanation, history))


def _after_explaining(explanation: "Explanation", history: list[dict[str, Any]]) -> NextStep | None:
    """What settles it, if anything has to be settled."""
    from calcom_pipeline.domain.services.remedies import remedy_of

    service = explanation.service.id
    if explanation.drift and history and history[0]["kind"] == "conflict":
        return NextStep(remedy_of("conflict").command(service), "the service's values count; or remote")
    if explanation.link is not None and explanation.link.reason:
        return NextStep(remedy_of("failed").command(service), "once the cause is mended")
    return None


def _minute(at: "datetime | None") -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


@click.command()
@click.argument("service")
@click.option("--take", type=click.Choice(["local", "remote"]), help="Whose value the open fields get.")
@click.option("--field", "names", multiple=True, help="Decide this field alone; may be repeated.")
@click.option("--retry", is_flag=True, help="Forget its failures and try it with the next plan.")
@with_output
def resolve(output: Output, service: str, take: Any, names: tuple[str, ...], *, retry: bool) -> None:
    """Settle what a plan left open for a service: a conflict (--take), or repeated failures (--retry).

    Nothing is written to Cal.com by this command; the next plan follows the decision.
    """
    from calcom_pipeline.app.services.choices import decide_services
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    if (take is None) == (not retry):
        raise click.UsageError("Say --take local, --take remote or --retry.")
    with ready_container(load_settings()) as container:
        group = container.services
        wait = group.plan_rules.wait_seconds
        decision = "retry" if retry else take
        decided = decide_services(
            container.calcom, group.store, group.plans, (service,), decision, wait_seconds=wait, names=names
        )
        if retry:
            output.line(f"Service {service} will be tried with the next plan.")
            output.result("resolve", {"service": service, "retry": True})
            return
        side = "here" if take == "local" else "at Cal.com"
        output.line(f"Service {service}: {', '.join(decided)} will be as {side}.")
        output.result("resolve", {"service": service, "take": take, "fields": decided})


def _mark(done: bool) -> str:
    return "done" if done else "left alone"
