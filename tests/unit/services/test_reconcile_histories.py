"""Random histories of edits on both sides, with the process killed anywhere: the sides come together again.

The model remembers who edited what last. Once it is quiet and plans are applied until nothing is left to do, every
field holds the latest edit, or is reported as a conflict; no service ever has two event types.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.domain.services.fields import Value, local_values, remote_values, service_columns
from calcom_pipeline.domain.services.plans import DOING, Brakes, Plan
from tests.support.reconciling import ME, Crash, FakeCalcom, FakeClock, FakePlans, FakeServices, Fuse, service

RULES = PlanRules(brakes=Brakes(100, 1000), lifetime=timedelta(hours=1), create_grace=timedelta(0))
# One worker: threads would make the point of the kill a matter of luck, and the history not repeatable.
APPLY = ApplyRules(workers=1, batch=3, first_retry=timedelta(0), longest_retry=timedelta(0))
QUIET_ROUNDS, IDLE_ROUNDS = 12, 2


@dataclass
class World:
    """Both sides, and what the model knows of them."""

    fuse: Fuse = field(default_factory=Fuse)
    clock: FakeClock = field(default_factory=FakeClock)
    plans: FakePlans = field(default_factory=FakePlans)
    latest: dict[tuple[str, str], Value] = field(default_factory=dict)
    #: Fields edited on each side since the last sync that ran to its end undisturbed.
    local_edits: set[tuple[str, str]] = field(default_factory=set)
    remote_edits: set[tuple[str, str]] = field(default_factory=set)
    #: Whether the last sync found nothing to do and nothing to note.
    was_idle: bool = False
    #: Which service each event type was created for, known even if the process died before it could note it.
    made_for: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calcom = FakeCalcom(fuse=self.fuse)
        self.services = FakeServices(fuse=self.fuse)

    # --- edits -------------------------------------------------------------------------------------------

    def add_service(self, number: int) -> None:
        if str(number) in self.services.rows:
            return
        row = service(number, slug=f"slug-{number % 4}-{number}")
        self.services.rows[row.id] = row
        for name, value in local_values(row).items():
            self.latest[row.id, name] = value

    def add_stranger(self, number: int) -> None:
        slug = f"slug-{number % 4}-{number}"
        if all(e.slug != slug for e in self.calcom.types.values()):
            self.calcom.stranger(ME, slug=slug, title=f"Stranger {number}")

    def edit_local(self, number: int, name: str, value: Value) -> None:
        if str(number) in self.services.rows:
            self.services.edit(str(number), **service_columns({name: value}))
            undone = value == self.agreed(str(number)).get(name, ...)
            there = remote_values(self.calcom.types[self.type_of(number) or 0])[name] if undone else value
            self.latest[str(number), name] = there
            self.local_edits.add((str(number), name))

    def edit_remote(self, number: int, name: str, value: Value) -> None:
        event_type_id = self.type_of(number)
        if event_type_id is None:
            return
        if name == "slug" and any(e.slug == value for e in self.calcom.types.values()):
            return
        self.calcom.edit(event_type_id, **{name: value})
        undone = value == self.agreed(str(number)).get(name, ...)
        self.latest[str(number), name] = local_values(self.services.rows[str(number)])[name] if undone else value
        self.remote_edits.add((str(number), name))

    def type_of(self, number: int) -> int | None:
        link = self.services.stored.get(str(number))
        linked = link.event_type_id if link else None
        found = linked or next((i for i, s in self.made_for.items() if s == str(number)), None)
        return found if found in self.calcom.types else None

    def agreed(self, service_id: str) -> dict[str, Value]:
        """What both sides last agreed on. Setting a field back to that undoes an edit, and the other side's counts."""
        link, event_type_id = self.services.stored.get(service_id), self.type_of(int(service_id))
        if link is None or event_type_id is None:
            return {}
        remote = remote_values(self.calcom.types[event_type_id])
        sent = dict(link.intent.fields) if link.intent else {}
        return {**link.base, **{name: value for name, value in sent.items() if remote[name] == value}}

    # --- the pipeline ------------------------------------------------------------------------------------

    def sync_with_edit(self, listings: int, number: int, edit: tuple[str, Value]) -> None:
        """Somebody edits at Cal.com after the plan's listing and before a batch's own."""
        self.fuse.before_listing, self.fuse.listings_left = lambda: self.edit_remote(number, *edit), listings
        self.sync()
        self.fuse.before_listing = None

    def sync_with_local_edit(self, points: int, number: int, edit: tuple[str, Value]) -> None:
        """Somebody edits the service at any point of a sync, in the middle of a write too."""
        self.fuse.anywhere, self.fuse.points_left = lambda: self.edit_local(number, *edit), points
        self.sync()
        self.fuse.anywhere = None

    def race(self, number: int, edit: tuple[str, Value], other: Value, listings: int) -> None:
        """The service's own edit is planned while somebody edits the same field at Cal.com."""
        self.edit_local(number, *edit)
        self.sync_with_edit(listings, number, (edit[0], other))

    def kill_and_edit(self, number: int, edit: tuple[str, Value], point: int, later: tuple[str, Value]) -> None:
        """The process dies around a write, and somebody edits what it wrote before it comes back."""
        self.edit_local(number, *edit)
        self.sync(point)
        self.edit_remote(number, *later)

    def kill_create(self, number: int, point: int, later: tuple[str, Value]) -> None:
        """The process dies around a create, and somebody edits what it may have made before it comes back."""
        self.add_service(number)
        self.sync(point)
        self.edit_remote(number, *later)

    def sync(self, crash_after: int | None = None) -> dict[str, set[str]]:
        """Plan and apply; the fields that the plan left open, by service."""
        self.fuse.left, self.was_idle = crash_after, False
        self.clock.advance(timedelta(minutes=1))
        choice = TeamChoice()
        try:
            stored, plan = make_plan(
                self.calcom, self.services, self.plans, PlanRequest("test", choice), rules=RULES, now=self.clock
            )
            apply_plan(stored, self.calcom, self.services, self.plans, rules=APPLY, now=self.clock)
        except Crash:
            return {}
        finally:
            self.fuse.left = None
            for event_type_id in self.calcom.created:
                slug = self.calcom.types[event_type_id].slug
                holder = next((s.id for s in self.services.rows.values() if s.slug == slug), None)
                if holder is not None:
                    self.made_for.setdefault(event_type_id, holder)
        self.was_idle = plan.is_empty and not plan.settled
        return _open_fields(plan)

    def conflicts(self) -> dict[str, set[str]]:
        """Services that a plan would tell a person about, with the fields that are open (all, for a refusal)."""
        _, plan = make_plan(
            self.calcom, self.services, self.plans, PlanRequest("test", TeamChoice()), rules=RULES, now=self.clock
        )
        assert not [a for a in plan.actions if a.kind in DOING], "after the quiet rounds nothing is left to do"
        return _open_fields(plan)


def _open_fields(plan: Plan) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for action in plan.actions:
        names = {d.field for d in action.fields if d.verdict == "conflict"}
        if names or action.kind not in DOING:
            told[action.service_id] = names or {"*"}
    return told


numbers = st.integers(1, 3)
texts = st.sampled_from(["Alpha", "Beta", "Gamma"])
minutes = st.sampled_from([15, 30, 45, 60])
edits = st.one_of(
    st.tuples(st.just("title"), texts),
    st.tuples(st.just("duration_minutes"), minutes),
    st.tuples(st.just("slug"), st.sampled_from(["one", "two", "three"])),
    st.tuples(st.just("hidden"), st.booleans()),
)


def step(kind: str) -> Callable[..., tuple]:
    return lambda *values: (kind, *values)


steps = st.one_of(
    st.builds(step("add_service"), numbers),
    st.builds(step("add_stranger"), numbers),
    st.builds(lambda n, e: ("edit_local", n, *e), numbers, edits),
    st.builds(lambda n, e: ("edit_remote", n, *e), numbers, edits),
    st.builds(step("sync"), st.one_of(st.none(), st.integers(0, 30))),
    st.builds(lambda n, e, o, at: ("race", n, ("title", e), o, at), numbers, texts, texts, st.integers(0, 2)),
    st.builds(step("kill_and_edit"), numbers, edits, st.integers(0, 12), edits),
    st.builds(step("kill_create"), numbers, st.integers(0, 8), edits),
    st.builds(step("sync_with_edit"), st.integers(0, 3), numbers, edits),
    st.builds(step("sync_with_local_edit"), st.integers(0, 20), numbers, edits),
)
undisturbed = st.one_of(
    st.builds(step("add_service"), numbers),
    st.builds(lambda n, e: ("edit_local", n, *e), numbers, edits),
    st.builds(lambda n, e: ("edit_remote", n, *e), numbers, edits),
    st.just(("sync",)),
)


def converge(world: World) -> dict[str, set[str]]:
    """At most so many syncs until nothing happens in two of them; what is told then."""
    idle = 0
    for _ in range(QUIET_ROUNDS):
        world.sync()
        idle = idle + 1 if world.was_idle else 0
        if idle == IDLE_ROUNDS:
            break
    return world.conflicts()


def check_nothing_lost(world: World, told: dict[str, set[str]]) -> None:
    for row in world.services.rows.values():
        link = world.services.stored.get(row.id)
        found = world.calcom.types.get(link.event_type_id) if link and link.event_type_id else None
        open_fields = told.get(row.id, set())
        if found is None:
            assert open_fields or not row.is_active, f"service {row.id} has no event type and nobody is told"
            continue
        for name, value in local_values(row).items():
            if name in open_fields or "*" in open_fields:
                continue
            assert value == remote_values(found)[name], f"{row.id}.{name} differs and nobody is told"
            assert value == world.latest[row.id, name], f"{row.id}.{name} lost an edit"


def check_no_twins(world: World, told: dict[str, set[str]]) -> None:
    linked = [link.event_type_id for link in world.services.stored.values() if link.event_type_id]
    assert len(linked) == len(set(linked))
    orphans = [i for i in world.calcom.created if i in world.calcom.types and i not in linked]
    waiting = [s for s, names in told.items() if names == {"*"}]
    assert len(orphans) <= len(waiting), f"event types {orphans} were created and forgotten"


def lived(history) -> World:
    """A world in which all this has happened."""
    world = World()
    for kind, *values in history:
        getattr(world, kind)(*values)
    return world


def check_both_sides_end_equal(history) -> None:
    world = lived(history)
    told = converge(world)
    check_nothing_lost(world, told)
    check_no_twins(world, told)


@settings(max_examples=160)
@given(st.lists(steps, max_size=30))
def test_any_history_with_kills_anywhere_ends_with_both_sides_equal_and_nothing_lost(history):
    check_both_sides_end_equal(history)


@settings(max_examples=100)
@given(st.lists(steps, max_size=20))
def test_an_unchanged_account_is_never_written(history):
    world = lived(history)
    converge(world)
    patched, pulled, created = len(world.calcom.patched), len(world.services.pulled), len(world.calcom.created)
    world.sync()
    assert (patched, pulled, created) == (
        len(world.calcom.patched),
        len(world.services.pulled),
        len(world.calcom.created),
    )


@settings(max_examples=160)
@given(st.lists(undisturbed, max_size=30))
def test_a_conflict_is_only_told_where_both_sides_were_edited_since_they_last_agreed(history):
    world = World()
    for kind, *values in history:
        told = getattr(world, kind)(*values)
        if kind == "sync":
            for edited in (world.local_edits, world.remote_edits):
                edited -= {(i, name) for i, name in edited if not told.get(i, set()) & {name, "*"}}
    for service_id, names in converge(world).items():
        for name in names - {"*"}:
            assert (service_id, name) in world.local_edits
            assert (service_id, name) in world.remote_edits


@pytest.mark.proof
@pytest.mark.timeout(1800)
@settings(max_examples=5_000, deadline=None)
@given(st.lists(steps, max_size=60))
def test_any_long_history_with_kills_anywhere_ends_with_both_sides_equal_and_nothing_lost(history):
    check_both_sides_end_equal(history)
