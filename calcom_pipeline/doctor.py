"""What the doctor looks at, given an open pipeline. Spends about six calls on Cal.com."""

from datetime import datetime

from calcom_pipeline.domain.bookings import BookingQuery
from calcom_pipeline.domain.errors import SchemaOutdated, StoreError
from calcom_pipeline.sync.health import Examination
from calcom_pipeline.wiring import Pipeline, utc_now

# Past this, `Date` headers and our own instants disagree by more than a booking page's overlap tolerates well.
_SKEW_SECONDS = 5.0
_OLDEST_POSTGRES = 14
_OLDEST_REDIS = 7


def examinations(pipeline: Pipeline) -> list[Examination]:
    """The looks, cheapest and most basic first."""
    return [
        Examination("PostgreSQL", lambda: _postgres(pipeline)),
        Examination("Schema", lambda: _schema(pipeline)),
        Examination("Redis", lambda: _redis(pipeline)),
        Examination("Cal.com key", lambda: _key(pipeline)),
        Examination("Cal.com scope", lambda: _scope(pipeline)),
        Examination("Event types version", lambda: f"{len(pipeline.calcom.list_personal())} personal event types read"),
        Examination("Bookings version", lambda: _bookings(pipeline)),
        Examination("Rate limit", lambda: _limit(pipeline)),
        Examination("Writing", lambda: _writing(pipeline)),
    ]


def _postgres(pipeline: Pipeline) -> str:
    version = pipeline.database.server_version()
    if version < _OLDEST_POSTGRES:
        raise StoreError(f"PostgreSQL {version} is too old", advice=f"Use {_OLDEST_POSTGRES} or newer.")
    where = "embedded" if pipeline.endpoints.embedded_database else "given"
    return f"PostgreSQL {version} ({where}), schema {pipeline.database.schema}"


def _schema(pipeline: Pipeline) -> str:
    from calcom_pipeline.adapters.postgres.migrations import require_current, shipped_migrations

    shipped = shipped_migrations()
    if not require_current(pipeline.database, shipped):
        raise SchemaOutdated("The schema is empty", advice="Run `calcom-pipeline migrate`.")
    return f"all {len(shipped)} migrations applied"


def _redis(pipeline: Pipeline) -> str:
    from calcom_pipeline.adapters.redis.connection import facts

    found = facts(pipeline.redis)
    if found.version < _OLDEST_REDIS:
        return f"note: {found.name} {found.version} is older than {_OLDEST_REDIS}, which nobody tested"
    if found.evicts:
        return f"note: {found.name} {found.version} evicts keys when full ({found.policy}); the limiter's may be lost"
    return f"{found.name} {found.version}"


def _key(pipeline: Pipeline) -> str:
    me = pipeline.calcom.me()
    where = "the local sandbox" if pipeline.endpoints.is_sandbox else pipeline.endpoints.base_url
    return f"user {me.user_id} ({me.username}), zone {me.time_zone}, at {where}"


def _scope(pipeline: Pipeline) -> str:
    teams = pipeline.teams.of(pipeline.calcom.teams())
    return f"{len(teams)} teams: {', '.join(t.slug or str(t.id) for t in teams)}" if teams else "no team"


def _bookings(pipeline: Pipeline) -> str:
    page = pipeline.calcom.page(BookingQuery(sort="createdAt", take=1))
    skew = _skew_seconds(page.answered_at)
    if abs(skew) > _SKEW_SECONDS:
        return f"note: read with {pipeline.settings.bookings_version}, but this clock is {skew:+.0f} s off Cal.com's"
    return f"read with {pipeline.settings.bookings_version}; clocks agree to {_SKEW_SECONDS:.0f} s"


def _skew_seconds(answered_at: datetime) -> float:
    return (utc_now() - answered_at).total_seconds()


def _limit(pipeline: Pipeline) -> str:
    told, ours = pipeline.calcom.limit_seen(), pipeline.settings.rate_limit_per_minute
    if told is None:
        return "note: Cal.com named no limit; a self-hosted server may have none"
    if told < ours:
        return f"note: Cal.com grants {told} a window, CALCOM_RATE_LIMIT_PER_MINUTE says {ours}: lower it"
    if told > ours:
        return f"note: Cal.com grants {told} a window, only {ours} are used (CALCOM_RATE_LIMIT_PER_MINUTE)"
    return f"{told} requests a window, as set"


def _writing(pipeline: Pipeline) -> str:
    if pipeline.apply_mode == "auto":
        return "changes are written to Cal.com by themselves" + (
            " (the sandbox)" if pipeline.endpoints.is_sandbox else " (CALCOM_APPLY=auto)"
        )
    return "nothing is written to Cal.com unless a plan is applied by name (CALCOM_APPLY=plan)"
