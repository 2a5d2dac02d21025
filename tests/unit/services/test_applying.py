"""Applying a plan over stateful fakes: a result per service, checks before writes, retries, parking, brakes."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from calcom_pipeline.app.event_types.ports import Written
from calcom_pipeline.domain.errors import (
    PlanUnusable,
    StoreError,
)
from calcom_pipeline.domain.event_types.models import EventType
from tests.support.apply_desk import RULES, SUPPORT, Desk, outcomes
from tests.support.reconciling import (
    ME,
    TEAM,
    FakeCalcom,
    event_type,
    linked,
    service,
)


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
