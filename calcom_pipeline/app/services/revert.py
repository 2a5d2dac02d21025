"""Undo what a plan did to services: the next plan carries it to Cal.com."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from calcom_pipeline.app.services.conflicts import unparked
from calcom_pipeline.app.services.ports import ActionResult, ServiceStore
from calcom_pipeline.domain.errors import PlanUnusable
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.fields import Values, local_values, service_columns
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service

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
        [Link(row.id, link.owner, state="parked", reason=Reason("link_reverted"), failed_version=row.version)]
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
    message = f"put back {', '.join(sorted(untouched))}" if untouched else "nothing put back"
    if edited:
        message += f"; edited since and left alone: {', '.join(edited)}"
    return Undone(row.id, done=bool(untouched), message=message)


def _value(value: object) -> str | int | bool | None:
    if value is None or isinstance(value, str | int):
        return value
    raise PlanUnusable(f"A stored value is of kind {type(value).__name__}, which no field has")
