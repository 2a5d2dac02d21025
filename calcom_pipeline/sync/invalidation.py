"""Apply the outbox: facts are resolved into cached days, which leave every layer of the cache.

A fact stays in the outbox until every layer was cleared. Clearing twice does no harm, so nothing is claimed: two runs
over the same facts both end well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.invalidation import Fact, Stain, stains
from calcom_pipeline.ports import CacheClearer, CacheClearResult, Outbox


@dataclass(frozen=True, slots=True)
class Resolved:
    """Facts and the cached days they concern, merged by event type."""

    facts: tuple[Fact, ...]
    stained: tuple[Stain, ...]


@dataclass(frozen=True, slots=True)
class InvalidationReport:
    """What one pass over the outbox came to."""

    facts: int
    event_types: int
    layers: tuple[CacheClearResult, ...]

    @property
    def keys(self) -> int:
        """Cached values that are gone."""
        return sum(layer.keys for layer in self.layers)


def resolve(outbox: Outbox, *, limit: int) -> Resolved:
    """What is due, and which days it concerns."""
    facts = outbox.pending(limit=limit)
    merged: dict[int, Stain] = {}
    for fact in facts:
        for stain in stains(fact, outbox.concerned(fact)):
            merged[stain.event_type_id] = _merged(merged.get(stain.event_type_id), stain)
    return Resolved(tuple(facts), tuple(merged.values()))


def clear(outbox: Outbox, cache: CacheClearer, resolved: Resolved) -> InvalidationReport:
    """Clear every layer, then close the facts.

    Raises:
        CacheError: a layer could not be cleared; the facts stay pending with the reason.
    """
    layers = cache.clear(resolved.stained)
    report = InvalidationReport(len(resolved.facts), len(resolved.stained), tuple(layers))
    errors = [error for layer in layers for error in layer.errors]
    if errors:
        outbox.failed(resolved.facts, "; ".join(errors))
        raise CacheError(f"Clearing the cache: {'; '.join(errors)}", advice="The facts stay in the outbox.")
    outbox.done(resolved.facts, _told(layers))
    return report


def _merged(known: Stain | None, stain: Stain) -> Stain:
    if known is None:
        return stain
    days = None if known.days is None or stain.days is None else known.days | stain.days
    return Stain(stain.event_type_id, stain.zone, days)


def _told(layers: Sequence[CacheClearResult]) -> Mapping[str, int]:
    return {layer.layer: layer.keys for layer in layers}
