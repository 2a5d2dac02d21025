"""What the doctor looks at, given an open pipeline. Spends about a dozen calls on Cal.com."""

from typing import TYPE_CHECKING

from calcom_pipeline.app.availability.refresh import canonical_queries
from calcom_pipeline.app.maintenance.health import Examination
from calcom_pipeline.app.maintenance.zone_check import differing_from_calcom, differing_from_system, unknown_zones
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotQuery
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.errors import ContractBroken, SchemaOutdated, StoreError
from calcom_pipeline.domain.zones import canonical_zone
from calcom_pipeline.zone_rules import locked_version, system_zone

if TYPE_CHECKING:
    from calcom_pipeline.adapters.calcom.client import CalcomClient

_LONGEST_LOOK_SECONDS = 30.0
# Past this, `Date` headers and our own instants disagree by more than a booking page's overlap tolerates well.
_SKEW_SECONDS = 5.0
# Zones that Cal.com is asked about; a call each.
_ZONES_ASKED = 3
_OLDEST_POSTGRES = 14
_OLDEST_REDIS = 7


def examinations(container: Container) -> list[Examination]:
    """The looks, cheapest and most basic first."""
    return [
        Examination("PostgreSQL", lambda: _postgres(container)),
        Examination("Schema", lambda: _schema(container)),
        Examination("Redis", lambda: _redis(container)),
        Examination("Limiter", lambda: _limiter(container)),
        Examination("Circuits", lambda: _circuits(container)),
        Examination("Cal.com key", lambda: _key(container)),
        Examination("Cal.com scope", lambda: _scope(container)),
        Examination(
            "Event types version", lambda: f"{len(_asked(container).list_personal())} personal event types read"
        ),
        Examination("Slots version", lambda: _slots(container)),
        Examination("Bookings version", lambda: _bookings(container)),
        Examination("Clock", lambda: _clock(container)),
        Examination("Positions", lambda: _positions(container)),
        Examination("Time zone rules", lambda: _zone_rules(container)),
        Examination("Cal.com's time zones", lambda: _zones_of_calcom(container)),
        Examination("Rate limit", lambda: _limit(container)),
        Examination("Open outcomes", lambda: _outcomes(container)),
        Examination("Writing", lambda: _writing(container)),
    ]


def essentials(container: Container) -> list[Examination]:
    """What a health check of an application asks often: one call to Cal.com."""
    return [
        Examination("PostgreSQL", lambda: _postgres(container)),
        Examination("Redis", lambda: _redis(container)),
        Examination("Limiter", lambda: _limiter(container)),
        Examination("Circuits", lambda: _circuits(container)),
        Examination("Cal.com key", lambda: _key(container)),
    ]


def _asked(container: Container) -> "CalcomClient":
    """Somebody waits for the answer, so no look waits out a whole block."""
    return container.calcom.in_lane("interactive").within(_LONGEST_LOOK_SECONDS)


def _postgres(container: Container) -> str:
    version = container.database.server_version()
    if version < _OLDEST_POSTGRES:
        raise StoreError(f"PostgreSQL {version} is too old", advice=f"Use {_OLDEST_POSTGRES} or newer.")
    where = "embedded" if container.endpoints.embedded_database else "given"
    if container.database.behind_pooler():
        where += ", behind a pooler"
    return f"PostgreSQL {version} ({where}), schema {container.database.schema}"


def _schema(container: Container) -> str:
    from calcom_pipeline.adapters.postgres.migrations import require_current, shipped_migrations

    shipped = shipped_migrations()
    if not require_current(container.database, shipped):
        raise SchemaOutdated("The schema is empty", advice="Run `calcom-pipeline migrate`.")
    return f"all {len(shipped)} migrations applied"


def _redis(container: Container) -> str:
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


def _key(container: Container) -> str:
    me = _asked(container).me()
    where = "the local sandbox" if container.endpoints.is_sandbox else container.endpoints.base_url
    return f"user {me.user_id} ({me.username}), zone {me.time_zone}, at {where}"


def _scope(container: Container) -> str:
    teams = container.event_types.teams.of(_asked(container).teams())
    return f"{len(teams)} teams: {', '.join(t.slug or str(t.id) for t in teams)}" if teams else "no team"


def _slots(container: Container) -> str:
    bookable = [e for e in _asked(container).list_personal() if not e.is_managed_parent]
    if not bookable:
        return "note: there is no event type to ask free times of"
    first, today = bookable[0], utc_now().date()
    query = SlotQuery(
        first.id, first.duration_minutes, "UTC", today, today, choose_duration=bool(first.duration_options)
    )
    days = _asked(container).free_days(query)
    return f"{sum(len(day.free) for day in days)} free starts of event type {first.id} today"


def _bookings(container: Container) -> str:
    page = _asked(container).page(BookingQuery(sort="createdAt", take=1))
    return f"read with {container.settings.bookings_version}, {page.rows} of the first row"


def _clock(container: Container) -> str:
    page = _asked(container).page(BookingQuery(sort="createdAt", take=1))
    skew = (page.sent_at - page.answered_at).total_seconds()
    if abs(skew) > _SKEW_SECONDS:
        return f"note: this clock is {skew:+.0f} s off Cal.com's; set it by NTP"
    return f"this clock and Cal.com's agree to {_SKEW_SECONDS:.0f} s"


def _zone_rules(container: Container) -> str:
    """The system's rules count nowhere here, but may in what stands beside us."""
    asked = _asked(container)
    names = {container.settings.default_time_zone, asked.me().time_zone, *(s.time_zone for s in asked.schedules())}
    counts = f"tzdata {locked_version()} counts here"
    if unknown := unknown_zones(names):
        return f"note: {counts}, which has no zone {', '.join(repr(name) for name in unknown)}: no slots are read there"
    if differing := differing_from_system(names, system_zone, now=utc_now()):
        return f"note: {counts}; this system's own rules differ for {', '.join(differing)}"
    return f"{counts}; this system's own rules say the same for {', '.join(sorted(names))}"


def _zones_of_calcom(container: Container) -> str:
    """A day, and a naive start, mean the same only if both sides' rules agree."""
    bookable = [e for e in _asked(container).list_personal() if not e.is_managed_parent]
    by_zone = {e.schedule_zone or "UTC": e for e in bookable}
    known = sorted(zone for zone in by_zone if canonical_zone(zone))[:_ZONES_ASKED]
    starts = 0
    for zone in known:
        days = container.settings.slot_horizon_days
        shown = _asked(container).offsets_shown(canonical_queries(by_zone[zone], now=utc_now(), horizon_days=days)[0])
        if differing := differing_from_calcom(zone, shown):
            raise ContractBroken(differing, advice="One side's rules are old: install a newer tzdata, or tell Cal.com.")
        starts += len(shown)
    return f"the offsets of {starts} starts in {', '.join(known) or 'no zone'} are those of the rules used here"


def _positions(container: Container) -> str:
    try:
        ahead = container.reports.overview.positions_ahead()
    except StoreError:
        return "note: PostgreSQL could not be asked"  # why, its own line says
    if not ahead:
        return "none lies in the future"
    named = "; ".join(f"{p.stream} {p.partition} at {p.instant:%Y-%m-%d %H:%M:%S} UTC" for p in ahead)
    raise StoreError(
        f"Reads of these stand in the future, so what changes until then is missed: {named}",
        advice="Set all clocks by NTP. The next `sync all` reads them anew; `backfill --again` does so for months.",
    )


def _limiter(container: Container) -> str:
    view = container.limits.limiter.view()
    if view.paused_seconds:
        return f"note: Cal.com blocks the key for another {view.paused_seconds:.0f} s; every process waits that out"
    used = f"{view.used} of {view.spendable} requests used in the last {view.window_seconds:.0f} s"
    waiting = sum(view.waiting.values())
    if view.others:
        return f"note: {used}, and {view.others} by others with the same key; they are left room for"
    return used + (f", {waiting} callers waiting" if waiting else "")


def _circuits(container: Container) -> str:
    from calcom_pipeline.adapters.calcom.transport.messages import GROUPS

    states = container.limits.breaker.states(list(GROUPS))
    broken = [f"{group} is {state}" for group, state in states.items() if state != "closed"]
    return f"note: {', '.join(broken)}: Cal.com failed there" if broken else "all closed"


def _outcomes(container: Container) -> str:
    count = len(container.bookings.in_doubt.still_open())
    if count:
        return f"note: of {count} bookings nobody knows yet whether they were made; the next sync finds out"
    return "none"


def _limit(container: Container) -> str:
    told, ours = container.calcom.limit_seen(), container.settings.rate_limit_per_minute
    if told is None:
        return "note: Cal.com named no limit; a self-hosted server may have none"
    if told < ours:
        return f"note: Cal.com grants {told} a window, CALCOM_RATE_LIMIT_PER_MINUTE says {ours}: lower it"
    if told > ours:
        return f"note: Cal.com grants {told} a window, only {ours} are used (CALCOM_RATE_LIMIT_PER_MINUTE)"
    return f"{told} requests a window, as set"


def _writing(container: Container) -> str:
    if container.services.apply_mode == "auto":
        return "changes are written to Cal.com by themselves" + (
            " (the sandbox)" if container.endpoints.is_sandbox else " (CALCOM_APPLY=auto)"
        )
    return "nothing is written to Cal.com unless a plan is applied by name (CALCOM_APPLY=plan)"
