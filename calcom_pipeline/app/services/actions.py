"""One action of a plan, carried out: checked again, written after its intent was stored, its result returned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.app.calls import AccountApi
from calcom_pipeline.app.event_types.ports import EventTypeWrites, Written
from calcom_pipeline.app.services.ports import ActionResult, ServiceStore
from calcom_pipeline.domain.availability.changes import (
    EVENT_TYPE_GONE,
    SERVICE_CREATED,
    ChangeEvent,
    Why,
    service_written,
)
from calcom_pipeline.domain.errors import (
    CalcomError,
    CircuitOpen,
    ContractBroken,
    NotFound,
    OutcomeUnknown,
    PipelineError,
    RateLimited,
    Rejected,
    StoreError,
    TransientError,
    Unauthorized,
)
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.reasons import NO_REASON, Reason
from calcom_pipeline.domain.services.fields import Value, local_values, remote_values, service_columns
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action
from calcom_pipeline.domain.services.reconcile import GONE

Sides = dict[str, Mapping[str, object]]


class EventTypeWriter(AccountApi, EventTypeWrites, Protocol):
    """What is written to Cal.com here."""


@dataclass(frozen=True, slots=True)
class ApplyRules:
    """How a plan is applied; see the settings of the same names.

    `team_scheduling` is how a team's new event type finds its hosts among all members: Cal.com wants to be told.
    """

    workers: int = 10
    batch: int = 10
    attempts_before_parking: int = 5
    first_retry: timedelta = timedelta(minutes=1)
    longest_retry: timedelta = timedelta(hours=6)
    retry_factor: int = 4
    team_scheduling: str = "roundRobin"

    def retry_after(self, attempts: int) -> timedelta:
        """The distance to the next attempt grows with every failure, up to the longest."""
        steps = min(max(0, attempts - 1), 16)  # 4 to the power of 16 minutes is past any sensible longest
        return min(self.longest_retry, self.first_retry * self.retry_factor**steps)


class Stale(PipelineError):  # noqa: N818 - says what the action is
    """One of the sides has moved since the plan was made."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Ignored(PipelineError):  # noqa: N818 - says what happened to the fields
    """Cal.com accepted the request and ignored fields of it."""


class Writer:
    """Carries out the actions of one batch. Safe to use from several threads: each action is another service."""

    def __init__(
        self,
        calcom: EventTypeWriter,
        services: ServiceStore,
        rules: ApplyRules,
        now: Callable[[], datetime],
        *,
        listed: Mapping[int, EventType],
        rows: Mapping[str, Service],
        links: dict[str, Link],
    ) -> None:
        self._calcom = calcom
        self._services = services
        self._rules = rules
        self._now = now
        self._listed = listed
        self._rows = rows
        self._links = links

    def result(self, position: int, action: Action) -> ActionResult:
        """Carry out an action; failures are returned, not raised."""
        plain = ActionResult(position, "done", "", action.service_id, action.kind, action.event_type_id)
        try:
            self._still_as_planned(action)
            message, event_type_id, before, after = self._carry_out(action)
        except Stale as stale:
            return replace(plain, outcome="stale", message=str(stale), code=stale.reason.code)
        except PipelineError as error:
            self._failed(action, error)
            reason = Reason.of(error)
            return replace(plain, outcome="failed", message=str(reason), error=type(error).__name__, code=reason.code)
        return replace(plain, message=message, event_type_id=event_type_id, before=before, after=after)

    # --- the check just before the write -----------------------------------------------------------------

    def _still_as_planned(self, action: Action) -> None:
        row = self._rows.get(action.service_id)
        if row is not None and row.version != action.service_version:
            raise Stale(Reason("service_edited"))
        if row is None and action.service_version:
            raise Stale(Reason("service_deleted_since"))
        found = self._listed.get(action.event_type_id or 0)
        if action.kind == "park":
            if found is not None:
                raise Stale(Reason("event_type_back"))
        elif action.event_type_id is not None:
            if found is None:
                raise Stale(Reason("event_type_vanished"))
            if remote_values(found) != dict(action.remote):
                raise Stale(Reason("event_type_edited"))

    # --- what each kind does -----------------------------------------------------------------------------

    def _carry_out(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        kinds = {"create": self._create, "adopt": self._adopt, "pull": self._pull, "park": self._park}
        kinds["import"] = self._import
        return kinds.get(action.kind, self._push)(action)

    def _create(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        owner, fields = _owner(action), action.values("push")
        if any(remote_values(e)["slug"] == fields["slug"] for e in self._listed.values()):
            raise Stale(Reason("slug_appeared"))
        above = max(self._listed, default=0)
        intent = Intent("create", fields, self._now(), above)
        link = self._begin(Link(action.service_id, owner, state="creating"), intent)
        written = self._calcom.create_event_type(owner, {**fields, **self._hosting(owner)}, above_id=above)
        link = replace(link, event_type_id=written.event_type.id, base=remote_values(written.event_type))
        self._finish(link, written, SERVICE_CREATED)
        message = "adopted what an earlier attempt had created" if written.adopted else "created"
        number = written.event_type.id
        return f"{message} as event type {number}", number, {}, {"remote": remote_values(written.event_type)}

    def _hosting(self, owner: Owner) -> dict[str, object]:
        """What a team's event type needs beside the service's own fields: who takes its bookings."""
        if owner.kind == "user":
            return {}
        return {"scheduling_type": self._rules.team_scheduling, "assign_all_team_members": True}

    def _push(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        found, changes = self._listed[action.event_type_id or 0], action.values("push")
        link = self._begin(self._link(action), Intent("update", changes, self._now()))
        written = self._calcom.update_event_type(found, changes)
        kept = {name: value for name, value in changes.items() if name not in written.ignored}
        state = "retired" if action.service_id not in self._rows else "linked"
        link = replace(link, base={**link.base, **kept}, state=state)
        self._finish(link, written, service_written(action.kind))
        message = f"wrote {', '.join(changes)}"
        before: Sides = {"remote": _subset(action.remote, changes)}
        after: Sides = {"remote": changes}
        if pulled := action.values("pull"):
            try:
                pull_message, _, was, became = self._pull(action)
            except (Stale, StoreError) as error:  # the push is done and keeps its inverse, whatever became of the pull
                return f"{message}; {', '.join(pulled)} left for the next plan: {error}", found.id, before, after
            message, before, after = f"{message}; {pull_message}", {**before, **was}, {**after, **became}
        return message, found.id, before, after

    def _pull(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        pulled, link = action.values("pull"), self._link(action)
        link = replace(
            link, base={**link.base, **pulled}, intent=None, attempts=0, next_attempt_at=None, reason=NO_REASON
        )
        if not self._services.pull(link, service_columns(pulled), version=action.service_version):
            raise Stale(Reason("service_edited"))
        self._links[action.service_id] = link
        before: Sides = {"local": {d.field: d.local for d in action.fields if d.verdict == "pull"}}
        return f"took over {', '.join(pulled)}", action.event_type_id, before, {"local": pulled}

    def _adopt(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        conflicts = {d.field for d in action.fields if d.verdict == "conflict"}
        base = {name: value for name, value in action.remote.items() if name not in conflicts}
        link = Link(action.service_id, _owner(action), action.event_type_id, base)
        self._services.finish(link)
        self._links[action.service_id] = link
        open_ones = f"; open: {', '.join(sorted(conflicts))}" if conflicts else ""
        return f"linked to event type {action.event_type_id}{open_ones}", action.event_type_id, {}, {}

    def _park(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        self._prove_gone(_owner(action), action.event_type_id or 0)
        state = "parked" if action.service_id in self._rows else "retired"
        link = replace(self._link(action), state=state, reason=GONE, intent=None, failed_version=action.service_version)
        self._services.finish(link, [_fact(action.event_type_id, EVENT_TYPE_GONE)])
        self._links[action.service_id] = link
        return f"{state}: {GONE}", action.event_type_id, {}, {}

    def _prove_gone(self, owner: Owner, event_type_id: int) -> None:
        """Gone is its own 404 while a sibling can be read the same way: a key that lost its rights gets 404 for all."""
        if self._can_be_read(owner, event_type_id):
            raise Stale(Reason("unproven_readable"))
        sibling = next(iter(self._listed), None)
        if sibling is not None and not self._can_be_read(owner, sibling):
            raise Stale(Reason("unproven_sibling", event_type=sibling))
        if sibling is None and owner.kind == "user" and self._calcom.me().user_id != owner.id:
            raise Stale(Reason("unproven_key"))

    def _can_be_read(self, owner: Owner, event_type_id: int) -> bool:
        try:
            self._calcom.get_event_type(event_type_id, owner=owner)
        except NotFound:
            return False
        except ContractBroken:
            return True  # it is there, whatever is odd about it
        except Rejected as error:
            raise Stale(Reason("unproven_refused", text=str(error))) from error
        return True

    def _import(self, action: Action) -> tuple[str, int | None, Sides, Sides]:
        found = self._listed[action.event_type_id or 0]
        columns: dict[str, object] = service_columns(remote_values(found))
        if found.owner.kind == "team":
            columns["team_id"] = found.owner.id
        service = self._services.add(columns, found)
        return f"became service {service.id}", found.id, {}, {"local": local_values(service)}

    # --- links -------------------------------------------------------------------------------------------

    def _link(self, action: Action) -> Link:
        return self._links.get(action.service_id) or Link(action.service_id, _owner(action), action.event_type_id)

    def _begin(self, link: Link, intent: Intent) -> Link:
        known = self._links.get(link.service_id)
        begun = replace(known or link, owner=link.owner, intent=intent, state=link.state)
        self._services.begin(begun)
        self._links[link.service_id] = begun
        return begun

    def _finish(self, link: Link, written: Written, why: Why) -> None:
        fresh = replace(
            link,
            intent=None,
            attempts=link.attempts if written.ignored else 0,
            next_attempt_at=None,
            reason=NO_REASON,
            failed_version=None,
            state="linked" if link.state == "creating" else link.state,
        )
        self._services.finish(fresh, [_fact(written.event_type.id, why)])
        self._links[link.service_id] = fresh
        if written.ignored:
            raise Ignored(f"Cal.com accepted but ignored: {', '.join(written.ignored)}")

    def _failed(self, action: Action, error: PipelineError) -> None:
        """What may have been written keeps its intent: the next plan finds out first. An outage parks nothing."""
        if action.kind == "import":
            return  # there is no service yet, so there is no link; the next plan offers it again
        link = self._link(action)
        no_fault_of_it = isinstance(error, TransientError | OutcomeUnknown | Unauthorized)
        attempts = link.attempts + (0 if no_fault_of_it else 1)
        wait = self._rules.retry_after(attempts)
        if isinstance(error, RateLimited | CircuitOpen):
            wait = timedelta(seconds=error.retry_after)
        parked = attempts >= self._rules.attempts_before_parking
        link = replace(
            link,
            intent=link.intent if _in_doubt(error) else None,
            state="parked" if parked else link.state,
            attempts=attempts,
            next_attempt_at=self._now() + wait,
            reason=Reason.of(error),
            failed_version=action.service_version,
        )
        self._services.finish(link)
        self._links[action.service_id] = link


def _in_doubt(error: PipelineError) -> bool:
    """Something may stand at Cal.com that the link does not know of: no usable answer, or no place to keep it."""
    if isinstance(error, CalcomError) and error.exchange.in_doubt:
        return True
    return isinstance(error, StoreError | OutcomeUnknown)


def _owner(action: Action) -> Owner:
    if action.owner is None:
        raise AssertionError("an action that writes knows its owner")
    return action.owner


def _fact(event_type_id: int | None, why: Why) -> ChangeEvent:
    return ChangeEvent("event_type", why, event_type_id)


def _subset(values: Mapping[str, Value], names: Mapping[str, Value]) -> dict[str, Value]:
    return {name: values.get(name) for name in names}
