"""How a plan looks on a terminal: only what changes, within its width and on its screen."""

import re

import pytest
from rich.cells import cell_len

from calcom_pipeline.app.services.summary import PlanSummary, summarize
from calcom_pipeline.cli.plan_lines import plan_lines
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.plans import Action, FieldDecision
from calcom_pipeline.domain.services.reconcile import Situation, plan_services
from tests.support.reconciling import ME, event_type, linked, service
from tests.support.summaries import BRAKE, NOW, action, stored, summary

SCREEN_CELLS, SCREEN_LINES = 80, 24
# What the command prints below: the line that sums up, the next step on two lines, and the prompt.
LINES_BELOW = 4


def texts(one: PlanSummary, width: int = SCREEN_CELLS) -> list[str]:
    return [line.text for line in plan_lines(one, width=width)]


def push(name: str, here: object, there: object, number: int = 1) -> Action:
    return action("push", number, None, FieldDecision(name, "push", here, there, there, Reason("local_changed")))  # type: ignore[arg-type]


def test_three_changes_among_200_services_fit_one_screen():
    services = [service(n) for n in range(1, 201)]
    services[6] = service(7, name="Massage, one hour", description="Bring a towel. " * 400)
    services[11] = service(12, is_active=False)
    links = [linked(n) for n in range(1, 200)]
    situation = Situation(
        me=ME,
        services=services,
        event_types=[event_type(n) for n in range(1, 200)],
        listed=frozenset({ME}),
        links=links,
        now=NOW,
    )
    decided = plan_services(situation)
    one = summarize(stored(decided.actions, unchanged=decided.unchanged), {row.id: row.name or "" for row in services})
    lines = texts(one)
    assert one.sentence == "1 to create, 1 to change, 1 to hide, 197 in sync"
    assert len(lines) + LINES_BELOW <= SCREEN_LINES, "\n".join(lines)
    assert all(cell_len(line) <= SCREEN_CELLS for line in lines)
    assert '+ 200 Service 200: new, slug "service-200", duration_minutes 30' in lines
    assert '    ~ title: "Service 7" -> "Massage, one hour"' in lines
    assert "- 12 Service 12 (event type 12): hide" in lines


def test_fields_that_agree_are_not_shown():
    agreed = FieldDecision("slug", "agree", "same", "same", "same", Reason("agree"))
    changed = FieldDecision("title", "push", "new", "old", "old", Reason("local_changed"))
    assert texts(summary(action("push", 1, None, agreed, changed))) == [
        "~ 1 Service 1 (event type 1001)",
        '    ~ title: "old" -> "new"',
    ]


def test_what_is_taken_over_goes_the_other_way_and_says_so():
    pulled = FieldDecision("title", "pull", "ours", "theirs", "ours", Reason("remote_changed"))
    assert texts(summary(action("pull", 1, None, pulled)))[1:] == [
        '    ~ title: "ours" -> "theirs"  (taken over from Cal.com)'
    ]


def test_a_conflict_shows_both_values_and_what_decides():
    apart = FieldDecision("duration_minutes", "conflict", 30, 45, None, Reason("both_changed"))
    conflict = action("conflict", 4, Reason("fields_differ", text="", fields={}), apart)
    assert texts(summary(conflict)) == [
        "! 1 in conflict: both changed",
        "    4 Service 4 (event type 1004)",
        "      duration_minutes: here 30, at Cal.com 45",
        "    Say whose value counts: calcom-pipeline resolve --take local 4   (or remote)",
    ]


def test_38_held_actions_say_their_reason_once():
    lines = texts(summary(*(action("hide", n) for n in range(38)), held={"hide": BRAKE}))
    told = " ".join(" ".join(lines).split())
    assert told.count(str(BRAKE)) == 1
    assert "! 38 held: " in told
    assert all(f"{n} Service {n} (event type {1000 + n})" in told for n in range(38))
    assert len(lines) < SCREEN_LINES


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "value",
    ["x" * 300, "マッサージ" * 40, "a b " * 100, "line\nbreak" * 50, "\x1b[31mred" * 30, "", None],
    ids=["long", "wide", "words", "lines", "orders", "empty", "none"],
)
def test_no_line_is_wider_than_the_terminal(value: str | None, width: int):
    ones = [push("description", value, f"{value}!"), push("title", "short", value, 2)]
    named = summarize(stored(ones), {"1": str(value), "2": str(value)})
    lines = texts(named, width)
    assert all(cell_len(line) <= width for line in lines), lines
    assert all(line.isprintable() for line in lines)


def test_of_long_values_the_part_is_shown_where_they_begin_to_differ():
    same = "Everything about our workshop. " * 50
    (_, line) = texts(summary(push("description", f"{same}Now open on Sundays", f"{same}Closed on Sundays")))
    before, after = re.split(r" -> ", line)
    assert "Closed" in before
    assert "Now open" in after


def test_a_narrow_terminal_breaks_sentences_between_words():
    lines = texts(summary(*(action("hide", n) for n in range(3)), held={"hide": BRAKE}), 40)
    assert " ".join(" ".join(lines).split()).count(str(BRAKE)) == 1
