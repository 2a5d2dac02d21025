"""What a person decides about one service: which side of a conflict counts, and when a parked one is tried again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from calcom_pipeline.app.event_types.ports import EventTypeReads
from calcom_pipeline.app.services.ports import ServiceStore
from calcom_pipeline.domain.errors import NotFound, PlanUnusable
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.reasons import NO_REASON
from calcom_pipeline.domain.services.fields import local_values, remote_values
from calcom_pipeline.domain.services.links import Link

Side = Literal["local", "remote"]


def linked_event_type(calcom: EventTypeReads, services: ServiceStore, service_id: str) -> EventType | None:
    """A service's event type as it is at Cal.com now; None where it has none, or none that can be read."""
    link = next((x for x in services.links() if x.service_id == service_id), None)
    if link is None or link.event_type_id is None:
        return None
    try:
        return calcom.get_event_type(link.event_type_id, owner=link.owner)
    except NotFound:
        return None


def settle_conflict(
    services: ServiceStore, service_id: str, found: EventType, *, take: Side, names: Sequence[str] = ()
) -> list[str]:
    """Decide open fields of a service: the side that is taken becomes the edit that the next plan follows.

    Returns the fields that were decided. Raises PlanUnusable when the service has no link or nothing is open.
    """
    link = _link_of(services, service_id)
    row = next(iter(services.services([service_id])), None)
    if row is None:
        raise PlanUnusable(f"Service {service_id} does not exist")
    local, remote = local_values(row), remote_values(found)
    differing = [n for n in local if local[n] != remote[n] and (not names or n in names)]
    if not differing:
        raise PlanUnusable(f"Service {service_id} has no open field of that name")
    seen = remote if take == "local" else local
    base = {**link.base, **{name: seen[name] for name in differing}}
    services.settle([replace(link, base=base)])
    return differing


def try_again(services: ServiceStore, service_id: str) -> Link:
    """Forget failures of a service: the next plan tries it at once. Raises PlanUnusable when it has no link."""
    link = unparked(_link_of(services, service_id))
    services.settle([link])
    return link


def unparked(link: Link) -> Link:
    """The link as if nothing had failed. A create whose end nobody knows is given up: a person has looked."""
    linked = link.event_type_id is not None
    return replace(
        link,
        state="linked" if linked else "creating",
        intent=link.intent if linked else None,
        attempts=0,
        next_attempt_at=None,
        reason=NO_REASON,
        failed_version=None,
    )


def _link_of(services: ServiceStore, service_id: str) -> Link:
    link = next((x for x in services.links() if x.service_id == service_id), None)
    if link is None:
        raise PlanUnusable(f"Service {service_id} has no link", advice="calcom-pipeline plan shows what is planned.")
    return link
