"""Apply a plan: up to ten services at once, each checked again just before it is written, a result per service."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Protocol

from calcom_pipeline.app.calls import AccountApi, Progress
from calcom_pipeline.app.event_types.ports import EventTypeApi, EventTypeWrites
from calcom_pipeline.app.services.actions import ApplyRules, Writer
from calcom_pipeline.app.services.batches import Batch, OwnerLook, look_at, write_batches
from calcom_pipeline.app.services.planning import plan_hash
from calcom_pipeline.app.services.ports import ActionResult, PlanStore, ServiceStore, StoredPlan
from calcom_pipeline.domain.errors import PlanUnusable
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.plans import DOING, Action


class ApplyApi(AccountApi, EventTypeApi, EventTypeWrites, Protocol):
    """What is read from and written to Cal.com while applying."""


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """Results by action; `gap_seconds` is the widest time between a batch's listing and one of its writes."""

    plan_id: str
    results: tuple[ActionResult, ...] = ()
    gap_seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict[str, int])


def apply_plan(
    plan: StoredPlan,
    calcom: ApplyApi,
    services: ServiceStore,
    plans: PlanStore,
    *,
    rules: ApplyRules,
    now: Callable[[], datetime],
    approved: bool = False,
    progress: Progress | None = None,
) -> ApplyReport:
    """Do what a plan says. `approved` means that a person named it: held kinds and imports are done too.

    One service's failure is that service's result. What was edited since the plan was made is left for the next one.
    A plan of which something is held stays open, and is applied by name without repeating what was done of it.

    Raises:
        PlanUnusable: the plan is expired, applied already, or not what its hash says.
        AnotherApply: another apply of this account is running.
    """
    _require_usable(plan, now())
    gap = 0.0
    with plans.exclusive():
        before = plans.done(plan.id)
        todo = [(n, a) for n, a in enumerate(plan.actions) if a.kind in DOING and n not in before]
        why_not = {n: plan.why_held(a) for n, a in todo if not approved}
        allowed = [(n, a) for n, a in todo if not why_not.get(n)]
        held = [_held(n, a, plan, why_not[n]) for n, a in todo if why_not.get(n)]
        results = list(held)
        links = {link.service_id: link for link in services.links()}

        def write(look: OwnerLook, position: int, action: Action) -> ActionResult:
            writer = Writer(calcom, services, rules, now, listed=look.listed, rows=look.rows, links=links)
            return writer.result(position, action)

        for done in write_batches(
            _batches(allowed, rules.batch),
            look=lambda batch: look_at(batch, calcom, services, now),
            write=write,
            workers=rules.workers,
        ):
            gap = max(gap, (now() - done.looked_at).total_seconds())
            plans.record(plan.id, done.results)
            results += done.results
            if progress:
                progress(len(results), len(todo), "services")
        plans.record(plan.id, held)
        if not held:  # what is held can still be approved, by the name of this plan
            plans.close(plan.id, at=now())
    return ApplyReport(plan.id, tuple(results), gap, dict(Counter(r.outcome for r in results)))


def _require_usable(plan: StoredPlan, now: datetime) -> None:
    if plan.state != "planned":
        raise PlanUnusable(f"Plan {plan.id} is {plan.state}", advice="Make a new one: calcom-pipeline plan")
    if plan.expires_at <= now:
        raise PlanUnusable(f"Plan {plan.id} has expired", advice="Make a new one: calcom-pipeline plan")
    if plan_hash(plan.actions) != plan.hash:
        raise PlanUnusable(f"Plan {plan.id} is not what its hash says", advice="Make a new one: calcom-pipeline plan")


def _batches(items: Sequence[tuple[int, Action]], size: int) -> Iterable[Batch]:
    """Batches of one owner scope each, so that one listing serves a whole batch."""
    ordered = sorted(items, key=lambda item: (str(item[1].owner), item[0]))
    for _, group in groupby(ordered, key=lambda item: item[1].owner):
        members = list(group)
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _held(position: int, action: Action, plan: StoredPlan, why: Reason) -> ActionResult:
    message = f"not done: {why}. Review it and run: calcom-pipeline apply {plan.id}"
    return ActionResult(position, "held", message, action.service_id, action.kind, action.event_type_id, code=why.code)
