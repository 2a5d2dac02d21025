"""What a person does about plans: undo one, settle a conflict, try a parked service again, ask what happened to one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from calcom_pipeline.domain.errors import PlanUnusable
from calcom_pipeline.domain.fields import Values, local_values, remote_values, service_columns
from calcom_pipeline.domain.links import Link
from calcom_pipeline.domain.models import EventType
from calcom_pipeline.domain.services import Service, problems_of
from calcom_pipeline.service_ports import ActionResult, ServiceStore

Side = Literal["local", "remote"]

_EDITED_MEANWHILE = "edited just now and left alone; try again"


class Undoing(ServiceStore, Protocol):
    """What undoing needs beside reading and linking."""

    def restore(self, service_id: str, columns: Mapping[str, object], *, version: str) -> bool:
        """Write columns of a service as somebody's edit; False, and nothing, if its version moved on."""
        ...


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing one action did: the service is put back, the next plan carries that to Cal.com."""

    service_id: str
    done: bool
    message: str


def undo(services: Undoing, results: Iterable[ActionResult]) -> list[Undone]:
    """Put services back to what they were before these actions; a field that was edited since is left alone."""
    rows = {s.id: s for s in services.services()}
    links = {link.service_id: link for link in services.links()}
    made_from = {link.event_type_id: link.service_id for link in links.values()}
    undone: list[Undone] = []
    for result in (r for r in results if r.success):
        # An import had no service yet when it was planned.
        service_id = result.service_id or made_from.get(result.event_type_id, "")
        undone.append(_undo_one(services, result, rows.get(service_id), links.get(service_id)))
    return undone


def _undo_one(services: Undoing, result: ActionResult, row: Service | None, link: Link | None) -> Undone:
    if result.kind in ("adopt", "import"):
        return _unlink(services, result, row, link)
    if result.kind == "park" and link is not None:
        services.settle([unparked(link)])
        return Undone(result.service_id, done=True, message="no longer parked")
    if row is None:
        return Undone(result.service_id, done=False, message="the service is gone")
    if result.kind == "create":
        restored = services.restore(row.id, {"is_active": False}, version=row.version)
        return Undone(row.id, restored, "deactivated, which hides its event type" if restored else _EDITED_MEANWHILE)
    return _put_back(services, result, row)


def _unlink(services: Undoing, result: ActionResult, row: Service | None, link: Link | None) -> Undone:
    """The link waits without an event type, or the next plan would adopt the same one again."""
    if row is None or link is None or link.event_type_id != result.event_type_id:
        return Undone(result.service_id, done=False, message="it is linked to that event type no more")
    services.settle(
        [Link(row.id, link.owner, state="parked", reason="unlinked by a revert", failed_version=row.version)]
    )
    return Undone(row.id, done=True, message="unlinked until it is edited or tried again; neither side was touched")


def _put_back(services: Undoing, result: ActionResult, row: Service) -> Undone:
    there: Values = local_values(row)
    before = {**result.before.get("remote", {}), **result.before.get("local", {})}
    after = {**result.after.get("remote", {}), **result.after.get("local", {})}
    untouched = [name for name in before if there.get(name) == after.get(name)]
    edited = sorted(set(before) - set(untouched))
    columns = service_columns({name: _value(before[name]) for name in untouched})
    if untouched and not services.restore(row.id, columns, version=row.version):
        return Undone(row.id, done=False, message=_EDITED_MEANWHILE)
    said = f"put back {', '.join(sorted(untouched))}" if untouched else "nothing put back"
    if edited:
        said += f"; edited since and left alone: {', '.join(edited)}"
    return Undone(row.id, done=bool(untouched), message=said)


def _value(value: object) -> str | int | bool | None:
    if value is None or isinstance(value, str | int):
        return value
    raise PlanUnusable(f"A stored value is of kind {type(value).__name__}, which no field has")


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
        reason="",
        failed_version=None,
    )


def _link_of(services: ServiceStore, service_id: str) -> Link:
    link = next((x for x in services.links() if x.service_id == service_id), None)
    if link is None:
        raise PlanUnusable(f"Service {service_id} has no link", advice="calcom-pipeline plan shows what is planned.")
    return link


@dataclass(frozen=True, slots=True)
class Drift:
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
    drift: tuple[Drift, ...]


def explain(services: ServiceStore, service_id: str, found: EventType | None) -> Explanation:
    """What stands where now; `found` is the service's event type, if it has one that can be read."""
    row = next(iter(services.services([service_id])), None)
    if row is None:
        raise PlanUnusable(f"Service {service_id} does not exist")
    link = next((x for x in services.links() if x.service_id == service_id), None)
    remote = remote_values(found) if found is not None else {}
    base: Mapping[str, object] = link.base if link else {}
    drift = tuple(
        Drift(name, value, remote.get(name), base.get(name))
        for name, value in local_values(row).items()
        if value != remote.get(name) or (name in base and value != base[name])
    )
    return Explanation(row, tuple(problems_of(row)), link, drift)
