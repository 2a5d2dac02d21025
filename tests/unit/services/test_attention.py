"""What is wrong with services now, over stateful fakes: which trouble, in what order, and what to do about it."""

from datetime import timedelta

import pytest

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.attention import ServicesNow, services_now
from calcom_pipeline.app.services.choices import SyncChoice, SyncRules, sync_chosen
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.app.services.sync import LatestApplied
from calcom_pipeline.domain.errors import InvalidInput, PlanUnusable, TransientError
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.attention import ServiceTrouble
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.plans import Brakes
from tests.support.reconciling import ME, FakeCalcom, FakeClock, FakePlans, FakeServices, event_type, linked, service

RULES = PlanRules(brakes=Brakes(10, 3), lifetime=timedelta(hours=1))
TEAMS = TeamChoice()


class Office:
    """One account with both sides, and somebody who looks, retries and decides."""

    def __init__(self, services=(), types=(), links=()) -> None:
        self.calcom, self.services = FakeCalcom(types), FakeServices(services)
        self.services.stored = {link.service_id: link for link in links}
        self.plans, self.clock = FakePlans(), FakeClock()

    def look(self) -> ServicesNow:
        return services_now(self.calcom, self.services, self.plans, TEAMS, rules=RULES, now=self.clock)

    def plan(self) -> str:
        return make_plan(
            self.calcom, self.services, self.plans, PlanRequest("test", TEAMS), rules=RULES, now=self.clock
        )[0].id

    def sync(self, *services: str, may_write: bool = True, **choice) -> LatestApplied:
        return sync_chosen(
            self.calcom,
            self.services,
            self.plans,
            SyncChoice(services, **choice),
            PlanRequest("test", TEAMS),
            rules=SyncRules(RULES, ApplyRules(), may_write),
            now=self.clock,
        )

    def fail(self, times: int) -> None:
        """Plan and apply as often, each time when the next attempt is due."""
        for _ in range(times):
            self.plan()
            self.sync()
            self.clock.advance(timedelta(hours=7))


def five_to_hide() -> Office:
    """More than the brakes let pass."""
    numbers = range(1, 6)
    services = [service(n, is_active=False) for n in numbers]
    return Office(services, [event_type(n) for n in numbers], [linked(n) for n in numbers])


def kinds(now: ServicesNow) -> dict[str, str]:
    return {trouble.service_id: trouble.kind for trouble in now.troubles}


def poisoned(times: int) -> Office:
    """Service 1 is refused by Cal.com whenever it is written; service 2 is fine."""
    office = Office([service(1), service(2)])
    office.calcom.refuses = lambda fields: fields.get("slug") == "service-1"
    office.fail(times)
    return office


class TestWhatIsWrong:
    def test_nothing_while_both_sides_agree(self):
        now = Office([service(1)], [event_type(1)], [linked(1)]).look()
        assert (now.troubles, now.left, now.held, now.services) == ((), (), {}, 1)

    def test_a_service_that_failed_is_named_with_its_reason_and_its_next_attempt_before_and_when_it_is_due(self):
        office = poisoned(1)
        (due,) = office.look().troubles
        assert (due.service_id, due.kind, due.attempts) == ("1", "failed", 1)
        assert due.reason == "Cal.com does not like it"
        office.clock.advance(timedelta(hours=-7))
        (waiting,) = office.look().troubles
        assert waiting == due
        assert waiting.next_attempt_at == office.clock() + timedelta(seconds=60)

    def test_after_the_fifth_failure_it_is_parked_and_nobody_tries_it(self):
        (trouble,) = poisoned(5).look().troubles
        assert (trouble.kind, trouble.attempts, trouble.next_attempt_at) == ("parked", 5, None)
        assert trouble.remedy.command("1") == "calcom-pipeline resolve --retry 1"

    def test_each_kind_of_trouble_is_found_the_worst_first(self):
        office = Office(
            [service(1), service(2, name="Ours"), service(3, duration_minutes=0)],
            [event_type(1, title="Service 1"), event_type(2, title="Theirs")],
            [linked(1, state="parked", reason=Reason("gone"), failed_version="1"), linked(2)],
        )
        assert kinds(office.look()) == {"1": "parked", "2": "conflict", "3": "refused"}
        assert list(kinds(office.look())) == ["1", "2", "3"]

    def test_a_conflict_shows_both_values(self):
        office = Office([service(2, name="Ours")], [event_type(2, title="Theirs")], [linked(2)])
        (trouble,) = office.look().troubles
        assert [(d.field, d.local, d.remote) for d in trouble.fields] == [("title", "Ours", "Theirs")]

    def test_a_create_whose_answer_may_still_come_is_nobodys_business_yet(self):
        link = Link("1", ME, None, intent=Intent("create", {}, FakeClock()()), state="creating")
        office = Office([service(1)], [], [link])
        assert office.look().troubles == ()
        office.clock.advance(RULES.create_grace)
        assert [action.kind for action in office.look().left] == ["create"]

    def test_what_brakes_hold_is_named_apart(self):
        office = five_to_hide()
        plan_id = office.plan()
        now = office.look()
        assert len(now.held_actions()) == 5
        assert {why.code for _, why in now.held_actions()} == {"brake_hide"}
        assert now.plan_id == plan_id
        assert now.troubles == ()

    def test_while_cal_com_is_away_failures_are_told_as_of_the_last_plan(self):
        office = poisoned(5)
        office.services.rows["3"] = service(3, duration_minutes=0)
        office.plan()

        def away() -> None:
            raise TransientError("no answer")

        office.calcom.me = away  # type: ignore[assignment]
        now = office.look()
        assert now.unread == "no answer"
        assert kinds(now) == {"1": "parked", "3": "refused"}

    def test_a_look_writes_nothing(self):
        office = poisoned(2)
        before = (dict(office.services.stored), dict(office.plans.plans), office.calcom.created[:])
        office.look()
        assert (office.services.stored, office.plans.plans, office.calcom.created) == before


@pytest.mark.parametrize(
    ("kind", "code", "remedy", "command"),
    [
        ("failed", "rejected", "retry", "calcom-pipeline resolve --retry 'a b'"),
        ("parked", "gone", "retry", "calcom-pipeline resolve --retry 'a b'"),
        ("conflict", "fields_differ", "decide", "calcom-pipeline resolve --take local 'a b'"),
        ("conflict", "create_ambiguous", "retry", "calcom-pipeline resolve --retry 'a b'"),
        ("refused", "slug_taken", "correct", "calcom-pipeline explain 'a b'"),
        ("waiting", "owner_not_read", "wait", "calcom-pipeline explain 'a b'"),
    ],
)
def test_what_to_do_follows_from_the_kind_and_the_code(kind, code, remedy, command):
    trouble = ServiceTrouble("a b", kind, Reason.stored("why", code))
    assert (trouble.remedy.kind, trouble.remedy.command("a b")) == (remedy, command)
    assert trouble.remedy.sentence


class TestChoices:
    def test_a_parked_service_is_retried_alone_and_at_once_after_its_cause_was_mended(self):
        office = poisoned(5)
        office.services.rows["3"] = service(3)
        office.calcom.refuses = lambda fields: False
        applied = office.sync("1", decision="retry")
        assert applied.report is not None
        assert [(r.service_id, r.outcome) for r in applied.report.results] == [("1", "done")]
        assert office.look().troubles == ()
        assert [action.service_id for action in office.look().left] == ["3"], "the others wait for the next plan"

    @pytest.mark.parametrize(("take", "title"), [("local", "Ours"), ("remote", "Theirs")])
    def test_a_conflict_is_resolved_for_the_side_that_is_taken(self, take, title):
        office = Office([service(2, name="Ours")], [event_type(2, title="Theirs")], [linked(2)])
        office.sync("2", decision=take)
        assert (office.services.rows["2"].name, office.calcom.types[2].title) == (title, title)
        assert office.look().troubles == ()

    def test_a_reviewed_plan_is_applied_by_its_name_with_what_it_holds_where_nothing_may_be_written_unasked(self):
        office = five_to_hide()
        plan_id = office.plan()
        applied = office.sync(may_write=False, plan_id=plan_id)
        assert applied.report is not None
        assert applied.report.counts == {"done": 5}
        assert all(found.hidden for found in office.calcom.types.values())

    def test_nothing_chosen_applies_the_newest_plan_and_only_where_that_is_allowed(self):
        office = Office([service(1)])
        office.plan()
        assert office.sync(may_write=False).report is None
        assert office.calcom.created == []
        assert office.sync().report is not None
        assert len(office.calcom.created) == 1

    def test_a_decision_is_kept_where_nothing_may_be_written_and_the_plan_waits(self):
        office = Office([service(2, name="Ours")], [event_type(2, title="Theirs")], [linked(2)])
        applied = office.sync("2", decision="local", may_write=False)
        assert applied.report is None
        assert applied.plan is not None
        assert office.calcom.patched == []
        assert [action.kind for action in office.look().left] == ["push"]

    @pytest.mark.parametrize("choice", [{"plan_id": "x", "services": ("1",)}, {"decision": "retry", "services": ()}])
    def test_choices_that_contradict_each_other_are_refused(self, choice):
        office = Office([service(1)])
        with pytest.raises(InvalidInput):
            office.sync(*choice.pop("services"), **choice)

    @pytest.mark.parametrize(
        ("services", "choice", "said"),
        [
            (("nobody",), {}, "There is no service nobody"),
            (("1",), {"decision": "retry"}, "Service 1 has no link"),
            (("1",), {"decision": "local"}, "has no event type that could be read"),
            ((), {"plan_id": "never"}, "There is no plan never"),
        ],
    )
    def test_what_is_not_there_is_named(self, services, choice, said):
        with pytest.raises(PlanUnusable, match=said):
            Office([service(1)]).sync(*services, **choice)
