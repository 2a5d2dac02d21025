"""The doctor's looks at our own servers: PostgreSQL, Redis, the state of limiter and circuits in it."""

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.domain.errors import SchemaOutdated, StoreError

_OLDEST_POSTGRES = 14
_OLDEST_REDIS = 7


def postgres(container: Container) -> str:
    """Its version, and the schema that is used."""
    version = container.database.server_version()
    if version < _OLDEST_POSTGRES:
        raise StoreError(f"PostgreSQL {version} is too old", advice=f"Use {_OLDEST_POSTGRES} or newer.")
    where = "embedded" if container.endpoints.embedded_database else "given"
    if container.database.behind_pooler():
        where += ", behind a pooler"
    return f"PostgreSQL {version} ({where}), schema {container.database.schema}"


def schema(container: Container) -> str:
    """Whether all migrations of this release are applied."""
    from calcom_pipeline.adapters.postgres.migrations import require_current, shipped_migrations

    shipped = shipped_migrations()
    if not require_current(container.database, shipped):
        raise SchemaOutdated("The schema is empty", advice="Run `calcom-pipeline migrate`.")
    return f"all {len(shipped)} migrations applied"


def redis(container: Container) -> str:
    """Whether it can be written, its version, and whether it evicts keys."""
    from calcom_pipeline.adapters.redis.connection import facts, require_writing

    found = facts(container.redis)
    require_writing(container.redis, container.settings.redis_prefix + "doctor")
    if found is None:
        return "reads and writes; which version it is this user may not ask (INFO)"
    if found.version < _OLDEST_REDIS:
        return f"note: {found.name} {found.version} is older than {_OLDEST_REDIS}, which nobody tested"
    if found.evicts:
        return f"note: {found.name} {found.version} evicts keys when full ({found.policy}); the limiter's may be lost"
    return f"{found.name} {found.version}"


def limiter(container: Container) -> str:
    """How much of the limit is used, and by whom."""
    view = container.limits.limiter.view()
    if view.paused_seconds:
        return f"note: Cal.com blocks the key for another {view.paused_seconds:.0f} s; every process waits that out"
    used = f"{view.used} of {view.spendable} requests used in the last {view.window_seconds:.0f} s"
    waiting = sum(view.waiting.values())
    if view.others:
        return f"note: {used}, and {view.others} by others with the same key; they are left room for"
    return used + (f", {waiting} callers waiting" if waiting else "")


def circuits(container: Container) -> str:
    """Which endpoint groups are not asked at present."""
    from calcom_pipeline.adapters.calcom.client import GROUPS

    states = container.limits.breaker.states(list(GROUPS))
    broken = [f"{group} is {state}" for group, state in states.items() if state != "closed"]
    return f"note: {', '.join(broken)}: Cal.com failed there" if broken else "all closed"
