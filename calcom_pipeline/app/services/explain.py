"""All that is known of one service: its values on both sides, its link, its problems."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calcom_pipeline.app.services.ports import ServiceStore
from calcom_pipeline.domain.errors import PlanUnusable
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.fields import local_values, remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.problems import problems_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ServiceDrift:
    """One field as it stands: what each side has, and what they last agreed on."""

    field: str
    local: object
    remote: object
    base: object


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one service."""

    service: Service
    problems: tuple[str, ...]
    link: Link | None
    drift: tuple[ServiceDrift, ...]


def explain(services: ServiceStore, service_id: str, found: EventType | None) -> Explanation:
    """What stands where now; `found` is the service's event type, if it has one that can be read."""
    row = next(iter(services.services([service_id])), None)
    if row is None:
        raise PlanUnusable(f"Service {service_id} does not exist")
    link = next((x for x in services.links() if x.service_id == service_id), None)
    remote = remote_values(found) if found is not None else {}
    base: Mapping[str, object] = link.base if link else {}
    drift = tuple(
        ServiceDrift(name, value, remote.get(name), base.get(name))
        for name, value in local_values(row).items()
        if value != remote.get(name) or (name in base and value != base[name])
    )
    return Explanation(row, tuple(problems_of(row)), link, drift)
