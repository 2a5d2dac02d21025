"""What a plan, or an apply, comes to: numbers for one line, and what waits for one reason as one group.

Values alone: how they are worded and laid out is the business of each face, `sentence` aside, which all of them show.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from calcom_pipeline.app.services.apply import ApplyReport
from calcom_pipeline.app.services.ports import ActionResult, ServiceStore, StoredPlan
from calcom_pipeline.domain.reasons import Reason, common_reason
from calcom_pipeline.domain.services.plans import DOING, Action, FieldDecision
from calcom_pipeline.domain.services.remedies import Standing, remedy_of

#: What becomes of a member of a group: `link` and `held` are done by apply, the others need a person or time.
Fate = Literal["link", "held", "conflict", "refuse", "parked", "wait", "failed", "stale"]

_CHANGES: Mapping[str, str] = {
    "create": "create",
    "push": "change",
    "pull": "change",
    "show": "show",
    "hide": "hide",
    "park": "park",
    "adopt": "link",
    "import": "import",
}
#: Counts by name in the order they are shown, with their words for one and for several.
_PLANNED: Mapping[str, tuple[str, str]] = {
    "create": ("to create", "to create"),
    "change": ("to change", "to change"),
    "show": ("to show", "to show"),
    "hide": ("to hide", "to hide"),
    "park": ("to park", "to park"),
    "link": ("to link", "to link"),
    "decide": ("needs a decision", "need a decision"),
    "wait": ("waits", "wait"),
    "in_sync": ("in sync", "in sync"),
}
_DONE: Mapping[str, tuple[str, str]] = {
    "create": ("created", "created"),
    "change": ("changed", "changed"),
    "show": ("shown", "shown"),
    "hide": ("hidden", "hidden"),
    "park": ("parked", "parked"),
    "link": ("linked", "linked"),
    "import": ("became a service", "became services"),
    "failed": ("failed", "failed"),
    "stale": ("left for the next plan", "left for the next plan"),
    "decide": ("needs a decision", "need a decision"),
    "wait": ("waits", "wait"),
    "in_sync": ("in sync already", "in sync already"),
}
#: How the services of a group stand, where a person can do something about it.
_STANDINGS: Mapping[Fate, Standing] = {
    "held": "held",
    "conflict": "conflict",
    "refuse": "refused",
    "parked": "parked",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A service of a group: what it is called, what is its own in the group's reason, the fields that matter."""

    position: int
    kind: str
    service_id: str
    event_type_id: int | None
    name: str
    own: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fields: tuple[FieldDecision, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """Services that wait, or fail, for one reason. `advice` says what to do about it; empty when time will."""

    fate: Fate
    code: str
    reason: str
    members: tuple[GroupMember, ...]
    advice: str = ""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan as people read it: what is done unasked, action by action, and everything else by its reason."""

    counts: Mapping[str, int]
    changes: tuple[GroupMember, ...]
    groups: tuple[ReasonGroup, ...]
    applicable: bool

    @property
    def agrees(self) -> bool:
        """Nothing is to be done, decided or waited for."""
        return not self.changes and not self.groups

    @property
    def sentence(self) -> str:
        """`2 to create, 1 to change, 3 need a decision, 36 in sync`."""
        if self.agrees:
            return f"Nothing to do: {self.counts.get('in_sync', 0)} in sync"
        return _counts_sentence(self.counts, _PLANNED)


@dataclass(frozen=True, slots=True)
class ApplySummary:
    """What came of a plan: results of what was done, and by reason what failed, was left or still waits."""

    counts: Mapping[str, int]
    done: tuple[tuple[GroupMember, str], ...]
    groups: tuple[ReasonGroup, ...]

    @property
    def sentence(self) -> str:
        """`2 created, 1 changed, 3 need a decision, 36 in sync already`."""
        return _counts_sentence(self.counts, _DONE) or "nothing was to be done"


def summarize(plan: StoredPlan, names: Mapping[str, str]) -> PlanSummary:
    """What a plan comes to; `names` are those of services by id, see `names_of`."""
    waiting = _Groups(plan, names)
    counts: Counter[str] = Counter()
    changes: list[GroupMember] = []
    for position, action in enumerate(plan.actions):
        counts[_counted(plan, action)] += 1
        fate = _fate(plan, action)
        if fate is None:
            changes.append(member(position, action, names))
        else:
            waiting.add(fate, position, action)
        if fate != "conflict" and _open_fields(action):
            counts["decide"] += fate is None or fate == "link"
            waiting.add("conflict", position, action)
    counts["in_sync"] = plan.counts.get("nothing", 0)
    applicable = any(action.kind in DOING for action in plan.actions)
    return PlanSummary(dict(counts), tuple(changes), waiting.made(), applicable)


def summarize_apply(plan: StoredPlan, report: ApplyReport, names: Mapping[str, str]) -> ApplySummary:
    """What came of a plan, with what it leaves to people and to time; `names` as for `summarize`."""
    waiting = _Groups(plan, names)
    counts: Counter[str] = Counter()
    done: list[tuple[GroupMember, str]] = []
    for result in sorted(report.results, key=lambda r: r.position):
        action = plan.actions[result.position]
        if result.outcome == "done":
            counts[_CHANGES[action.kind]] += 1
            done.append((member(result.position, action, names, event_type_id=result.event_type_id), result.message))
        elif result.outcome == "held":
            counts["decide"] += 1
            waiting.add("held", result.position, action)
        else:
            counts[result.outcome] += 1
            waiting.add_result(result, action)
        if result.outcome == "done" and _open_fields(action):
            counts["decide"] += 1
            waiting.add("conflict", result.position, action)
    for position, action in enumerate(plan.actions):
        fate = _fate(plan, action)
        if action.kind not in DOING and fate is not None:
            counts[_counted(plan, action)] += 1
            waiting.add(fate, position, action)
    counts["in_sync"] = plan.counts.get("nothing", 0)
    return ApplySummary(dict(counts), tuple(done), waiting.made())


def names_of(services: ServiceStore, plan: StoredPlan) -> dict[str, str]:
    """Names of a plan's services by id. Raises `StoreError`."""
    ids = sorted({action.service_id for action in plan.actions if action.service_id})
    return {row.id: row.name or "" for row in services.services(ids)} if ids else {}


def member(position: int, action: Action, names: Mapping[str, str], *, event_type_id: int | None = None) -> GroupMember:
    """An action as one line shows it; a service that is gone, or not there yet, is called as its event type."""
    name = names.get(action.service_id) or str(action.remote.get("title") or "")
    changed = tuple(d for d in action.fields if d.verdict != "agree")
    return GroupMember(
        position, action.kind, action.service_id, action.event_type_id or event_type_id, name, fields=changed
    )


class _Groups:
    """Collects what waits, by fate and by kind of reason, in the order of the plan."""

    def __init__(self, plan: StoredPlan, names: Mapping[str, str]) -> None:
        self._plan = plan
        self._names = names
        self._found: dict[tuple[object, ...], tuple[Fate, list[Reason], list[GroupMember]]] = {}

    def add(self, fate: Fate, position: int, action: Action) -> None:
        one = member(position, action, self._names)
        reason = self._plan.why_held(action) if fate == "held" else _reason(fate, action)
        self._put(fate, reason, one)

    def add_result(self, result: ActionResult, action: Action) -> None:
        """A failure, or what was left alone: its message is the reason."""
        fate: Fate = "stale" if result.outcome == "stale" else "failed"
        self._put(fate, Reason.stored(result.message, result.code), member(result.position, action, self._names))

    def _put(self, fate: Fate, reason: Reason, one: GroupMember) -> None:
        _, reasons, members = self._found.setdefault((fate, *reason.kind), (fate, [], []))
        reasons.append(reason)
        members.append(one)

    def made(self) -> tuple[ReasonGroup, ...]:
        return tuple(self._group(*found) for found in self._found.values())

    def _group(self, fate: Fate, reasons: list[Reason], members: list[GroupMember]) -> ReasonGroup:
        reason, own = common_reason(reasons)
        shown_members = tuple(_with_own(one, params) for one, params in zip(members, own, strict=True))
        advice = _advice(fate, reasons[0].code, shown_members[0].service_id, self._plan.id)
        return ReasonGroup(fate, reasons[0].code, reason, shown_members, advice)


def _with_own(one: GroupMember, own: Mapping[str, Any]) -> GroupMember:
    shown = {name: value for name, value in own.items() if value != one.event_type_id}
    return GroupMember(one.position, one.kind, one.service_id, one.event_type_id, one.name, shown, one.fields)


def _fate(plan: StoredPlan, action: Action) -> Fate | None:
    """What becomes of an action that is not simply done; None for one that is."""
    if action.kind in ("conflict", "refuse", "wait"):
        return "parked" if action.reason.code == "parked" else action.kind
    if plan.why_held(action):
        return "held"
    return "link" if action.kind == "adopt" else None


def _counted(plan: StoredPlan, action: Action) -> str:
    fate = _fate(plan, action)
    if fate in ("held", "conflict", "refuse", "parked"):
        return "decide"
    return "wait" if fate == "wait" else _CHANGES[action.kind]


def _open_fields(action: Action) -> tuple[FieldDecision, ...]:
    return tuple(d for d in action.fields if d.verdict == "conflict")


def _reason(fate: Fate, action: Action) -> Reason:
    if fate == "link":
        return Reason("slug_matches", event_type=action.event_type_id)
    if fate == "parked":
        cause = action.reason.params
        return Reason.stored(str(cause.get("reason", action.reason)), str(cause.get("cause", "")))
    if fate == "conflict" and (fields := _open_fields(action)):
        return fields[0].reason
    return action.reason


def _advice(fate: Fate, code: str, service_id: str, plan_id: str) -> str:
    """In one line: the sentence, and the command that settles it."""
    standing = _STANDINGS.get(fate)
    if standing is None:
        return ""
    remedy = remedy_of(standing, code, open_plan=plan_id)
    if remedy.kind == "correct":
        return remedy.sentence
    other = "   (or remote)" if remedy.kind == "decide" else ""
    return f"{remedy.sentence}: {remedy.command(service_id)}{other}"


def _counts_sentence(counts: Mapping[str, int], words: Mapping[str, tuple[str, str]]) -> str:
    parts = [f"{counts[name]} {forms[counts[name] != 1]}" for name, forms in words.items() if counts.get(name)]
    return ", ".join(parts)


def plain(groups: Iterable[ReasonGroup]) -> list[dict[str, Any]]:
    """Groups for programs: fate, code, reason, advice, and the services that are in it."""
    return [
        {
            "fate": group.fate,
            "code": group.code,
            "reason": group.reason,
            "advice": group.advice,
            "count": len(group.members),
            "members": [
                {"service": m.service_id, "name": m.name, "event_type": m.event_type_id, "kind": m.kind, "own": m.own}
                for m in group.members
            ],
        }
        for group in groups
    ]
