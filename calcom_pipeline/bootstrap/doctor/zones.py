"""The doctor's looks at the rules of time zones: ours, this system's, Cal.com's."""

from calcom_pipeline.app.availability.refresh import canonical_queries
from calcom_pipeline.app.maintenance.zone_check import differing_from_calcom, differing_from_system, unknown_zones
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.bootstrap.doctor.calcom import asked
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import ContractBroken
from calcom_pipeline.domain.zones import canonical_zone
from calcom_pipeline.zone_rules import locked_version, system_zone

# Zones that Cal.com is asked about; a call each.
_ZONES_ASKED = 3


def zone_rules(container: Container) -> str:
    """The system's rules count nowhere here, but may in what stands beside us."""
    calcom = asked(container)
    names = {container.settings.default_time_zone, calcom.me().time_zone, *(s.time_zone for s in calcom.schedules())}
    counts = f"tzdata {locked_version()} counts here"
    if unknown := unknown_zones(names):
        return f"note: {counts}, which has no zone {', '.join(repr(name) for name in unknown)}: no slots are read there"
    if differing := differing_from_system(names, system_zone, now=utc_now()):
        return f"note: {counts}; this system's own rules differ for {', '.join(differing)}"
    return f"{counts}; this system's own rules say the same for {', '.join(sorted(names))}"


def zones_of_calcom(container: Container) -> str:
    """A day, and a naive start, mean the same only if both sides' rules agree."""
    bookable = [e for e in asked(container).list_personal() if not e.is_managed_parent]
    by_zone = {e.schedule_zone or "UTC": e for e in bookable}
    known = sorted(zone for zone in by_zone if canonical_zone(zone))[:_ZONES_ASKED]
    starts = 0
    for zone in known:
        days = container.settings.slot_horizon_days
        shown = asked(container).offsets_shown(canonical_queries(by_zone[zone], now=utc_now(), horizon_days=days)[0])
        if differing := differing_from_calcom(zone, shown):
            raise ContractBroken(differing, advice="One side's rules are old: install a newer tzdata, or tell Cal.com.")
        starts += len(shown)
    return f"the offsets of {starts} starts in {', '.join(known) or 'no zone'} are those of the rules used here"
