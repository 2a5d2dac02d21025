"""Stateful fakes behind the ports of planning and applying, with crashes on demand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import RLock

from calcom_pipeline.app.event_types.ports import Written
from calcom_pipeline.app.services.ports import ActionResult, StoredPlan
from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.domain.errors import NotFound, Rejected
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.models import Profile, Schedule, Team
from calcom_pipeline.domain.services.fields import remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service

ME, TEAM = Owner("user", 101), Owner("team", 301)


class Crash(BaseException):
    """The process is killed here."""


class FakeClock:
    """Time that only moves when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 12, 1, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class Fuse:
    """Counts the points where a process could be killed or somebody could edit, and does so at one of them.

    `before_listing` runs once, just before the listing it counts down to: an edit that lands between a plan's listing
    and a batch's own.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self.before_listing: Callable[[], None] | None = None
        self.listings_left = 0
        self.anywhere: Callable[[], None] | None = None
        self.points_left = 0

    def burn(self, where: str = "") -> None:
        if where == "listing" and self.before_listing is not None:
            self.listings_left -= 1
            if self.listings_left < 0:
                edit, self.before_listing = self.before_listing, None
                edit()
        if self.anywhere is not None:
            self.points_left -= 1
            if self.points_left < 0:
                edit, self.anywhere = self.anywhere, None
                edit()
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


class FakeCalcom:
    """Event types by id, with slugs unique per owner; everything written is counted. Threads may ask at once."""

    def __init__(self, event_types: Sequence[EventType] = (), *, teams: Sequence[Team] = (), fuse: Fuse | None = None):
        self.types = {e.id: e for e in event_types}
        self.visible_teams = list(teams)
        self.created: list[int] = []
        self.patched: list[tuple[int, dict[str, object]]] = []
        self.listings = 0
        self.ignores: frozenset[str] = frozenset()
        self.refuses: Callable[[Mapping[str, object]], bool] = lambda fields: False
        self.half_listing = False
        self.lost_scope = False
        self.refuses_members = False
        self._fuse = fuse or Fuse()
        self._next = max(self.types, default=0) + 1
        self._guard = RLock()

    # reads
    def me(self) -> Profile:
        return Profile(ME.id, "me", "UTC")

    def teams(self) -> Listed[Team]:
        return Listed(tuple(self.visible_teams))

    def schedules(self) -> Listed[Schedule]:
        return Listed()

    def list_personal(self) -> Listed[EventType]:
        return self.list_owner(ME)

    def list_team(self, team: Team) -> Listed[EventType]:
        return self.list_owner(Owner("team", team.id))

    def list_owner(self, owner: Owner) -> Listed[EventType]:
        self._fuse.burn("listing")
        self.listings += 1
        found = [e for e in list(self.types.values()) if e.owner == owner]
        return Listed(tuple(found[: len(found) // 2] if self.half_listing else found))

    def get_event_type(self, event_type_id: int, *, owner: Owner | None = None) -> EventType:
        found = self.types.get(event_type_id)
        if found is None or self.lost_scope or found.owner != (owner or found.owner):
            raise NotFound("no such event type")
        return found

    def is_refused_by(self, team_id: int) -> bool:
        return self.refuses_members or team_id not in {team.id for team in self.visible_teams}

    # writes
    def create_event_type(self, owner: Owner, fields: Mapping[str, object], *, above_id: int = 0) -> Written:
        self._fuse.burn()
        if self.refuses(fields):
            raise Rejected("Cal.com does not like it")
        with self._guard:
            if any(e.owner == owner and e.slug == fields["slug"] for e in self.types.values()):
                raise Rejected("User already has an event type with this slug.")
            made = self.stranger(owner, **{k: v for k, v in fields.items() if k not in self.ignores})
        self.created.append(made.id)
        self._fuse.burn()
        ignored = tuple(k for k, v in fields.items() if getattr(made, k) != v)
        return Written(made, ignored)

    def update_event_type(self, event_type: EventType, changes: Mapping[str, object]) -> Written:
        self._fuse.burn()
        if self.refuses(changes):
            raise Rejected("Cal.com does not like it")
        slug = changes.get("slug")
        with self._guard:
            current = self.types[event_type.id]
            if any(e.owner == current.owner and e.slug == slug and e.id != current.id for e in self.types.values()):
                raise Rejected("error_event_type_url_duplicate")
            kept = {k: v for k, v in changes.items() if k not in self.ignores}
            self.types[current.id] = replace(current, **kept)
        self.patched.append((current.id, dict(changes)))
        self._fuse.burn()
        return Written(self.types[current.id], tuple(k for k in changes if k in self.ignores))

    def delete_event_type(self, event_type: EventType) -> None:
        del self.types[event_type.id]

    # somebody else, behind our back
    def stranger(self, owner: Owner = ME, **fields: object) -> EventType:
        with self._guard:
            number, self._next = self._next, self._next + 1
            plain = EventType(id=number, owner=owner, slug=f"s{number}", title=f"T{number}", duration_minutes=30)
            self.types[number] = replace(plain, **fields)
            return self.types[number]

    def edit(self, event_type_id: int, **fields: object) -> None:
        self.types[event_type_id] = replace(self.types[event_type_id], **fields)


_COLUMNS = {"name", "slug", "description", "duration_minutes", "is_active", "team_id"} | {
    "before_buffer_minutes",
    "after_buffer_minutes",
    "minimum_notice_minutes",
}


class FakeServices:
    """Services with versions, links, and the facts that were emitted."""

    def __init__(self, services: Sequence[Service] = (), *, fuse: Fuse | None = None) -> None:
        self.rows = {s.id: replace(s, version="1") for s in services}
        self.stored: dict[str, Link] = {}
        self.facts: list[ChangeEvent] = []
        self.pulled: list[str] = []
        self.known: dict[Owner, int] = {}
        self._fuse = fuse or Fuse()
        self._guard = RLock()

    def services(self, ids: Sequence[str] | None = None) -> list[Service]:
        return [s for s in list(self.rows.values()) if ids is None or s.id in ids]

    def links(self) -> list[Link]:
        return list(self.stored.values())

    def known_event_types(self) -> dict[Owner, int]:
        return self.known

    def settle(self, links: Sequence[Link]) -> None:
        self._fuse.burn()
        for link in links:
            self._store(link)

    def begin(self, link: Link) -> None:
        self._fuse.burn()
        self._store(link)

    def finish(self, link: Link, facts: Sequence[ChangeEvent] = ()) -> None:
        self._fuse.burn()
        self._store(link)
        self.facts += facts

    def pull(self, link: Link, columns: Mapping[str, object], *, version: str) -> bool:
        self._fuse.burn()
        if link.service_id not in self.rows or self.rows[link.service_id].version != version:
            return False
        self.edit(link.service_id, **columns)
        self.pulled.append(link.service_id)
        self._store(link)
        return True

    def add(self, columns: Mapping[str, object], event_type: EventType) -> Service:
        self._fuse.burn()
        assert set(columns) <= _COLUMNS
        service = Service(**{"id": f"new-{event_type.id}", "version": "1", **columns})  # type: ignore[arg-type]
        self.rows[service.id] = service
        self._store(Link(service.id, event_type.owner, event_type.id, remote_values(event_type)))
        return service

    def restore(self, service_id: str, columns: Mapping[str, object], *, version: str) -> bool:
        self._fuse.burn()
        if self.rows[service_id].version != version:
            return False
        self.edit(service_id, **columns)
        return True

    def edit(self, service_id: str, **columns: object) -> None:
        row = self.rows[service_id]
        self.rows[service_id] = replace(row, **columns, version=str(int(row.version) + 1))

    def _store(self, link: Link) -> None:
        with self._guard:
            taken = {x.event_type_id: x.service_id for x in self.stored.values() if x.event_type_id is not None}
            assert taken.get(link.event_type_id, link.service_id) == link.service_id, "one writer per event type"
            self.stored[link.service_id] = link


class FakePlans:
    """Plans in memory."""

    def __init__(self) -> None:
        self.plans: dict[str, StoredPlan] = {}
        self.results: dict[str, list[ActionResult]] = {}

    def save(self, plan: StoredPlan) -> None:
        self.plans[plan.id] = plan

    def renewed(self, plan: StoredPlan) -> StoredPlan | None:
        return None

    def supersede(self) -> None:
        self.plans = {i: replace(p, state="superseded") if p.state == "planned" else p for i, p in self.plans.items()}

    def latest_open(self) -> StoredPlan | None:
        newest = max(self.plans.values(), key=lambda plan: plan.created_at, default=None)
        return newest if newest is not None and newest.state == "planned" else None

    def load(self, plan_id: str) -> StoredPlan | None:
        return self.plans.get(plan_id)

    def record(self, plan_id: str, results: Sequence[ActionResult]) -> None:
        self.results.setdefault(plan_id, []).extend(results)

    def done(self, plan_id: str) -> frozenset[int]:
        return frozenset(r.position for r in self.results.get(plan_id, []) if r.outcome == "done")

    def close(self, plan_id: str, *, at: datetime) -> None:
        if plan_id in self.plans:
            self.plans[plan_id] = replace(self.plans[plan_id], state="applied")

    @contextmanager
    def exclusive(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        yield


def service(number: object = 1, **columns: object) -> Service:
    plain = Service(id=str(number), name=f"Service {number}", slug=f"service-{number}", duration_minutes=30)
    return replace(plain, **{"version": "1", **columns})


def event_type(number: int, **fields: object) -> EventType:
    plain = EventType(id=number, owner=ME, slug=f"service-{number}", title=f"Service {number}", duration_minutes=30)
    return replace(plain, **fields)


def linked(number: int, **changes: object) -> Link:
    return replace(Link(str(number), ME, number, remote_values(event_type(number))), **changes)
