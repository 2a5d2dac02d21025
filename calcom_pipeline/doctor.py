"""What the doctor looks at, given an open pipeline. Spends about nine calls on Cal.com."""

from typing import TYPE_CHECKING

from calcom_pipeline.app.maintenance.health import Examination
from calcom_pipeline.bootstrap.container import Pipeline
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotQuery
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.errors import SchemaOutdated, StoreError

if TYPE_CHECKING:
    from calcom_pipeline.adapters.calcom.client import CalcomClient

_LONGEST_LOOK_SECONDS = 30.0
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
        Examination("Limiter", lambda: _limiter(pipeline)),
        Examination("Circuits", lambda: _circuits(pipeline)),
        Examination("Cal.com key", lambda: _key(pipeline)),
        Examination("Cal.com scope", lambda: _scope(pipeline)),
        Examination(
            "Event types version", lambda: f"{len(_asked(pipeline).list_personal())} personal event types read"
        ),
        Examination("Slots version", lambda: _slots(pipeline)),
        Examination("Bookings version", lambda: _bookings(pipeline)),
        Examination("Clock", lambda: _clock(pipeline)),
        Examination("Positions", lambda: _positions(pipeline)),
        Examination("Rate limit", lambda: _limit(pipeline)),
        Examination("Open outcomes", lambda: _outcomes(pipeline)),
        Examination("Writing", lambda: _writing(pipeline)),
    ]


def essentials(pipeline: Pipeline) -> list[Examination]:
    """What a health check of an application asks often: one call to Cal.com."""
    return [
        Examination("PostgreSQL", lambda: _postgres(pipeline)),
        Examination("Redis", lambda: _redis(pipeline)),
        Examination("Limiter", lambda: _limiter(pipeline)),
        Examination("Circuits", lambda: _circuits(pipeline)),
        Examination("Cal.com key", lambda: _key(pipeline)),
    ]


def _asked(pipeline: Pipeline) -> "CalcomClient":
    """Somebody waits for the answer, so no look waits out a whole block."""
    return pipeline.calcom.in_lane("interactive").within(_LONGEST_LOOK_SECONDS)


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
    me = _asked(pipeline).me()
    where = "the local sandbox" if pipeline.endpoints.is_sandbox else pipeline.endpoints.base_url
    return f"user {me.user_id} ({me.username}), zone {me.time_zone}, at {where}"


def _scope(pipeline: Pipeline) -> str:
    teams = pipeline.teams.of(_asked(pipeline).teams())
    return f"{len(teams)} teams: {', '.join(t.slug or str(t.id) for t in teams)}" if teams else "no team"


def _slots(pipeline: Pipeline) -> str:
    bookable = [e for e in _asked(pipeline).list_personal() if not e.is_managed_parent]
    if not bookable:
        return "note: there is no event type to ask free times of"
    first, today = bookable[0], utc_now().date()
    query = SlotQuery(
        first.id, first.duration_minutes, "UTC", today, today, choose_duration=bool(first.duration_options)
    )
    days = _asked(pipeline).free_days(query)
    return f"{sum(len(day.slots) for day in days)} free starts of event type {first.id} today"


def _bookings(pipeline: Pipeline) -> str:
    page = _asked(pipeline).page(BookingQuery(sort="createdAt", take=1))
    return f"read with {pipeline.settings.bookings_version}, {page.rows} of the first row"


def _clock(pipeline: Pipeline) -> str:
    page = _asked(pipeline).page(BookingQuery(sort="createdAt", take=1))
    skew = (page.sent_at - page.answered_at).total_seconds()
    if abs(skew) > _SKEW_SECONDS:
        return f"note: this clock is {skew:+.0f} s off Cal.com's; set it by NTP"
    return f"this clock and Cal.com's agree to {_SKEW_SECONDS:.0f} s"


def _positions(pipeline: Pipeline) -> str:
    try:
        ahead = pipeline.overview.positions_ahead()
    except StoreError:
        return "note: PostgreSQL could not be asked"  # why, its own line says
    if not ahead:
        return "none lies in the future"
    named = "; ".join(f"{p.stream} {p.partition} at {p.instant:%Y-%m-%d %H:%M:%S} UTC" for p in ahead)
    raise StoreError(
        f"Reads of these stand in the future, so what changes until then is missed: {named}",
        advice="Set all clocks by NTP. The next `sync all` reads them anew; `backfill --again` does so for months.",
    )


def _limiter(pipeline: Pipeline) -> str:
    view = pipeline.limiter.view()
    if view.paused_seconds:
        return f"note: Cal.com blocks the key for another {view.paused_seconds:.0f} s; every process waits that out"
    used = f"{view.used} of {view.spendable} requests used in the last {pipeline.settings.rate_window_seconds:.0f} s"
    waiting = sum(view.waiting.values())
    if view.others:
        return f"note: {used}, and {view.others} by others with the same key; they are left room for"
    return used + (f", {waiting} callers waiting" if waiting else "")


def _circuits(pipeline: Pipeline) -> str:
    from calcom_pipeline.adapters.calcom.transport.messages import GROUPS

    states = pipeline.breaker.states(list(GROUPS))
    broken = [f"{group} is {state}" for group, state in states.items() if state != "closed"]
    return f"note: {', '.join(broken)}: Cal.com failed there" if broken else "all closed"


def _outcomes(pipeline: Pipeline) -> str:
    count = len(pipeline.outcomes.still_open())
    if count:
        return f"note: of {count} bookings nobody knows yet whether they were made; the next sync finds out"
    return "none"


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
