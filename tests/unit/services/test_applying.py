"""Applying a plan over stateful fakes: a result per service, checks before writes, retries, parking, brakes."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.event_types.ports import Written
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import ApplyReport, apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.app.services.ports import ActionResult, StoredPlan
from calcom_pipeline.domain.errors import (
    CircuitOpen,
    Exchange,
    OutcomeUnknown,
    PlanUnusable,
    RateLimited,
    StoreError,
    TransientError,
    Unauthorized,
)
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.models import Profile, Team
from calcom_pipeline.domain.services.plans import Brakes
from tests.support.reconciling import (
    ME,
    TEAM,
    FakeCalcom,
    FakeClock,
    FakePlans,
    FakeServices,
    event_type,
    linked,
    service,
)

RULES = PlanRules(brakes=Brakes(10, 3), lifetime=timedelta(hours=1))
APPLY = ApplyRules()
SUPPORT = Team(301, "support", "Support", "UTC")


class Desk:
    """One account with both sides, and shortcuts for planning and applying."""

    def __init__(self, services=(), types=(), links=(), **calcom) -> None:
        self.calcom = FakeCalcom(types, **calcom)
        self.services = FakeServices(services)
        self.services.stored = {link.service_id: link for link in links}
        self.plans, self.clock = FakePlans(), FakeClock()

    def plan(self, rules: PlanRules = RULES, **known: int) -> StoredPlan:
        self.services.known = {Owner.parse(name.replace("_", ":")): number for name, number in known.items()}
        stored, _ = make_plan(
            self.calcom,
            self.services,
            self.plans,
            PlanRequest("test", TeamChoice()),
            rules=rules,
            now=self.clock,
        )
        return stored

    def apply(self, plan: StoredPlan, rules: ApplyRules = APPLY, *, approved: bool = False) -> ApplyReport:
        return apply_plan(plan, self.calcom, self.services, self.plans, rules=rules, now=self.clock, approved=approved)

    def sync(self) -> dict[str, ActionResult]:
        return {r.service_id: r for r in self.apply(self.plan()).results}


def outcomes(results: Mapping[str, ActionResult]) -> dict[str, str]:
    return {service_id: result.outcome for service_id, result in results.items()}


def test_a_first_sync_creates_and_adopts_and_a_second_finds_nothing_to_do():
    desk = Desk([service(1), service(2)], [event_type(2)])
    assert outcomes(desk.sync()) == {"1": "done", "2": "done"}
    assert desk.plan().actions == ()
    assert {link.state for link in desk.services.links()} == {"linked"}


def test_every_written_event_type_leaves_a_fact_for_the_caches():
    desk = Desk([service(1, name="New"), service(2)], [event_type(1)], [linked(1)])
    desk.sync()
    assert {(f.kind, f.event_type_id) for f in desk.services.facts} == {("event_type", 1), ("event_type", 2)}


def test_one_poisoned_service_among_fifty_fails_alone_with_its_reason():
    desk = Desk([service(n) for n in range(50)])
    desk.calcom.refuses = lambda fields: fields.get("slug") == "service-17"
    results = desk.sync()
    assert Counter(outcomes(results).values()) == {"done": 49, "failed": 1}
    assert "Cal.com does not like it" in results["17"].message
    assert desk.services.stored["17"].attempts == 1


def test_ten_services_are_written_at_once():
    together = threading.Barrier(10, timeout=10)

    class Slow(FakeCalcom):
        def update_event_type(self, event_type: EventType, changes: Mapping[str, object]) -> Written:
            together.wait()
            return super().update_event_type(event_type, changes)

    desk = Desk([service(n, name=f"New {n}") for n in range(1, 11)], links=[linked(n) for n in range(1, 11)])
    desk.calcom = Slow([event_type(n) for n in range(1, 11)])
    assert Counter(outcomes(desk.sync()).values()) == {"done": 10}


def test_n_pushes_cost_n_calls_and_one_listing_per_batch_of_ten_and_owner():
    mine = [service(n, name=f"New {n}") for n in range(1, 26)]
    teams = [service(n, name=f"New {n}", team_id=301) for n in range(30, 35)]
    types = [event_type(n) for n in range(1, 26)] + [event_type(n, owner=TEAM) for n in range(30, 35)]
    links = [linked(n) for n in range(1, 26)] + [linked(n, owner=TEAM) for n in range(30, 35)]
    desk = Desk([*mine, *teams], types, links, teams=[SUPPORT])
    plan = desk.plan()
    desk.calcom.listings = 0
    desk.apply(plan)
    assert len(desk.calcom.patched) == 30
    assert desk.calcom.listings == 3 + 1


class TestCheckedJustBeforeTheWrite:
    def test_a_service_that_was_edited_since_is_left_for_the_next_plan(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        plan = desk.plan()
        desk.services.edit("1", name="Newer")
        (result,) = desk.apply(plan).results
        assert (result.outcome, "edited since" in result.message) == ("stale", True)
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.calcom.types[1].title == "Newer"

    def test_an_event_type_that_was_edited_since_is_not_overwritten(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        plan = desk.plan()
        desk.calcom.edit(1, title="Theirs")
        (result,) = desk.apply(plan).results
        assert result.outcome == "stale"
        assert desk.calcom.types[1].title == "Theirs"

    def test_a_deleted_service_or_event_type_is_told(self):
        desk = Desk([service(n, name="New") for n in (1, 2)], [event_type(1), event_type(2)], [linked(1), linked(2)])
        plan = desk.plan()
        del desk.services.rows["1"]
        del desk.calcom.types[2]
        told = {r.service_id: r.message for r in desk.apply(plan).results}
        assert "was deleted" in told["1"]
        assert "has vanished" in told["2"]

    def test_a_slug_that_somebody_took_since_is_no_reason_for_a_twin(self):
        desk = Desk([service(1)])
        plan = desk.plan()
        desk.calcom.stranger(ME, slug="service-1", title="Theirs")
        assert outcomes({r.service_id: r for r in desk.apply(plan).results}) == {"1": "stale"}
        assert outcomes(desk.sync()) == {"1": "done"}
        assert len(desk.calcom.types) == 1

    def test_a_pull_does_not_overwrite_a_service_that_was_edited_since(self):
        desk = Desk([service(1)], [event_type(1, title="Theirs")], [linked(1)])
        plan = desk.plan()
        desk.services.edit("1", duration_minutes=50)
        assert [r.outcome for r in desk.apply(plan).results] == ["stale"]
        assert desk.services.rows["1"].name == "Service 1"


class TestEcho:
    def test_a_pulled_change_is_not_pushed_back(self):
        desk = Desk([service(1)], [event_type(1, title="Theirs")], [linked(1)])
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.rows["1"].name == "Theirs"
        assert desk.plan().actions == ()
        assert desk.calcom.patched == []

    def test_a_push_and_a_pull_of_one_service_are_one_call(self):
        desk = Desk([service(1, name="Ours")], [event_type(1, duration_minutes=45)], [linked(1)])
        result = desk.sync()["1"]
        assert desk.calcom.patched == [(1, {"title": "Ours"})]
        assert desk.services.rows["1"].duration_minutes == 45
        assert result.before == {"remote": {"title": "Service 1"}, "local": {"duration_minutes": 30}}
        assert desk.plan().actions == ()

    def test_a_push_that_worked_is_told_with_its_inverse_although_its_pull_came_too_late(self):
        desk = Desk([service(1, name="Ours")], [event_type(1, duration_minutes=45)], [linked(1)])
        desk.services.pull = lambda *_, **__: False  # type: ignore[method-assign]
        result = desk.sync()["1"]
        assert (result.outcome, result.before) == ("done", {"remote": {"title": "Service 1"}})
        assert "duration_minutes left for the next plan" in result.message
        assert [a.kind for a in desk.plan().actions] == ["pull"]


class TestFailures:
    def test_fields_that_cal_com_ignores_are_told_and_never_called_synced(self):
        desk = Desk([service(1, name="New", duration_minutes=45)], [event_type(1)], [linked(1)])
        desk.calcom.ignores = frozenset({"title"})
        result = desk.sync()["1"]
        assert (result.outcome, result.message) == ("failed", "Cal.com accepted but ignored: title")
        link = desk.services.stored["1"]
        assert link.base["duration_minutes"] == 45
        assert link.base["title"] == "Service 1"

    def test_what_is_ignored_again_and_again_is_parked_with_that_reason(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        desk.calcom.ignores = frozenset({"title"})
        for _ in range(5):
            desk.sync()
            desk.clock.advance(timedelta(hours=12))
        link = desk.services.stored["1"]
        assert (link.state, link.attempts, link.reason) == ("parked", 5, "Cal.com accepted but ignored: title")

    def test_the_distance_between_attempts_grows_and_the_fifth_failure_parks(self):
        desk = Desk([service(1)])
        desk.calcom.refuses = lambda fields: True
        waits = []
        for attempt in range(1, 6):
            assert outcomes(desk.sync()) == {"1": "failed"}
            link = desk.services.stored["1"]
            assert link.attempts == attempt
            assert desk.sync() == {}, "before its time it is not tried again"
            waits.append(link.next_attempt_at - desk.clock())
            desk.clock.advance(waits[-1])
        assert waits == sorted(waits)
        assert waits[0] == timedelta(minutes=1)
        assert desk.services.stored["1"].state == "parked"
        assert [a.kind for a in desk.plan().actions] == ["wait"]

    def test_an_edit_of_a_parked_service_is_tried_at_once(self):
        desk = Desk([service(1)])
        desk.calcom.refuses = lambda fields: fields["title"] == "Service 1"
        for _ in range(5):
            desk.sync()
            desk.clock.advance(timedelta(hours=12))
        desk.services.edit("1", name="Better")
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.stored["1"].attempts == 0

    @pytest.mark.parametrize(
        ("error", "kept"),
        [
            (TransientError("away", exchange=Exchange("update", in_doubt=True)), True),
            (OutcomeUnknown("?", key="k"), True),
            (TransientError("away before anything was sent"), False),
            (CircuitOpen("open", retry_after=60), False),
            (RateLimited("wait", retry_after=60), False),
            (Unauthorized("may not write"), False),
        ],
        ids=["away", "unknown", "unreached", "circuit", "limited", "key"],
    )
    def test_an_outage_parks_nothing_and_only_doubt_keeps_the_intent(self, error, kept):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])

        def away(*_: object) -> Written:
            raise error

        desk.calcom.update_event_type = away  # type: ignore[method-assign]
        for _ in range(7):
            desk.sync()
            desk.clock.advance(timedelta(hours=12))
        link = desk.services.stored["1"]
        assert (link.state, link.attempts) == ("linked", 0)
        assert (link.intent is not None) == kept

    def test_a_create_whose_end_could_not_be_stored_is_found_again_and_not_repeated(self):
        desk = Desk([service(1)])
        finish, calls = desk.services.finish, []

        def breaks(*args) -> None:
            calls.append(args)
            if len(calls) == 1:
                raise StoreError("away for a moment")
            finish(*args)

        desk.services.finish = breaks  # type: ignore[method-assign]
        assert outcomes(desk.sync()) == {"1": "failed"}
        assert desk.services.stored["1"].intent is not None
        desk.clock.advance(timedelta(hours=12))
        desk.sync()
        assert len(desk.calcom.types) == 1
        assert desk.services.stored["1"].event_type_id == desk.calcom.created[0]

    def test_a_create_that_was_never_sent_lays_no_claim_to_what_appears_later(self):
        desk = Desk([service(1)])

        def closed(*_: object, **__: object) -> Written:
            raise CircuitOpen("open", retry_after=60)

        desk.calcom.create_event_type = closed  # type: ignore[method-assign]
        desk.sync()
        assert desk.services.stored["1"].intent is None

    def test_a_gone_event_type_is_proven_gone_and_parked(self):
        desk = Desk([service(1), service(2)], [event_type(2)], [linked(1), linked(2)])
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.stored["1"].state == "parked"
        assert len(desk.calcom.types) == 1, "it is never created again by itself"

    def test_a_key_that_lost_its_rights_proves_nothing(self):
        """Then every type answers 404, the missing one and those that are still listed."""
        desk = Desk([service(1), service(2)], [event_type(2)], [linked(1), linked(2)])
        desk.calcom.lost_scope = True
        result = desk.sync()["1"]
        assert (result.outcome, result.message) == (
            "stale",
            "not proven gone: event type 2 is listed and cannot be read either",
        )
        assert desk.services.stored["1"].state == "linked"

    def test_a_team_s_event_type_is_looked_for_by_the_team_s_route(self):
        team = [service(n, team_id=301) for n in (1, 2)]
        links = [linked(n, owner=TEAM) for n in (1, 2)]
        desk = Desk(team, [event_type(2, owner=TEAM)], links, teams=[SUPPORT])
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.stored["1"].state == "parked"

    def test_where_no_sibling_is_left_the_key_still_has_to_be_its_owner_s(self):
        desk = Desk([service(1)], [], [linked(1)])
        assert [r.outcome for r in desk.apply(desk.plan(), approved=True).results] == ["done"]
        other = Desk([service(1)], [], [linked(1)])
        plan = other.plan()
        other.calcom.me = lambda: Profile(999, "somebody", "UTC")  # type: ignore[method-assign]
        assert [r.outcome for r in other.apply(plan, approved=True).results] == ["stale"]

    def test_one_that_is_missing_from_the_listing_but_can_be_read_is_not_parked(self):
        desk = Desk([service(1), service(2)], [event_type(2), event_type(1)], [linked(1), linked(2)])
        desk.calcom.half_listing = True
        plan = desk.plan()
        (result,) = desk.apply(plan).results
        assert (result.kind, result.outcome) == ("park", "stale")


class TestBrakes:
    def test_a_large_share_of_hides_waits_until_the_plan_is_applied_by_name(self):
        services = [service(n, is_active=n > 6) for n in range(1, 21)]
        desk = Desk(services, [event_type(n) for n in range(1, 21)], [linked(n) for n in range(1, 21)])
        plan = desk.plan()
        held = desk.apply(plan)
        assert held.counts == {"held": 6}
        assert plan.id in held.results[0].message
        assert desk.calcom.patched == []
        desk.apply(desk.plan(), approved=True)
        assert len(desk.calcom.patched) == 6

    def test_what_was_held_is_done_by_the_name_of_the_same_plan_and_nothing_is_done_twice(self):
        services = [service(n, is_active=n > 6) for n in range(1, 20)] + [service(20, name="New")]
        desk = Desk(services, [event_type(n) for n in range(1, 21)], [linked(n) for n in range(1, 21)])
        plan = desk.plan()
        assert desk.apply(plan).counts == {"held": 6, "done": 1}
        kept = desk.plans.plans[plan.id]
        assert desk.apply(kept, approved=True).counts == {"done": 6}
        assert len(desk.calcom.patched) == 7
        assert desk.plans.plans[plan.id].state == "applied"

    def test_values_that_are_pulled_beside_a_push_are_braked_like_any_other_pull(self):
        numbers = range(1, 7)
        desk = Desk(
            [service(n, name=f"Ours {n}") for n in numbers],
            [event_type(n, duration_minutes=45) for n in numbers],
            [linked(n) for n in numbers],
        )
        plan = desk.plan()
        assert {a.kind for a in plan.actions} == {"push"}
        assert "6 of 6 linked services" in plan.held["pull"]
        assert desk.apply(plan).counts == {"held": 6}
        assert (desk.calcom.patched, desk.services.pulled) == ([], [])
        assert desk.apply(desk.plan(), approved=True).counts == {"done": 6}

    def test_links_that_stand_for_nothing_at_cal_com_do_not_loosen_the_brakes(self):
        numbers = range(1, 21)
        gone = [linked(n, event_type_id=None, state="retired") for n in range(100, 200)]
        desk = Desk(
            [service(n, is_active=n > 6) for n in numbers],
            [event_type(n) for n in numbers],
            [*(linked(n) for n in numbers), *gone],
        )
        assert "6 of 20 linked services" in desk.plan().held["hide"]

    def test_an_empty_listing_stops_everything_destructive_with_a_clear_reason(self):
        desk = Desk([service(n) for n in range(1, 4)], [], [linked(n) for n in range(1, 4)])
        plan = desk.plan()
        assert "lists no event type of user:101 any more" in plan.held["park"]
        assert desk.apply(plan).counts == {"held": 3}

    def test_a_half_listing_stops_everything_destructive(self):
        numbers = range(1, 5)
        desk = Desk([service(n) for n in numbers], [event_type(n) for n in (1, 2)], [linked(n) for n in numbers])
        plan = desk.plan(user_101=100)
        assert "lists 2 event types of user:101, where there were 100" in plan.held["park"]

    def test_a_key_that_lost_a_team_does_nothing_to_its_services(self):
        desk = Desk([service(1, team_id=301)], [], [linked(1, owner=TEAM)], teams=[])
        assert desk.sync() == {}
        assert desk.services.stored["1"].state == "linked"

    def test_onboarding_a_new_account_is_not_braked(self):
        desk = Desk([service(n) for n in range(60)])
        assert Counter(outcomes(desk.sync()).values()) == {"done": 60}


class TestPlans:
    def test_a_plan_is_applied_once_within_its_life_and_only_as_it_was_reviewed(self):
        desk = Desk([service(1)])
        plan = desk.plan()
        with pytest.raises(PlanUnusable, match="not what its hash says"):
            desk.apply(replace(plan, actions=(replace(plan.actions[0], reason="forged"),)))
        desk.apply(plan)
        with pytest.raises(PlanUnusable, match="is applied"):
            desk.apply(desk.plans.plans[plan.id])
        late = desk.plan()
        desk.services.edit("1", name="x")
        late = desk.plan()
        desk.clock.advance(timedelta(hours=2))
        with pytest.raises(PlanUnusable, match="has expired"):
            desk.apply(late)

    def test_event_types_become_services_only_by_name(self):
        rules = replace(RULES, propose_imports=True)
        desk = Desk([], [event_type(1), event_type(2, owner=TEAM)], teams=[SUPPORT])
        assert desk.apply(desk.plan(rules)).counts == {"held": 2}
        assert desk.services.rows == {}
        assert desk.apply(desk.plan(rules), approved=True).counts == {"done": 2}
        assert {(s.slug, s.team_id) for s in desk.services.rows.values()} == {("service-1", None), ("service-2", 301)}
        assert desk.plan(rules).actions == ()

    def test_an_import_that_failed_leaves_no_link_that_would_hide_the_event_type(self):
        """The link had no service, so the next plan took its service for deleted and hid a stranger's event type."""
        rules = replace(RULES, propose_imports=True)
        desk = Desk([], [event_type(1)])

        def refuses(*_: object) -> None:
            raise StoreError("takes no rows")

        desk.services.add = refuses  # type: ignore[method-assign]
        assert desk.apply(desk.plan(rules), approved=True).counts == {"failed": 1}
        assert desk.services.links() == []
        assert [a.kind for a in desk.plan(rules).actions] == ["import"]

    def test_a_team_s_new_event_type_is_told_who_hosts_it(self):
        desk = Desk([service(1, team_id=301)], teams=[SUPPORT])
        assert outcomes(desk.sync()) == {"1": "done"}
        (made,) = desk.calcom.types.values()
        assert (made.scheduling_type, made.assign_all_team_members) == ("roundRobin", True)

    def test_the_gap_between_a_batchs_listing_and_its_writes_is_reported(self):
        desk = Desk([service(1)])

        class Slow(FakeCalcom):
            def create_event_type(self, *args, **kwargs) -> Written:
                desk.clock.advance(timedelta(seconds=7))
                return super().create_event_type(*args, **kwargs)

        desk.calcom = Slow()
        assert desk.apply(desk.plan()).gap_seconds == 7
