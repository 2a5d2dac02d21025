"""What a person does about plans: undo, settle a conflict, try again, ask; each over stateful fakes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import apply_plan
from calcom_pipeline.app.services.conflicts import settle_conflict, try_again
from calcom_pipeline.app.services.explain import explain
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.app.services.ports import ActionResult
from calcom_pipeline.app.services.revert import Undone, undo
from calcom_pipeline.domain.errors import PlanUnusable
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.fields import remote_values
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.plans import Brakes
from tests.support.reconciling import ME, FakeCalcom, FakePlans, FakeServices, Fuse, event_type, linked, service

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
RULES = PlanRules(brakes=Brakes(100, 1000), lifetime=timedelta(hours=1), propose_imports=True)


class Desk:
    """One account with both sides."""

    def __init__(
        self, services: Sequence = (), types: Sequence = (), links: Sequence = (), fuse: Fuse | None = None
    ) -> None:
        self.calcom, self.services, self.plans = FakeCalcom(types), FakeServices(services, fuse=fuse), FakePlans()
        self.services.stored = {link.service_id: link for link in links}

    def sync(self) -> list[ActionResult]:
        plan, _ = make_plan(
            self.calcom, self.services, self.plans, PlanRequest("t", TeamChoice()), rules=RULES, now=lambda: NOW
        )
        report = apply_plan(
            plan, self.calcom, self.services, self.plans, rules=ApplyRules(), now=lambda: NOW, approved=True
        )
        return list(report.results)

    def undo(self, results: Sequence[ActionResult]) -> list[Undone]:
        return undo(self.services, results)


class TestUndo:
    def test_a_push_is_taken_back_on_both_sides(self):
        desk = Desk([service(1, name="New", duration_minutes=45)], [event_type(1)], [linked(1)])
        (undone,) = desk.undo(desk.sync())
        assert (undone.done, undone.message) == (True, "put back duration_minutes, title")
        assert [r.kind for r in desk.sync()] == ["push"]
        assert (desk.calcom.types[1].title, desk.calcom.types[1].duration_minutes) == ("Service 1", 30)

    def test_a_pull_is_taken_back_on_both_sides(self):
        desk = Desk([service(1)], [event_type(1, title="Theirs", hidden=True)], [linked(1)])
        (undone,) = desk.undo(desk.sync())
        assert undone.done
        assert (desk.services.rows["1"].name, desk.services.rows["1"].is_active) == ("Service 1", True)
        desk.sync()
        assert (desk.calcom.types[1].title, desk.calcom.types[1].hidden) == ("Service 1", False)

    def test_a_field_that_was_edited_since_is_left_alone(self):
        desk = Desk([service(1, name="New", duration_minutes=45)], [event_type(1)], [linked(1)])
        results = desk.sync()
        desk.services.edit("1", name="Newer")
        (undone,) = desk.undo(results)
        assert undone.message == "put back duration_minutes; edited since and left alone: title"
        assert desk.services.rows["1"].name == "Newer"

    def test_with_everything_edited_since_nothing_is_put_back(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        results = desk.sync()
        desk.services.edit("1", name="Newer")
        assert [(u.done, u.message) for u in desk.undo(results)] == [
            (False, "nothing put back; edited since and left alone: title")
        ]

    @pytest.mark.parametrize("types", [[event_type(1)], []], ids=["put back", "deactivated"])
    def test_an_edit_that_lands_while_it_is_undone_is_left_alone(self, types: list[EventType]):
        fuse = Fuse()
        desk = Desk([service(1, name="New")], types, [linked(1)] if types else [], fuse)
        results = desk.sync()
        fuse.anywhere = lambda: desk.services.edit("1", name="Newest", is_active=True)
        (undone,) = desk.undo(results)
        assert (undone.done, undone.message) == (False, "edited just now and left alone; try again")
        assert (desk.services.rows["1"].name, desk.services.rows["1"].is_active) == ("Newest", True)

    def test_a_created_event_type_is_hidden(self):
        desk = Desk([service(1)])
        (undone,) = desk.undo(desk.sync())
        assert undone.message == "deactivated, which hides its event type"
        assert [r.kind for r in desk.sync()] == ["hide"]

    def test_an_adopted_one_is_unlinked_and_stays_so_until_somebody_asks(self):
        """The next plan adopted the same event type again, so that the undoing was undone at once."""
        desk = Desk([service(1)], [event_type(1)])
        (undone,) = desk.undo(desk.sync())
        assert undone.done
        assert desk.sync() == []
        assert desk.services.stored["1"].event_type_id is None
        try_again(desk.services, "1")
        assert [r.kind for r in desk.sync()] == ["adopt"]

    def test_an_import_is_unlinked_and_its_service_stays(self):
        desk = Desk([], [event_type(1)])
        (undone,) = desk.undo(desk.sync())
        (made,) = desk.services.rows
        assert (undone.service_id, undone.done) == (made, True)
        assert desk.sync() == []
        assert desk.calcom.patched == []

    def test_what_is_linked_to_another_event_type_by_now_is_left_alone(self):
        desk = Desk([service(1)], [event_type(1)])
        results = desk.sync()
        desk.services.stored["1"] = linked(2, service_id="1")
        assert [u.done for u in desk.undo(results)] == [False]

    def test_a_parked_service_is_tried_again(self):
        desk = Desk([service(1), service(2)], [event_type(2)], [linked(1), linked(2)])
        results = desk.sync()
        assert desk.services.stored["1"].state == "parked"
        assert [u.message for u in desk.undo(results)] == ["no longer parked"]
        assert desk.services.stored["1"].state == "linked"

    def test_a_deleted_service_cannot_be_put_back(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        results = desk.sync()
        del desk.services.rows["1"]
        assert [(u.done, u.message) for u in desk.undo(results)] == [(False, "the service is gone")]

    def test_what_failed_is_not_undone(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        desk.calcom.refuses = lambda fields: True
        assert desk.undo(desk.sync()) == []

    def test_a_stored_value_that_no_field_has_is_refused(self):
        desk = Desk([service(1)], [event_type(1)], [linked(1)])
        strange = ActionResult(
            0, "done", "", "1", "push", 1, {"remote": {"title": [1]}}, {"remote": {"title": "Service 1"}}
        )
        with pytest.raises(PlanUnusable, match="of kind list"):
            desk.undo([strange])


class TestConflicts:
    def desk(self) -> Desk:
        return Desk(
            [service(1, name="Ours", duration_minutes=45)],
            [event_type(1, title="Theirs", duration_minutes=60)],
            [linked(1)],
        )

    @pytest.mark.parametrize(("take", "title", "minutes"), [("local", "Ours", 45), ("remote", "Theirs", 60)])
    def test_the_side_that_is_taken_is_followed_by_the_next_plan(self, take, title: str, minutes: int):
        desk = self.desk()
        assert desk.sync() == []
        decided = settle_conflict(desk.services, "1", desk.calcom.types[1], take=take)
        assert set(decided) == {"title", "duration_minutes"}
        desk.sync()
        assert (desk.calcom.types[1].title, desk.calcom.types[1].duration_minutes) == (title, minutes)
        assert (desk.services.rows["1"].name, desk.services.rows["1"].duration_minutes) == (title, minutes)

    def test_one_field_may_be_decided_alone(self):
        desk = self.desk()
        assert settle_conflict(desk.services, "1", desk.calcom.types[1], take="local", names=["title"]) == ["title"]
        desk.sync()
        assert (desk.calcom.types[1].title, desk.calcom.types[1].duration_minutes) == ("Ours", 60)

    def test_what_cannot_be_settled_is_said(self):
        desk = self.desk()
        with pytest.raises(PlanUnusable, match="no open field"):
            settle_conflict(desk.services, "1", desk.calcom.types[1], take="local", names=["slug"])
        with pytest.raises(PlanUnusable, match="has no link"):
            settle_conflict(desk.services, "7", desk.calcom.types[1], take="local")
        del desk.services.rows["1"]
        with pytest.raises(PlanUnusable, match="does not exist"):
            settle_conflict(desk.services, "1", desk.calcom.types[1], take="local")


class TestAsking:
    def test_a_service_is_explained_by_its_problems_its_link_and_what_differs(self):
        desk = Desk([service(1, name="New", price_minor=-1)], [event_type(1, title="Theirs")], [linked(1)])
        told = explain(desk.services, "1", desk.calcom.types[1])
        assert told.problems == ("its price of -1 is negative",)
        assert [(d.field, d.local, d.remote, d.base) for d in told.drift] == [("title", "New", "Theirs", "Service 1")]

    def test_a_value_both_sides_changed_alike_since_they_agreed_is_told_too(self):
        desk = Desk([service(1, name="Same")], [event_type(1, title="Same")], [linked(1)])
        assert [d.field for d in explain(desk.services, "1", desk.calcom.types[1]).drift] == ["title"]

    def test_one_without_an_event_type_has_everything_still_to_be_made(self):
        desk = Desk([service(1)])
        told = explain(desk.services, "1", None)
        assert told.link is None
        assert {d.field for d in told.drift} == {"title", "slug", "duration_minutes", "hidden"}

    def test_one_that_does_not_exist_is_said(self):
        with pytest.raises(PlanUnusable, match="does not exist"):
            explain(Desk().services, "1", None)

    def test_a_create_of_which_nobody_knows_is_given_up_when_a_person_says_so(self):
        begun = Intent("create", {"slug": "service-1", "title": "Service 1"}, NOW - timedelta(hours=1), above_id=3)
        link = Link("1", ME, state="creating", intent=begun)
        desk = Desk([service(1)], [event_type(4, slug="x"), event_type(5, slug="y")], [link])
        assert not [r for r in desk.sync() if r.service_id == "1"], "it may be either of them"
        try_again(desk.services, "1")
        assert [(r.kind, r.outcome) for r in desk.sync() if r.service_id == "1"] == [("create", "done")]

    def test_trying_again_forgets_every_failure(self):
        parked = linked(
            1, state="parked", attempts=5, next_attempt_at=NOW, reason=Reason.stored("no"), failed_version="1"
        )
        desk = Desk([service(1)], [event_type(1)], [parked])
        assert try_again(desk.services, "1") == linked(1)
        assert desk.services.stored["1"].base == remote_values(event_type(1))
        assert desk.services.stored["1"].owner == ME
