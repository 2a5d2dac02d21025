"""What a plan and its apply come to: the one line, and one group for what waits for one reason."""

from dataclasses import replace

import pytest

from calcom_pipeline.app.services.apply import ApplyReport
from calcom_pipeline.app.services.ports import ActionResult
from calcom_pipeline.app.services.summary import plain, summarize, summarize_apply
from calcom_pipeline.domain.reasons import SENTENCES, Reason, common_reason
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action, ActionKind, FieldDecision
from tests.support.summaries import BRAKE, NAMES, action, stored, summary


def apart(name: str = "title") -> FieldDecision:
    return FieldDecision(name, "conflict", "a", "b", None, Reason("both_changed"))


class TestOneLine:
    def test_each_action_is_counted_as_what_it_asks_for(self):
        bad = Reason("duration_out_of_range", minutes=0, most=1440)
        one = summary(
            *(action("create", n) for n in (1, 2)),
            action("push", 3),
            *(action("conflict", n, Reason("fields_differ", text="", fields={}), apart()) for n in (4, 5)),
            action("refuse", 6, bad),
        )
        assert one.sentence == "2 to create, 1 to change, 3 need a decision, 36 in sync"

    @pytest.mark.parametrize(
        ("kind", "reason", "said"),
        [
            ("pull", Reason("new"), "1 to change"),
            ("hide", Reason("service_deleted"), "1 to hide"),
            ("show", Reason("new"), "1 to show"),
            ("park", Reason("gone"), "1 to park"),
            ("adopt", Reason("slug_matches", event_type=7), "1 to link"),
            ("import", Reason("import_offered"), "1 needs a decision"),
            ("refuse", Reason("name_missing"), "1 needs a decision"),
            ("wait", Reason("create_may_appear"), "1 waits"),
            ("wait", Reason("parked", reason="gone", cause="gone"), "1 needs a decision"),
        ],
    )
    def test_every_kind_has_its_words(self, kind: ActionKind, reason: Reason, said: str):
        assert summary(action(kind, 1, reason)).sentence == f"{said}, 36 in sync"

    def test_nothing_to_do_is_said_only_where_nothing_is_open(self):
        assert summary().sentence == "Nothing to do: 36 in sync"
        assert summary().agrees
        for kind in ("conflict", "refuse", "wait"):
            one = summary(action(kind, 1, Reason("name_missing")))
            assert "Nothing" not in one.sentence
            assert not one.agrees

    def test_a_field_that_stays_open_beside_a_write_needs_a_decision_too(self):
        one = summary(action("push", 1, None, FieldDecision("slug", "push", "a", "b", "b", Reason("new")), apart()))
        assert one.sentence == "1 to change, 1 needs a decision, 36 in sync"
        assert [group.fate for group in one.groups] == ["conflict"]


class TestGroups:
    def test_38_held_actions_are_one_group_with_their_reason_once(self):
        one = summary(*(action("hide", n) for n in range(38)), held={"hide": BRAKE})
        (group,) = one.groups
        assert (group.fate, group.code, group.reason) == ("held", "brake_hide", str(BRAKE))
        assert [m.name for m in group.members] == [f"Service {n}" for n in range(38)]
        assert one.sentence == "38 need a decision, 36 in sync"
        assert "calcom-pipeline apply p1" in group.advice
        assert not one.changes

    def test_one_reason_with_other_numbers_is_one_group_that_says_whose_they_are(self):
        ones = [action("refuse", n, Reason("duration_out_of_range", minutes=n, most=1440)) for n in (0, 2000)]
        (group,) = summary(*ones).groups
        assert group.reason == "its duration of … minutes is not between 1 and 1440"
        assert [m.own for m in group.members] == [{"minutes": 0}, {"minutes": 2000}]

    def test_what_failed_for_different_causes_waits_in_different_groups(self):
        def waiting(number: int, attempt: int, why: str) -> Action:
            at = f"2026-11-29 12:0{attempt}:00"
            return action("wait", number, Reason("next_attempt", attempt=attempt, at=at, reason=why, cause=""))

        large, away = summary(waiting(1, 2, "too large"), waiting(2, 3, "too large"), waiting(3, 2, "away")).groups
        assert (len(large.members), len(away.members)) == (2, 1)
        assert large.reason == "attempt … not before … UTC: too large"
        assert away.reason.endswith("2026-11-29 12:02:00 UTC: away")

    def test_a_command_can_be_pasted_whatever_the_id_of_the_service_holds(self):
        odd = replace(action("conflict", 1, Reason("both_changed")), service_id="a b; rm")
        assert "resolve --take local 'a b; rm'" in summarize(stored([odd]), {}).groups[0].advice

    def test_what_is_parked_says_what_it_was_parked_for(self):
        ones = [action("wait", n, Reason("parked", reason="too large", cause="rejected")) for n in (1, 2)]
        (group,) = summary(*ones).groups
        assert (group.fate, group.code, group.reason, len(group.members)) == ("parked", "rejected", "too large", 2)
        assert "resolve --retry 1" in group.advice

    def test_a_reason_of_an_earlier_release_stands_by_its_sentence(self):
        old = [action("refuse", n, Reason.stored(f"an old sentence {n % 2}", "name_missing_of_old")) for n in range(4)]
        assert sorted(len(group.members) for group in summary(*old).groups) == [2, 2]

    def test_links_are_one_group_whatever_their_event_types(self):
        ones = [action("adopt", n, Reason("slug_matches", event_type=1000 + n)) for n in range(5)]
        (group,) = summary(*ones).groups
        assert (group.fate, len(group.members), group.members[0].own) == ("link", 5, {})

    def test_programs_get_them_as_plain_values(self):
        (told,) = plain(summary(action("refuse", 6, Reason("name_missing"))).groups)
        assert (told["fate"], told["code"], told["count"]) == ("refuse", "name_missing", 1)
        assert told["members"][0] == {
            "service": "6",
            "name": "Service 6",
            "event_type": 1006,
            "kind": "refuse",
            "own": {},
        }

    @pytest.mark.parametrize("code", sorted(SENTENCES))
    def test_every_reason_can_be_told_for_several(self, code: str):
        ones = [_made(code, str(n)) for n in range(2)]
        said, own = common_reason(ones)
        assert said
        assert len(own) == len(ones)


def _made(code: str, value: str) -> Reason:
    class Any(dict[str, str]):
        def __missing__(self, key: str) -> str:
            self[key] = value
            return value

    params = Any()
    SENTENCES[code].format_map(params)
    return Reason(code, **params)


class TestAfterAnApply:
    def test_what_was_done_is_told_in_the_past_tense(self):
        plan = stored([action("create", 1), action("push", 2), action("hide", 3), action("refuse", 4)])
        results = tuple(
            ActionResult(n, "done", "said", a.service_id, a.kind) for n, a in enumerate(plan.actions) if n < 3
        )
        one = summarize_apply(plan, ApplyReport("p1", results), NAMES)
        assert one.sentence == "1 created, 1 changed, 1 hidden, 1 needs a decision, 36 in sync already"
        assert "to create" not in one.sentence

    def test_failures_of_one_cause_are_one_group_and_held_ones_another(self):
        plan = stored([*(action("create", n) for n in range(3)), *(action("hide", n) for n in (3, 4))])
        held = replace(plan, held={"hide": BRAKE})
        results = tuple(
            ActionResult(
                n, "failed" if n < 3 else "held", "too large" if n < 3 else "not done: ...", a.service_id, a.kind
            )
            for n, a in enumerate(held.actions)
        )
        failed, waiting = summarize_apply(held, ApplyReport("p1", results), NAMES).groups
        assert (failed.fate, failed.reason, len(failed.members)) == ("failed", "too large", 3)
        assert (waiting.fate, waiting.reason, len(waiting.members)) == ("held", str(BRAKE), 2)


def test_a_service_that_is_gone_is_called_as_its_event_type():
    gone = Action("hide", "9", Reason("service_deleted"), event_type_id=7, remote={"title": "Old massage"})
    (change,) = summarize(stored([gone]), {}).changes
    assert change.name == "Old massage"
    assert Service("9", None, None, None).name is None
