"""Plans and their results as commands show them: lines for a person, one object for a program."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output
from calcom_pipeline.cli.next_steps import NextStep

if TYPE_CHECKING:
    from calcom_pipeline.app.services.apply import ApplyReport
    from calcom_pipeline.app.services.ports import StoredPlan
    from calcom_pipeline.app.services.summary import PlanSummary
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.domain.services.plans import Action


def show_plan(output: Output, container: "Container", stored: "StoredPlan", *, empty: bool) -> "PlanSummary":
    """What would change, what waits and why, one line that sums it up. `empty`: apply has nothing to do."""
    from calcom_pipeline.app.services.summary import names_of, plain, summarize
    from calcom_pipeline.cli.plan_lines import plan_lines

    names = names_of(container.services.store, stored)
    summary = summarize(stored, names)
    output.lines(plan_lines(summary, width=output.width))
    for note in sorted({note for action in stored.actions for note in action.notes}):
        output.sentence(f"Note: {note}.", indent=2)
    output.sentence(f"{summary.sentence}.")
    actions = [_plain(action, names) for action in stored.actions]
    head = {"plan": stored.id, "hash": stored.hash, "expires_at": stored.expires_at, "held": stored.held}
    plan_values = {
        **head,
        "held_codes": {kind: why.code for kind, why in stored.held.items()},
        "empty": empty,
        "agrees": summary.agrees,
        "counts": stored.counts,
        "summary": summary.counts,
        "groups": plain(summary.groups),
        "actions": actions,
    }
    output.result("plan", plan_values, then=_after_plan(stored, summary))
    return summary


def _after_plan(stored: "StoredPlan", summary: "PlanSummary") -> NextStep | None:
    from calcom_pipeline.domain.services.remedies import explain_command

    if summary.applicable:
        held = any(group.fate == "held" for group in summary.groups)
        what = "do it, what is held included" if held else "do it"
        return NextStep(f"calcom-pipeline apply {stored.id}", f"{what}; until {stored.expires_at:%H:%M} UTC")
    first = next((group.members[0] for group in summary.groups if group.members[0].service_id), None)
    return NextStep(explain_command(first.service_id), "all about one of them") if first else None


def show_report(
    output: Output, command: str, container: "Container", stored: "StoredPlan", report: "ApplyReport", **more: Any
) -> int:
    """What was done and what was not; the exit code says whether all was done."""
    from calcom_pipeline.app.services.summary import names_of, plain, summarize_apply
    from calcom_pipeline.cli.plan_lines import apply_lines
    from calcom_pipeline.domain.services.remedies import explain_command

    summary = summarize_apply(stored, report, names_of(container.services.store, stored))
    output.lines(apply_lines(summary, width=output.width))
    output.sentence(f"{summary.sentence}.")
    report_values = {
        "plan": report.plan_id,
        "counts": report.counts,
        "summary": summary.counts,
        "groups": plain(summary.groups),
        "results": [asdict(result) for result in report.results],
    }
    failed = next((group.members[0] for group in summary.groups if group.fate == "failed"), None)
    then = NextStep(explain_command(failed.service_id), "why it failed") if failed else None
    output.result(command, {**report_values, **more}, then=then)
    return exit_codes.OK if set(report.counts) <= {"done"} else exit_codes.PARTIAL


def _plain(action: "Action", names: dict[str, str]) -> dict[str, Any]:
    """An action for programs: its reason as a sentence, and as a code with parameters."""
    owner = str(action.owner) if action.owner else None
    reason = {"reason_code": action.reason.code, "reason_params": action.reason.params}
    return {**asdict(action), "owner": owner, "service_name": names.get(action.service_id, ""), **reason}
