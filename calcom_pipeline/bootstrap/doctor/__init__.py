"""What the doctor looks at, given an open container. Spends about a dozen calls on Cal.com."""

from collections.abc import Callable
from functools import partial

from calcom_pipeline.app.maintenance.health import Examination
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.bootstrap.doctor import calcom, records, servers, webhooks, zones

#: What a health check of an application asks often: one call to Cal.com.
_ESSENTIAL = ("PostgreSQL", "Redis", "Limiter", "Circuits", "Cal.com key")

#: Cheapest and most basic first.
_LOOKS: dict[str, Callable[[Container], str]] = {
    "PostgreSQL": servers.postgres,
    "Schema": servers.schema,
    "Redis": servers.redis,
    "Limiter": servers.limiter,
    "Circuits": servers.circuits,
    "Cal.com key": calcom.key,
    "Cal.com scope": calcom.scope,
    "Event types version": calcom.event_types,
    "Slots version": calcom.slots,
    "Bookings version": calcom.bookings,
    "Clock": calcom.clock,
    "Positions": records.positions,
    "Time zone rules": zones.zone_rules,
    "Cal.com's time zones": zones.zones_of_calcom,
    "Rate limit": calcom.limit,
    "Open outcomes": records.outcomes,
    "Standing calls": records.standing,
    "Writing": records.writing,
    "Webhooks": webhooks.receiver,
}


def examinations(container: Container) -> list[Examination]:
    """All looks, in their order."""
    return [Examination(name, partial(look, container)) for name, look in _LOOKS.items()]


def essentials(container: Container) -> list[Examination]:
    """Those that a health check asks often."""
    return [Examination(name, partial(_LOOKS[name], container)) for name in _ESSENTIAL]
