"""Cache invalidation as ops, in a job of its own: facts are resolved into days, which leave the cache."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from typing import Any

import dagster as dg

from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.app.availability.invalidate import InvalidationReport, Resolved, clear, resolve_due
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.maintenance.leases import leased
from calcom_pipeline.defs.markdown import table


def resolve_invalidations(
    context: dg.OpExecutionContext, outbox: dg.ResourceParam[PostgresOutbox], container: dg.ResourceParam[Container]
) -> Resolved:
    """Facts of changes from the outbox, resolved into cached days of every event type of everybody concerned."""
    with dagster_failures("Reading the outbox"):
        resolved = resolve_due(outbox, limit=container.settings.invalidation_batch)
    context.add_output_metadata(
        {
            "facts": len(resolved.facts),
            "causes": table(("fact", "kind", "why"), [(f.id, f.kind, f.why) for f in resolved.facts]),
            "event types": len(resolved.affected),
        }
    )
    return resolved


def clear_cached_days(
    context: dg.OpExecutionContext,
    resolved: Resolved,
    outbox: dg.ResourceParam[PostgresOutbox],
    slot_cache: dg.ResourceParam[RedisSlotCache],
) -> dict[str, int]:
    """Clear both layers; an error fails the op, which is tried again, and the facts stay in the outbox until then."""
    with dagster_failures("Clearing the cache"):
        report = clear(outbox, slot_cache, resolved)
    context.add_output_metadata(_clearing_metadata(report))
    return {layer.layer: layer.keys for layer in report.layers}


def _clearing_metadata(report: InvalidationReport) -> dict[str, Any]:
    layers = [(r.layer, r.keys, "; ".join(r.errors)) for r in report.layers]
    return {
        "facts": report.facts,
        "event types": report.event_types,
        "cleared": table(("layer", "keys", "errors"), layers),
    }


def cache_invalidation(account: Account) -> dg.JobDefinition:
    """Two ops of an account: resolve, clear."""
    resolve = dg.op(
        name=account.named("resolve_invalidations"),
        out=dg.Out(Resolved, description="Facts that are due and the cached days they concern."),
    )(account.given_to(resolve_invalidations))
    empty = dg.op(
        name=account.named("clear_cached_days"), out=dg.Out(dict, description="What clearing did, by layer.")
    )(account.given_to(clear_cached_days))

    @dg.job(
        name=account.named("cache_invalidation"),
        description="Facts of changes in the outbox are resolved and the cached days they concern are cleared.",
        executor_def=leased(dg.in_process_executor),
    )
    def both() -> None:
        empty(resolve())

    return both
