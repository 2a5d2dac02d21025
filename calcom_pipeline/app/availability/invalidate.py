"""Apply the outbox: facts are resolved into cached days, which leave every layer of the cache.

A fact stays in the outbox until every layer was cleared. Clearing twice does no harm, so nothing is claimed: two runs
over the same facts both end well, and whoever clears a day that another has cleared counts it no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calcom_pipeline.app.availability.ports import CacheClearer, CacheClearResult, Outbox
from calcom_pipeline.domain.availability.changes import AffectedDays, ChangeEvent, affected_days
from calcom_pipeline.domain.errors import CacheError


@dataclass(frozen=True, slots=True)
class Resolved:
    """Facts and the cached days they concern, merged by event type."""

    facts: tuple[ChangeEvent, ...]
    affected: tuple[AffectedDays, ...]


@dataclass(frozen=True, slots=True)
class InvalidationReport:
    """What clearing some facts came to; `closed_by_others` of them were cleared by another run meanwhile."""

    facts: int
    event_types: int
    layers: tuple[CacheClearResult, ...]
    closed_by_others: int = 0

    @property
    def keys(self) -> int:
        """Cached values that are gone."""
        return sum(layer.keys for layer in self.layers)


def resolve(outbox: Outbox, facts: Sequence[ChangeEvent]) -> Resolved:
    """Which days these facts of the outbox concern."""
    merged: dict[int, AffectedDays] = {}
    for fact, event_types in zip(facts, outbox.concerned_by(facts), strict=True):
        for affected in affected_days(fact, event_types):
            merged[affected.event_type_id] = _merged(merged.get(affected.event_type_id), affected)
    return Resolved(tuple(facts), tuple(merged.values()))


def resolve_due(outbox: Outbox, *, limit: int) -> Resolved:
    """Which days the facts that are due concern, at most `limit` facts, oldest first."""
    return resolve(outbox, outbox.pending(limit=limit))


def apply_outbox(outbox: Outbox, cache: CacheClearer, *, limit: int) -> InvalidationReport:
    """Apply the facts that are due, at most `limit`. Raises what `clear` does."""
    return clear(outbox, cache, resolve_due(outbox, limit=limit))


def clear(outbox: Outbox, cache: CacheClearer, resolved: Resolved) -> InvalidationReport:
    """Clear every layer, then close the facts.

    Raises:
        CacheError: a layer could not be cleared; the facts stay pending with the reason.
    """
    layers = cache.clear(resolved.affected)
    errors = "; ".join(error for layer in layers for error in layer.errors)
    closed = outbox.failed(resolved.facts, errors) if errors else outbox.done(resolved.facts, _cleared_by_layer(layers))
    if errors and closed:
        raise CacheError(f"Clearing the cache: {errors}", advice="The facts stay in the outbox.")
    facts = len(resolved.facts)
    return InvalidationReport(facts, len(resolved.affected), tuple(layers), closed_by_others=facts - closed)


def _merged(known: AffectedDays | None, affected: AffectedDays) -> AffectedDays:
    if known is None:
        return affected
    days = None if known.days is None or affected.days is None else known.days | affected.days
    return AffectedDays(affected.event_type_id, affected.zone, days)


def _cleared_by_layer(layers: Sequence[CacheClearResult]) -> Mapping[str, int]:
    return {layer.layer: layer.keys for layer in layers}
