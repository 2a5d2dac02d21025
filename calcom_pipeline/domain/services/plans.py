"""What a plan is made of, what makes it empty, and the brakes that hold its destructive part."""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal

from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.reasons import NO_REASON, SENTENCES, Reason
from calcom_pipeline.domain.services.fields import Value
from calcom_pipeline.domain.services.links import Link

ActionKind = Literal["create", "adopt", "push", "pull", "hide", "show", "park", "import", "conflict", "refuse", "wait"]
#: Kinds that apply does something about; the others show a person what stands in the way.
DOING: frozenset[ActionKind] = frozenset({"create", "adopt", "push", "pull", "hide", "show", "park", "import"})
#: Kinds that may lose something a person cares about, braked apart from each other, each with its reason's code.
BRAKED: Mapping[ActionKind, str] = {"hide": "brake_hide", "park": "brake_park", "pull": "brake_pull"}
#: Kinds that write to Cal.com and take over values in one go.
_PULLING: frozenset[ActionKind] = frozenset({"push", "pull", "hide", "show"})

Verdict = Literal["agree", "push", "pull", "conflict"]

if _unworded := sorted(set(BRAKED.values()) - set(SENTENCES)):
    raise ImportError(f"no sentence for {', '.join(_unworded)}")


@dataclass(frozen=True, slots=True)
class FieldDecision:
    """One field of one service: what stands where, what is to happen, and why."""

    field: str
    verdict: Verdict
    local: Value
    remote: Value
    base: Value
    reason: Reason


@dataclass(frozen=True, slots=True)
class Action:
    """What is to happen to one service. `remote` holds the event type's values when this was decided."""

    kind: ActionKind
    service_id: str
    reason: Reason
    owner: Owner | None = None
    event_type_id: int | None = None
    fields: tuple[FieldDecision, ...] = ()
    service_version: str = ""
    remote: Mapping[str, Value] = field(default_factory=dict[str, Value])
    notes: tuple[str, ...] = ()

    def values(self, verdict: Verdict) -> dict[str, Value]:
        """The values to write for a verdict: the local ones of a push, the remote ones of a pull."""
        side = "remote" if verdict == "pull" else "local"
        return {d.field: getattr(d, side) for d in self.fields if d.verdict == verdict}

    @property
    def destroys(self) -> AbstractSet[ActionKind]:
        """The brakes it falls under: that of its kind, and that of pulls when it takes over values beside a write."""
        pulls: set[ActionKind] = {"pull"} if self.kind in _PULLING and self.values("pull") else set()
        return BRAKED.keys() & {self.kind, *pulls}

    def why_held(self, held: Mapping[Any, Reason]) -> Reason:
        """Why it waits until the plan is applied by name, by the brakes that hold; empty when it does not wait."""
        return next((why for kind, why in held.items() if kind == self.kind or kind in self.destroys), NO_REASON)


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions, in the order of the services, and links whose bookkeeping was found settled while planning."""

    actions: tuple[Action, ...]
    settled: tuple[Link, ...] = ()
    unchanged: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing to do; conflicts and refusals may still be open."""
        return not any(action.kind in DOING for action in self.actions)

    def counts(self) -> dict[str, int]:
        """Actions by kind, and services about which there is nothing to say."""
        return {**Counter(action.kind for action in self.actions), "nothing": self.unchanged}


@dataclass(frozen=True, slots=True)
class Brakes:
    """How large a destructive share may be before a person has to approve it: percent of the links, and at least.

    A listing with less than `smallest_share` of what it held before (0 to 1) is not trusted.
    """

    share_percent: float
    minimum: int
    smallest_share: float = 0.5

    def allowed(self, linked: int) -> int:
        """The largest number of destructive actions of one kind."""
        return max(self.minimum, int(linked * self.share_percent / 100))

    def held(
        self, actions: Iterable[Action], *, linked: int, suspicious: Reason = NO_REASON
    ) -> dict[ActionKind, Reason]:
        """Kinds that must wait for approval by name, each with its reason.

        `suspicious` says why the listing is not trusted; then everything destructive waits.
        """
        counted: Counter[ActionKind] = Counter(kind for action in actions for kind in action.destroys)
        limit = self.allowed(linked)
        held: dict[ActionKind, Reason] = {}
        for kind, number in counted.items():
            if suspicious:
                held[kind] = suspicious
            elif number > limit:
                held[kind] = Reason(BRAKED[kind], number=number, linked=linked, limit=limit)
        return held
