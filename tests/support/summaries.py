"""Plans made by hand, and what they come to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from calcom_pipeline.app.services.ports import StoredPlan
from calcom_pipeline.app.services.summary import PlanSummary, summarize
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.plans import Action, ActionKind, FieldDecision

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NAMES = {str(n): f"Service {n}" for n in range(100)}
BRAKE = Reason("brake_hide", number=38, linked=100, limit=10)


def stored(actions: Sequence[Action], *, held: dict[str, Reason] | None = None, unchanged: int = 36) -> StoredPlan:
    counts = {"nothing": unchanged}
    later = NOW + timedelta(hours=1)
    return StoredPlan("p1", "hash", "a test", NOW, later, tuple(actions), counts, held=held or {})


def summary(*actions: Action, held: dict[str, Reason] | None = None, unchanged: int = 36) -> PlanSummary:
    return summarize(stored(actions, held=held, unchanged=unchanged), NAMES)


def action(kind: ActionKind, number: int = 1, reason: Reason | None = None, *fields: FieldDecision) -> Action:
    return Action(kind, str(number), reason or Reason("new"), event_type_id=1000 + number, fields=fields)
