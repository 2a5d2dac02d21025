"""The planner's rules as tables: what is decided for one service, given both sides and the link."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.fields import FIELD_NAMES, local_values, remote_values, service_columns
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action, Plan
from calcom_pipeline.domain.services.problems import problems_of
from calcom_pipeline.domain.services.reconcile import Situation, decide, plan_services
from tests.support.reconciling import ME, TEAM, event_type, linked, service

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def plan(services: list[Service], types: list[EventType], links: list[Link] = [], **changes: object) -> Plan:  # noqa: B006
    listed = frozenset({ME, TEAM})
    situation = Situation(me=ME, services=services, event_types=types, listed=listed, links=links, now=NOW)
    return plan_services(replace(situation, **changes))


def only(made: Plan) -> Action:
    (action,) = made.actions
    return action


@pytest.mark.parametrize(
    ("local", "remote", "base", "owner", "verdict"),
    [
        ("a", "a", "a", None, "agree"),
        ("b", "b", "a", None, "agree"),
        ("b", "a", "a", None, "push"),
        ("a", "b", "a", None, "pull"),
        ("b", "c", "a", None, "conflict"),
        ("b", "c", "a", "local", "push"),
        ("b", "c", "a", "remote", "pull"),
        ("b", "a", "a", "remote", "push"),
        ("a", "b", "a", "local", "pull"),
    ],
)
def test_only_the_side_that_moved_is_followed(local, remote, base, owner, verdict):
    assert decide(local=local, remote=remote, base=base, owner=owner)[0] == verdict


def test_an_unchanged_account_gives_an_empty_plan():
    made = plan([service(1), service(2)], [event_type(1), event_type(2)], [linked(1), linked(2)])
    assert made == Plan((), (), 2)
    assert made.is_empty


def test_a_service_without_event_type_is_created_with_everything_it_manages():
    action = only(plan([service(1, description="x")], []))
    assert (action.kind, action.owner) == ("create", ME)
    assert action.values("push") == local_values(service(1, description="x"))


def test_an_inactive_service_without_event_type_needs_none():
    assert plan([service(1, is_active=False)], []).is_empty


def test_a_team_service_becomes_a_team_event_type():
    assert only(plan([service(1, team_id=301)], [])).owner == TEAM


@pytest.mark.parametrize(
    ("local", "remote", "kind", "wanted"),
    [
        ({"name": "New"}, {}, "push", {"title": "New"}),
        ({"duration_minutes": 45, "slug": "n"}, {}, "push", {"duration_minutes": 45, "slug": "n"}),
        ({"is_active": False}, {}, "hide", {"hidden": True}),
        ({"is_active": False, "name": "New"}, {}, "hide", {"hidden": True, "title": "New"}),
        ({}, {"title": "Theirs"}, "pull", {"title": "Theirs"}),
        ({}, {"hidden": True}, "pull", {"hidden": True}),
        ({"name": "New"}, {"duration_minutes": 45}, "push", {"title": "New"}),
        ({"name": "New"}, {"title": "Theirs"}, "conflict", {}),
    ],
)
def test_an_edit_on_one_side_is_carried_to_the_other(local, remote, kind, wanted):
    action = only(plan([service(1, **local)], [event_type(1, **remote)], [linked(1)]))
    assert action.kind == kind
    assert action.values("pull" if kind == "pull" else "push") == wanted


def test_an_activated_service_is_shown_again():
    base = {**remote_values(event_type(1)), "hidden": True}
    action = only(plan([service(1)], [event_type(1, hidden=True)], [linked(1, base=base)]))
    assert (action.kind, action.values("push")) == ("show", {"hidden": False})


def test_both_sides_moving_to_the_same_value_agree_quietly():
    made = plan([service(1, name="Same")], [event_type(1, title="Same")], [linked(1)])
    assert made.is_empty
    assert made.settled[0].base["title"] == "Same"


def test_a_column_that_is_null_is_not_managed_and_its_later_value_is_an_edit():
    remote = event_type(1, description="theirs", minimum_notice_minutes=60)
    made = plan([service(1)], [remote], [linked(1)])
    assert made.is_empty
    (settled,) = made.settled
    action = only(plan([service(1, description="ours")], [remote], [settled]))
    assert action.values("push") == {"description": "ours"}


def test_white_space_and_line_ends_are_no_edit():
    local = service(1, name="  Service 1 ", slug="-service-1 ", description="a\r\nb\n")
    base = remote_values(event_type(1, description="a\nb"))
    assert plan([local], [event_type(1, description="a\nb ")], [linked(1, base=base)]) == Plan((), (), 1)


class TestAdoption:
    def test_a_strangers_event_type_of_the_same_slug_is_adopted_and_what_differs_is_a_conflict(self):
        made = only(plan([service(1, duration_minutes=60)], [event_type(1)]))
        assert made.kind == "adopt"
        assert {d.field for d in made.fields if d.verdict == "conflict"} == {"duration_minutes"}

    def test_not_even_an_owner_lets_a_strangers_value_be_overwritten(self):
        made = only(
            plan([service(1, duration_minutes=60)], [event_type(1)], field_owners={"duration_minutes": "local"})
        )
        assert made.values("push") == {}

    def test_slugs_are_matched_within_their_owner(self):
        assert only(plan([service(1)], [event_type(1, owner=TEAM)])).kind == "create"

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"scheduling_type": "managed", "owner": TEAM}, "managed_parent"),
            ({"parent_id": 10}, "managed_child"),
        ],
    )
    def test_managed_event_types_are_refused_with_the_reason(self, fields, reason):
        team_id = 301 if "owner" in fields else None
        action = only(plan([service(1, team_id=team_id)], [event_type(1, **fields)]))
        assert (action.kind, action.reason.code) == ("refuse", reason)

    def test_a_second_service_on_the_same_event_type_is_read_only(self):
        second = service("b", slug="service-1", team_id=None)
        made = plan([service(1), second], [event_type(1)], [linked(1)])
        action = only(made)
        assert (action.service_id, action.kind) == ("b", "refuse")
        assert (action.reason.code, action.reason.params["service"]) == ("slug_taken", "1")


class TestRefusals:
    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"name": None}, "name_missing"),
            ({"name": "  "}, "name_missing"),
            ({"name": "x" * 256}, "name_too_long"),
            ({"slug": None}, "slug_missing"),
            ({"slug": " -._ "}, "slug_missing"),
            ({"slug": "mas sage"}, "slug_characters"),
            ({"slug": "caf\u00e9"}, "slug_characters"),
            ({"duration_minutes": 0}, "duration_out_of_range"),
            ({"duration_minutes": None}, "duration_out_of_range"),
            ({"duration_minutes": 100_000}, "duration_out_of_range"),
            ({"price_minor": -1}, "price_negative"),
            ({"currency": "EURO"}, "currency_unknown"),
            ({"before_buffer_minutes": -5}, "before_buffer_negative"),
            ({"after_buffer_minutes": -5}, "after_buffer_negative"),
            ({"minimum_notice_minutes": -5}, "notice_negative"),
            ({"team_id": 999}, "owner_unreadable"),
        ],
    )
    def test_a_bad_service_is_refused_with_its_reason_and_the_others_go_on(self, columns, reason):
        made = plan([service(1, **columns), service(2)], [])
        refused, created = made.actions
        assert (refused.kind, created.kind) == ("refuse", "create")
        assert refused.reason.code == reason

    def test_all_reasons_are_told_at_once(self):
        assert len(problems_of(service(1, name="", slug="", duration_minutes=-1, price_minor=-1))) == 4

    def test_two_services_of_one_slug_the_first_or_the_linked_one_has_it(self):
        one, other = service("a", slug="x"), service("b", slug="x")
        assert [a.kind for a in plan([one, other], []).actions] == ["create", "refuse"]
        link = Link("b", ME, 1, remote_values(event_type(1, slug="x", title="Service b")))
        made = plan([one, other], [event_type(1, slug="x", title="Service b")], [link])
        assert [(a.service_id, a.kind) for a in made.actions] == [("a", "refuse")]

    def test_a_slug_that_another_event_type_holds_is_not_pushed(self):
        made = plan([service(1, slug="theirs")], [event_type(1), event_type(9, slug="theirs")], [linked(1)])
        assert "taken by event type 9" in only(made).reason

    def test_an_event_type_cannot_move_to_another_owner(self):
        assert "cannot move" in only(plan([service(1, team_id=301)], [event_type(1)], [linked(1)])).reason


class TestLostSides:
    def test_a_missing_event_type_is_parked_never_created_again(self):
        assert only(plan([service(1)], [], [linked(1)])).kind == "park"

    def test_an_event_type_of_an_owner_that_was_not_listed_is_left_alone(self):
        made = plan([service(1)], [], [linked(1)], listed=frozenset({TEAM}))
        assert made.is_empty

    def test_a_deleted_service_hides_its_event_type_and_then_retires(self):
        action = only(plan([], [event_type(1)], [linked(1)]))
        assert (action.kind, action.values("push")) == ("hide", {"hidden": True})
        made = plan([], [event_type(1, hidden=True)], [linked(1)])
        assert made.is_empty
        assert made.settled[0].state == "retired"

    def test_nothing_is_concluded_about_a_deleted_service_whose_owner_was_not_listed(self):
        assert plan([], [], [linked(1)], listed=frozenset({TEAM})) == Plan((), (), 0)

    def test_a_deleted_service_whose_event_type_is_missing_is_parked_after_it_was_proven_gone(self):
        action = only(plan([], [], [linked(1)]))
        assert (action.kind, action.event_type_id) == ("park", 1)

    def test_an_event_type_is_hidden_even_if_its_deleted_service_had_been_parked(self):
        parked = linked(1, state="parked", reason=Reason.stored("no"), failed_version="1")
        assert only(plan([], [event_type(1)], [parked])).kind == "hide"

    def test_a_hide_that_failed_is_tried_again_when_its_time_has_come(self):
        failed = linked(1, attempts=2, next_attempt_at=LATER, reason=Reason.stored("no"), failed_version="")
        assert only(plan([], [event_type(1)], [failed])).kind == "wait"
        assert only(plan([], [event_type(1)], [failed], now=LATER)).kind == "hide"

    def test_what_a_create_made_before_its_service_was_deleted_is_found_and_hidden(self):
        begun = Link("1", ME, state="creating", intent=Intent("create", local_values(service(1)), NOW, above_id=6))
        made = plan([], [event_type(7, slug="service-1", title="Service 1")], [begun])
        assert [(a.kind, a.event_type_id) for a in made.actions] == [("hide", 7)]
        assert plan([], [], [begun]).is_empty

    def test_a_service_that_was_deleted_and_made_anew_takes_the_event_type_over(self):
        anew = service("b", name="New", slug="service-1")
        made = plan([anew], [event_type(1, duration_minutes=45)], [linked(1)])
        action = only(made)
        assert (action.service_id, action.kind, action.values("push")) == ("b", "push", {"title": "New"})
        assert action.values("pull") == {"duration_minutes": 45}
        assert [(s.service_id, s.event_type_id, s.state) for s in made.settled] == [
            ("1", None, "retired"),
            ("b", 1, "linked"),
        ]

    def test_an_event_type_hidden_for_a_deleted_service_is_shown_again_for_the_one_made_anew(self):
        hidden = event_type(1, hidden=True)
        retired = linked(1, state="retired", base=remote_values(hidden))
        action = only(plan([service("b", name="Service 1", slug="service-1")], [hidden], [retired]))
        assert (action.kind, action.values("push")) == ("show", {"hidden": False})

    def test_a_parked_link_waits_until_its_service_is_edited(self):
        parked = linked(1, state="parked", reason=Reason.stored("no"), failed_version="1")
        assert only(plan([service(1, name="x")], [event_type(1)], [parked])).kind == "wait"
        assert only(plan([service(1, name="x", version="2")], [event_type(1)], [parked])).kind == "push"

    def test_a_failure_is_tried_again_when_its_time_has_come(self):
        failed = linked(1, attempts=2, next_attempt_at=LATER, reason=Reason.stored("no"), failed_version="1")
        waiting = only(plan([service(1, name="x")], [event_type(1)], [failed]))
        assert waiting.kind == "wait"
        assert "attempt 3" in waiting.reason
        assert only(plan([service(1, name="x")], [event_type(1)], [failed], now=LATER)).kind == "push"


class TestIntents:
    """A crash between "about to write" and "written" leaves an intent; it is settled before anything else."""

    intent = Intent("create", local_values(service(1)), NOW - timedelta(minutes=5), above_id=6)
    begun = Link("1", ME, state="creating", intent=intent)

    def test_a_newer_event_type_with_the_sent_slug_is_ours(self):
        made = plan([service(1)], [event_type(7, slug="service-1", title="Service 1")], [self.begun])
        assert made.is_empty
        assert (made.settled[0].event_type_id, made.settled[0].intent) == (7, None)

    def test_an_older_one_is_a_strangers(self):
        older = event_type(5, slug="service-1", title="Theirs")
        assert only(plan([service(1)], [older], [self.begun])).kind == "adopt"

    def test_ours_that_was_renamed_meanwhile_is_still_ours(self):
        renamed = event_type(7, slug="renamed", title="Service 1")
        action = only(plan([service(1)], [renamed], [self.begun]))
        assert action.event_type_id == 7
        assert action.kind != "create"

    def test_ours_that_was_renamed_is_not_mistaken_for_a_stranger_s_that_got_its_slug(self):
        """The stranger's was adopted as ours, and ours was left behind, a twin that nobody knew of."""
        renamed, strangers = (
            event_type(7, slug="renamed", title="Service 1"),
            event_type(8, slug="service-1", title="X"),
        )
        assert only(plan([service(1)], [renamed, strangers], [self.begun])).kind == "conflict"
        edited = event_type(7, slug="service-1", title="Edited since")
        made = plan([service(1)], [edited, event_type(8, slug="y", title="Y")], [self.begun])
        assert only(made).event_type_id == 7

    def test_ours_of_which_everything_was_edited_is_not_mistaken_for_a_younger_one_that_got_its_slug(self):
        edited, strangers = event_type(7, slug="one", title="Alpha"), event_type(8, slug="service-1", title="X")
        told = only(plan([service(1)], [strangers, edited], [self.begun]))
        assert (told.kind, told.event_type_id) == ("conflict", None)
        assert "event types 7, 8" in told.reason or "event types 8, 7" in told.reason

    def test_what_may_have_been_made_for_one_service_is_neither_adopted_for_another_nor_imported(self):
        """Another service that wanted its slug took it, and the first one took a stranger's in its place."""
        renamed = event_type(7, slug="two", title="Service 1")
        strangers = event_type(8, slug="service-1", title="X")
        another = service(0, slug="two")
        told = plan([another, service(1)], [renamed, strangers], [self.begun], propose_imports=True)
        assert [(a.service_id, a.kind) for a in told.actions] == [("1", "conflict"), ("0", "wait")]
        assert "for service 1" in told.actions[1].reason

    def test_what_turned_out_to_be_one_service_s_is_refused_to_another(self):
        renamed, another = event_type(7, slug="two", title="Service 1"), service(0, slug="two")
        told = plan([another, service(1)], [renamed], [self.begun])
        assert told.settled[0].event_type_id == 7
        assert {a.service_id: a.kind for a in told.actions}["0"] == "refuse"

    def test_when_nobody_can_tell_whose_it_is_nothing_is_created(self):
        strange = [event_type(7, slug="x", title="X"), event_type(8, slug="y", title="Y")]
        assert only(plan([service(1)], strange, [self.begun])).kind == "conflict"

    def test_nothing_there_after_the_grace_means_it_never_happened(self):
        assert only(plan([service(1)], [], [self.begun])).kind == "create"
        fresh = replace(self.begun, intent=replace(self.intent, at=NOW))
        assert only(plan([service(1)], [], [fresh])).kind == "wait"

    def test_a_finished_update_is_the_new_base(self):
        intent = Intent("update", {"title": "New"}, NOW)
        made = plan([service(1, name="New")], [event_type(1, title="New")], [linked(1, intent=intent)])
        assert made.is_empty
        assert made.settled[0].base["title"] == "New"

    def test_an_edit_after_the_finished_update_is_pulled_not_overwritten(self):
        intent = Intent("update", {"title": "New", "duration_minutes": 45}, NOW)
        remote = event_type(1, title="New", duration_minutes=50)
        action = only(plan([service(1, name="New", duration_minutes=45)], [remote], [linked(1, intent=intent)]))
        assert action.kind in ("conflict", "pull")
        assert action.values("push") == {}

    def test_an_update_that_never_happened_is_planned_again(self):
        intent = Intent("update", {"title": "New"}, NOW)
        action = only(plan([service(1, name="New")], [event_type(1)], [linked(1, intent=intent)]))
        assert (action.kind, action.values("push")) == ("push", {"title": "New"})


class TestImports:
    def test_event_types_without_a_service_are_left_alone_unless_asked_for(self):
        assert plan([], [event_type(1)]).is_empty
        made = plan([], [event_type(1), event_type(2, parent_id=9)], propose_imports=True)
        assert [(a.kind, a.event_type_id) for a in made.actions] == [("import", 1)]


def test_price_is_a_note_and_never_part_of_a_plan():
    action = only(plan([service(1, price_minor=500, name="x")], [event_type(1)], [linked(1)]))
    assert set(action.values("push")) == {"title"}
    assert "price is kept here only" in action.notes[0]
    assert plan([service(1, price_minor=500)], [event_type(1)], [linked(1)]).is_empty


def test_every_field_has_a_column_and_reads_the_same_from_both_sides():
    full = service(1, description="", before_buffer_minutes=0, after_buffer_minutes=0, minimum_notice_minutes=120)
    assert set(local_values(full)) == set(remote_values(event_type(1))) == set(FIELD_NAMES)
    assert local_values(full) == remote_values(event_type(1))
    assert service_columns({"hidden": True, "title": "x"}) == {"is_active": False, "name": "x"}


def test_the_plan_does_not_depend_on_the_order_of_the_listing():
    services = [service(n, name=f"x{n}") for n in range(20)]
    types = [event_type(n) for n in range(1, 15)]
    links = [linked(n) for n in range(1, 10)]
    assert plan(services, types, links) == plan(services, types[::-1], links[::-1])


def test_owners_are_written_and_read_as_text():
    assert Owner.parse(str(TEAM)) == TEAM
    with pytest.raises(ValueError, match="is no owner"):
        Owner.parse("nobody:1")
