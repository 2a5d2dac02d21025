"""What of services a person reads in the UI: who needs somebody, what to press, what a plan and its results say."""

from collections import Counter
from collections.abc import Iterable, Sequence

import dagster as dg

from calcom_pipeline.app.services.attention import ServicesNow
from calcom_pipeline.app.services.ports import ActionResult, StoredPlan
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.markdown import Markup, code, launchpad, link, shown, table
from calcom_pipeline.domain.services.attention import ServiceTrouble
from calcom_pipeline.domain.services.plans import Action
from calcom_pipeline.domain.services.remedies import explain_command
from calcom_pipeline.settings import Settings

#: A page of the UI takes some hundred rows well; all of them stand in `sync_actions`.
ROWS_SHOWN = 200
#: In the text of a check, which the UI shows at full width.
ROWS_IN_TEXT = 20
_NAMED = 3  # in a sentence
#: Kinds of trouble, as people count them.
COUNTED: dict[str, str] = {
    "parked": "parked",
    "failed": "failed",
    "conflict": "changed on both sides",
    "refused": "refused",
    "waiting": "waiting",
}
_KIND_SENTENCES: dict[str, str] = {
    "parked": "parked, nobody tries it any more",
    "failed": "failed",
    "conflict": "changed on both sides",
    "refused": "cannot become an event type",
    "waiting": "waits",
}


def trouble_sentence(now: ServicesNow) -> str:
    """How many services need somebody, in a sentence."""
    if now.unread:
        return f"Cal.com could not be asked, so this is as of the last plan: {shown(now.unread)}"
    if not now.troubles:
        return f"All services ({now.services}) agree with Cal.com, or are about to be written."
    counts = Counter(trouble.kind for trouble in now.troubles)
    kinds = ", ".join(f"{number} {COUNTED[kind]}" for kind, number in counts.items())
    verb = "needs" if len(now.troubles) == 1 else "need"
    return f"{len(now.troubles)} of {now.services} services {verb} somebody: {kinds}."


def trouble_table(
    now: ServicesNow, account: Account, settings: Settings, *, most: int = ROWS_SHOWN
) -> dg.MarkdownMetadataValue:
    """A row a service: what is the matter, when it is tried next, what to press or to type."""
    some = now.troubles[:most]
    cells = [
        (
            link(now.named(t.service_id), page_of(t.event_type_id, settings)),
            _matter(t),
            _next_attempt(t),
            _what_to_do(t, account),
        )
        for t in some
    ]
    columns = ("service", "what is the matter", "next attempt (UTC)", "what to do")
    return table(columns, cells, more=len(now.troubles) - len(some))


def _matter(trouble: ServiceTrouble) -> Markup:
    tried = f", {trouble.attempts} failure{'s' * (trouble.attempts > 1)}" if trouble.attempts else ""
    values = "; ".join(f"{d.field}: {d.local!r} here, {d.remote!r} at Cal.com" for d in trouble.fields)
    reason = values or trouble.reason
    return Markup(f"**{shown(_KIND_SENTENCES[trouble.kind])}**{tried}: {shown(reason)}")


def _next_attempt(trouble: ServiceTrouble) -> str:
    if trouble.next_attempt_at is not None:
        return f"{trouble.next_attempt_at:%Y-%m-%d %H:%M}"
    return {"parked": "none", "failed": "with the next plan", "waiting": "with the next plan"}.get(
        trouble.kind, "once somebody acted"
    )


def _what_to_do(trouble: ServiceTrouble, account: Account) -> Markup:
    """The advice, the button, the command."""
    service, remedy = trouble.service_id, trouble.remedy
    parts = [str(shown(remedy.sentence))]
    if remedy.kind == "retry":
        parts.append(launchpad("Retry it", account.named("retry_service"), {"service": service}))
    if remedy.kind == "decide":
        job = account.named("resolve_conflict")
        parts.append(launchpad("Take ours", job, {"service": service, "take": "local"}))
        parts.append(launchpad("Take Cal.com's", job, {"service": service, "take": "remote"}))
    commands = dict.fromkeys((remedy.command(service), explain_command(service)))
    return Markup(" · ".join([*parts, *(code(command) for command in commands)]))


def held_table(now: ServicesNow, account: Account) -> dg.MarkdownMetadataValue:
    """What waits for approval by name, one row a reason, with its members."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for action, why in now.held_actions():
        by_reason.setdefault((action.kind, why), []).append(now.named(action.service_id))
    cells = [
        (kind, len(members), why, ", ".join(members[:ROWS_IN_TEXT]), _approve(now.plan_id, account))
        for (kind, why), members in by_reason.items()
    ]
    return table(("what", "services", "why it waits", "which", "what to do"), cells)


def _approve(plan_id: str | None, account: Account) -> Markup:
    if plan_id is None:
        return Markup("Materialize `service_plan`, review it, then apply it by its name.")
    button = launchpad("Apply it", account.named("apply_plan"), {"plan": plan_id})
    return Markup(f"Review plan {shown(plan_id)}, then: {button} {code(f'calcom-pipeline apply {plan_id}')}")


def left_table(now: ServicesNow) -> dg.MarkdownMetadataValue:
    """What would be written, and is not yet."""
    some = now.left[:ROWS_SHOWN]
    cells = [(now.named(a.service_id), a.kind, a.event_type_id, a.reason) for a in some]
    return table(("service", "action", "event type", "why"), cells, more=len(now.left) - len(some))


def plan_sentence(plan: StoredPlan, *, may_write: bool) -> str:
    """What a plan comes to."""
    if not plan.actions:
        return "Nothing to do: all services agree with Cal.com."
    counts = ", ".join(f"{number} to {kind}" for kind, number in _doing_counts(plan.actions).items())
    open_ones = Counter(a.kind for a in plan.actions)
    parts = [counts] if counts else ["Nothing to write"]
    parts += [f"{open_ones[kind]} {words}" for kind, words in _OPEN.items() if open_ones[kind]]
    held = sum(1 for a in plan.actions if a.why_held(plan.held))
    if held:
        parts.append(f"{held} of these held until plan {plan.id} is applied by name")
    by = "the next step applies it" if may_write else f"apply it with: calcom-pipeline apply {plan.id}"
    return f"{', '.join(parts)}; {by}." if counts else f"{', '.join(parts)}."


_OPEN = {
    "conflict": "changed on both sides",
    "refuse": "refused",
    "wait": "waiting",
}


def _doing_counts(actions: Iterable[Action]) -> dict[str, int]:
    return dict(Counter(a.kind for a in actions if a.kind not in _OPEN))


def plan_table(plan: StoredPlan, names: dict[str, str], settings: Settings) -> dg.MarkdownMetadataValue:
    """What is to happen, field by field; only fields that change."""
    some = plan.actions[:ROWS_SHOWN]
    cells = [
        (
            link(name_of(a.service_id, names), page_of(a.event_type_id, settings)),
            _kind(a, plan),
            _changes(a),
            a.reason,
            code(explain_command(a.service_id)) if a.service_id else "",
        )
        for a in some
    ]
    columns = ("service", "action", "what changes", "why", "more")
    return table(columns, cells, more=len(plan.actions) - len(some))


def _kind(action: Action, plan: StoredPlan) -> Markup:
    why = action.why_held(plan.held)
    return Markup(f"{shown(action.kind)}, **held**: {shown(why)}") if why else shown(action.kind)


def _changes(action: Action) -> str:
    if action.kind == "create":
        return f"a new event type of {action.owner}"
    formats = {
        "push": "{field}: {remote!r} becomes {local!r} at Cal.com",
        "pull": "{field}: {local!r} becomes {remote!r} here",
        "conflict": "{field}: {local!r} here, {remote!r} at Cal.com",
    }
    found = [d for d in action.fields if d.verdict in formats]
    return "; ".join(formats[d.verdict].format(field=d.field, local=d.local, remote=d.remote) for d in found)


def result_table(
    results: Sequence[ActionResult], names: dict[str, str], settings: Settings
) -> dg.MarkdownMetadataValue:
    """What came of each action, failures first."""
    ordered = sorted(results, key=lambda r: (r.outcome == "done", r.position))
    some = ordered[:ROWS_SHOWN]
    cells = [
        (
            link(name_of(r.service_id, names), page_of(r.event_type_id, settings)),
            r.kind,
            r.outcome if r.success else Markup(f"**{shown(r.outcome)}**"),
            r.message,
            code(explain_command(r.service_id)) if r.service_id else "",
        )
        for r in some
    ]
    return table(("service", "action", "outcome", "message", "more"), cells, more=len(ordered) - len(some))


def result_sentence(counts: dict[str, int], results: Sequence[ActionResult], names: dict[str, str]) -> str:
    """What came of a plan, failures named."""
    done = counts.get("done", 0)
    others = [f"{number} {outcome}" for outcome, number in counts.items() if outcome != "done"]
    summary = f"{done} of {len(results)} services written" + (f", {', '.join(others)}" if others else "") + "."
    failed = [r for r in results if r.outcome == "failed"]
    named = "; ".join(f"{name_of(r.service_id, names)}: {r.message}" for r in failed[:_NAMED])
    more = f"; {len(failed) - _NAMED} more below" if len(failed) > _NAMED else ""
    return f"{summary} Failed: {named}{more}" if failed else summary


def name_of(service_id: str, names: dict[str, str]) -> str:
    """A service for people."""
    name = names.get(service_id, "")
    return f"{name} ({service_id})" if name else service_id or "a new service"


def page_of(event_type_id: int | None, settings: Settings) -> str | None:
    """Its event type's page at Cal.com."""
    return settings.event_type_page(event_type_id) if event_type_id else None
