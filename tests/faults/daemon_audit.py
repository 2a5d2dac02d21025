"""What must be so some minutes after a storm: both sides compared by somebody who asks with a key of their own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import dagster as dg
import psycopg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.maintenance.dagster_runs import runs_in_progress, slots_held
from calcom_pipeline.adapters.postgres.maintenance.run_leases import RunLeases
from calcom_pipeline.adapters.process_identity import is_gone
from calcom_pipeline.app.availability.refresh import canonical_queries
from calcom_pipeline.app.event_types.mirror import look_for_drift
from calcom_pipeline.app.services.planning import decide_now
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotDay
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.fields import local_values, remote_values
from calcom_pipeline.domain.services.plans import DOING, Action
from calcom_pipeline.settings import Settings, load_settings
from tests.faults.daemon_record import keep_record
from tests.faults.daemon_stage import Away, Stage
from tests.faults.daemon_weather import Hands
from tests.support.clients import client_of
from tests.support.compared import HELD, differences, mirrored, shown

_F = TypeVar("_F")
#: Starts nearer than this go by themselves while a day is cached.
_PASSING = timedelta(minutes=10)
_NAMED = 3
#: Between two audits, each of which costs a third of a second of a core that the storm's processes need.
_LOOK_SECONDS = 5
#: How soon Dagster's run monitoring looks again.
_MONITORING_SECONDS = 15


@dataclass(frozen=True)
class Figures:
    """How much was compared, and the services that wait, each with why."""

    bookings: int
    services: int
    cached_days: int
    waiting: dict[str, str]


@dataclass(frozen=True)
class Auditor:
    """`calcom` asks with the hands' key, so it neither spends nor learns from the pipeline's budget."""

    stage: Stage
    hands: Hands
    ours: Container
    calcom: CalcomClient

    # --- both sides ----------------------------------------------------------------------------------------

    def bookings(self) -> Iterator[str]:
        yield from differences(shown(self.stage.sandbox()[0], self.hands.key), self.mirrored())

    def mirrored(self) -> dict[str, dict[str, Any]]:
        """All bookings that the mirror holds as being there."""
        return mirrored(self.hands.rows(HELD))

    def services(self, waiting: dict[str, str]) -> Iterator[str]:
        """Field by field; a service that waits has a reason with a code."""
        group = self.ours.services
        listing, plan = decide_now(
            self.calcom, group.store, self.ours.event_types.teams, rules=group.plan_rules, now=utc_now()
        )
        told = {action.service_id: action for action in plan.actions}
        waiting.update({number: action.reason.code for number, action in told.items()})
        yield from (
            f"services: {a.kind} of {a.service_id} is pending ({a.reason})" for a in told.values() if _undone(a)
        )
        types = {e.id: e for e in listing.event_types()}
        links = {link.service_id: link for link in group.store.links()}
        for row in group.store.services():
            link = links.get(row.id)
            found = types.get(link.event_type_id or 0) if link else None
            if row.id in told:
                continue
            if found is None:
                yield f"services: {row.id} has no event type and nobody is told"
                continue
            remote = remote_values(found)
            for name, value in local_values(row).items():
                wanted = self.hands.latest.get((row.id, name), value)
                if not value == remote[name] == wanted:
                    yield f"services: {row.id}.{name} is {value!r} here, {remote[name]!r} there, {wanted!r} was wanted"
        yield from self.twins(types, [link.event_type_id for link in links.values() if link.event_type_id is not None])

    def twins(self, types: dict[int, EventType], linked: list[int]) -> Iterator[str]:
        if len(linked) != len(set(linked)):
            yield "links: two services write one event type"
        if forgotten := types.keys() - self.hands.strangers - set(linked):
            yield f"event types {sorted(forgotten)} were made and forgotten"

    def event_types(self) -> Iterator[str]:
        """The mirror alone: what services have not heard of is told among them."""
        if differing := look_for_drift(self.calcom, self.ours.event_types.mirror, []).event_type_ids:
            yield f"event types: {differing} are not as mirrored"

    # --- the cache -----------------------------------------------------------------------------------------

    def cache(self, compared: list[SlotDay]) -> Iterator[str]:
        """Every cached day with what Cal.com answers now to the very query that days are cached by."""
        for event_type in self.ours.event_types.mirror.bookable():
            nearest = utc_now() + timedelta(minutes=event_type.minimum_notice_minutes) + _PASSING
            for query in canonical_queries(
                event_type, now=utc_now(), horizon_days=self.ours.settings.slot_horizon_days
            ):
                live = {day.key: day for day in self.calcom.free_days(query)}
                kept = self.ours.availability.cache.get(list(live))
                compared += kept.values()
                starts = lambda day, at=nearest: {s for s in day.slots if s.start > at}  # noqa: E731
                if wrong := [str(key) for key, day in kept.items() if starts(day) != starts(live[key])]:
                    yield f"cache: {len(wrong)} of {len(kept)} days are wrong: {wrong[:_NAMED]}"

    # --- what may be left ----------------------------------------------------------------------------------

    def left(self) -> Iterator[str]:
        """Runs, slots, leases, facts, doubts, locks."""
        url = self.stage.servers().dagster_pg_url
        progress = runs_in_progress(url)
        longest = self.stage.run_start_seconds + _MONITORING_SECONDS
        for run in progress:
            alive = [holder for holder in run.holders if not is_gone(holder)]
            starts = run.status in ("NOT_STARTED", "QUEUED", "STARTING") and run.age_seconds < longest
            if not starts and not alive:
                yield f"run {run.run_id} ({run.job}, {run.status}, {run.age_seconds:.0f} s) has no living process"
        going = {run.run_id for run in progress}
        yield from (f"slot of {s.pool} is held by {s.run_id} ({s.status})" for s in slots_held(url)
                    if s.run_id not in going)  # fmt: skip
        for lease in RunLeases(url).read():
            if lease.run_id not in going and not lease.taken:
                yield f"lease of {lease.run_id} is left"
        backlog = self.ours.availability.outbox.backlog()
        if backlog.pending:
            yield f"outbox: {backlog.pending} facts are pending, {backlog.due} of them due"
        if doubts := self.ours.bookings.in_doubt.still_open():
            yield f"{len(doubts)} bookings are in doubt"
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        if not going and (locks := self.hands.rows(held)[0][0]):
            yield f"{locks} advisory locks are held and no run is under way"

    def sensors(self) -> Iterator[str]:
        """The last tick of each, and the daemon's heartbeats."""
        with pytest.MonkeyPatch.context() as patch:  # not for the next `up`, which finds the servers by itself
            patch.setenv("DAGSTER_PG_URL", self.stage.servers().dagster_pg_url)
            instance = dg.DagsterInstance.get()
        with instance:
            for state in instance.all_instigator_state():
                ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
                if ticks and ticks[0].status == TickStatus.FAILURE:
                    yield f"the last tick of {state.name} failed"
            for kind, beat in instance.get_daemon_heartbeats().items():
                if beat.timestamp < utc_now().timestamp() - 120:
                    yield f"daemon {kind} gave no sign for two minutes"


def _undone(action: Action) -> bool:
    return action.kind in DOING or not action.reason.code


def callers_waiting(settings: Settings | None = None) -> int:
    """For their turn at the rate limit."""
    with ready_container(settings or load_settings()) as ours:
        return sum(ours.limits.limiter.view().waiting.values())


def look(stage: Stage, hands: Hands) -> tuple[list[str], Figures]:
    """Everything that is not as it should be, in sentences, and what was compared."""
    waiting: dict[str, str] = {}
    compared: list[SlotDay] = []
    url = stage.sandbox()[0]
    with ready_container(hands.settings()) as ours, client_of(url, hands.key, ours.redis) as calcom:
        auditor = Auditor(stage, hands, ours, calcom)
        found = [
            *auditor.bookings(),
            *auditor.services(waiting),
            *auditor.event_types(),
            *auditor.cache(compared),
            *auditor.left(),
            *auditor.sensors(),
        ]
        services = len(ours.services.store.services())
        return found, Figures(len(auditor.mirrored()), services, len(compared), waiting)


def until_right(look_once: Callable[[], tuple[list[str], _F]], stage: Stage, seconds: float) -> tuple[float, _F]:
    """Seconds until an audit finds nothing, and its figures; the record is kept where it goes on finding something."""
    began = time.monotonic()
    while True:
        stage.keep()
        try:
            found, figures = look_once()
        except (PipelineError, Away, OSError, psycopg.Error) as error:
            found, figures = [f"{type(error).__name__}: {error}"], None
        took = time.monotonic() - began
        if not found and figures is not None:
            return took, figures
        print(f"{took:.0f} s into the quiet: {len(found)}: {'; '.join(found[:4])}; {figures}", flush=True)
        if took >= seconds:
            keep_record(stage, stage.data.parent / "record")
        assert took < seconds, "\n".join(found)
        time.sleep(_LOOK_SECONDS)
