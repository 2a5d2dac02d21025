"""How each service stands, and the one sentence about all of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.reports.standing import ServiceStanding, known_event_types, standings
from calcom_pipeline.domain.reports.verdict import Verdict, age, headline
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.reconcile import Situation
from calcom_pipeline.domain.services.remedies import STANDINGS, Standing, quoted, remedy_of
from tests.support.reconciling import ME, event_type, linked, service

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
FAILED = Reason.stored("Cal.com answered 413", "rejected")
GONE = Reason("gone")
HELD = {"hide": Reason("brake_hide", number=4, linked=9, limit=3)}


def judged(row: Service, link: Link | None, *, there: object = None, held: object = None) -> ServiceStanding:
    situation = Situation(
        me=ME,
        services=[row],
        event_types=[there] if there is not None else [],  # type: ignore[list-item]
        listed=frozenset({ME}),
        links=[link] if link else [],
        now=NOW,
    )
    return standings(situation, held or {})[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "link", "there", "held", "standing", "code"),
    [
        (service(1), linked(1), event_type(1), {}, "in_sync", ""),
        (service(1, is_active=False), None, None, {}, "in_sync", ""),
        (service(1), None, None, {}, "pending", "no_event_type"),
        (service(1), None, event_type(1), {}, "pending", "slug_matches"),
        (service(1, name="New"), linked(1), event_type(1), {}, "pending", "fields_differ"),
        (service(1), linked(1), event_type(1, title="New"), {}, "pending", "fields_differ"),
        (service(1, name="New"), linked(1), event_type(1, title="Other"), {}, "conflict", "fields_differ"),
        # A conflict in one field is a person's business, also where another one is written.
        (
            service(1, name="New", duration_minutes=45),
            linked(1),
            event_type(1, title="Other"),
            {},
            "conflict",
            "fields_differ",
        ),
        (service(1, duration_minutes=0), linked(1), event_type(1), {}, "refused", "duration_out_of_range"),
        (service(1, is_active=False), linked(1), event_type(1), HELD, "held", "brake_hide"),
        (service(1, is_active=False), linked(1), event_type(1), {}, "pending", "fields_differ"),
        (
            service(1, name="New"),
            linked(1, attempts=3, reason=FAILED, failed_version="1", next_attempt_at=NOW + timedelta(minutes=5)),
            event_type(1),
            {},
            "failed",
            "rejected",
        ),
        # The next attempt is due, or somebody has edited it since: it has failed all the same.
        (
            service(1, name="New", version="2"),
            linked(1, attempts=3, reason=FAILED, failed_version="1"),
            event_type(1),
            {},
            "failed",
            "rejected",
        ),
        (service(1), linked(1, state="parked", reason=GONE, failed_version="1"), None, {}, "parked", "gone"),
        (
            service(1, duration_minutes=0),
            linked(1, attempts=3, reason=FAILED, failed_version="0"),
            event_type(1),
            {},
            "refused",
            "duration_out_of_range",
        ),
    ],
)
def test_a_service_stands_as_a_person_would_say(
    row: Service, link: Link | None, there: object, held: object, standing: Standing, code: str
):
    found = judged(row, link, there=there, held=held)
    assert (found.standing, found.reason.code) == (standing, code)


def test_what_waits_for_its_next_attempt_says_when_and_how_often_it_failed():
    at = NOW + timedelta(minutes=5)
    link = linked(1, attempts=3, reason=FAILED, failed_version="1", next_attempt_at=at)
    found = judged(service(1, name="New"), link, there=event_type(1))
    assert (found.attempts, found.next_attempt_at) == (3, at)


def test_only_the_fields_that_differ_are_told_and_none_of_a_new_event_type():
    found = judged(service(1, name="New"), linked(1), there=event_type(1, title="Other"))
    assert [(f.field, f.local, f.remote, f.base) for f in found.fields] == [("title", "New", "Other", "Service 1")]
    assert judged(service(1), None).fields == ()


def test_a_link_whose_service_is_gone_is_told_and_the_worst_come_first():
    situation = Situation(
        me=ME,
        services=[service(1), service(2, duration_minutes=0), service(10, name="New")],
        event_types=[event_type(number) for number in (1, 2, 3, 10)],
        listed=frozenset({ME}),
        links=[linked(number) for number in (1, 2, 3, 10)],
        now=NOW,
    )
    found = standings(situation, {})
    assert [(one.service_id, one.standing) for one in found] == [
        ("2", "refused"),
        ("3", "pending"),
        ("10", "pending"),
        ("1", "in_sync"),
    ]
    assert (found[1].name, found[1].action) == ("", "hide")


class TestWhatIsKnownHere:
    """After a write the mirror is behind until Cal.com is read again: that is no drift."""

    def test_what_was_just_created_is_known_by_what_was_agreed_on(self):
        known = known_event_types([], [linked(1)], {"1"})
        assert judged(service(1), linked(1), there=known[0]).standing == "in_sync"

    def test_what_was_just_pushed_is_no_drift(self):
        link = replace(linked(1), base={**linked(1).base, "title": "New"})
        known = known_event_types([event_type(1)], [link], {"1"})
        assert judged(service(1, name="New"), link, there=known[0]).standing == "in_sync"

    @pytest.mark.parametrize("link", [linked(1, reason=FAILED, attempts=1), linked(1, state="parked", reason=GONE)])
    def test_a_failure_tells_nothing_of_the_event_type(self, link: Link):
        assert known_event_types([event_type(1, title="Edited")], [link], {"1"}) == [event_type(1, title="Edited")]

    def test_links_that_are_older_than_the_mirror_are_not_asked(self):
        assert known_event_types([event_type(1, title="Edited")], [linked(1)], ()) == [event_type(1, title="Edited")]


@pytest.mark.parametrize(
    ("counts", "minutes", "writes", "verdict", "sentence"),
    [
        ({}, None, True, "unknown", "Nobody can tell yet: Cal.com's event types have not been read."),
        ({}, 1, True, "in_sync", "There is nothing to sync: no service is there."),
        ({"in_sync": 1}, 1, True, "in_sync", "In sync: the one service is at Cal.com as here."),
        ({"in_sync": 1200}, 1, True, "in_sync", "In sync: all 1,200 services are at Cal.com as here."),
        ({"in_sync": 9, "pending": 1}, 1, True, "working", "Almost in sync: 1 service is about to be written."),
        ({"in_sync": 9, "pending": 1}, 1, False, "asking", "Not in sync: 1 service waits to be applied."),
        ({"in_sync": 9, "waiting": 2}, 1, False, "working", "Almost in sync: 2 services wait."),
        (
            {"in_sync": 9, "failed": 1, "conflict": 2, "pending": 5},
            1,
            True,
            "asking",
            "Not in sync: 1 service failed, 2 are in conflict and 5 are about to be written.",
        ),
        (
            {"in_sync": 9},
            200,
            True,
            "unknown",
            "Nobody can tell: Cal.com was last read 3 hours ago, when all services were in sync.",
        ),
        (
            {"in_sync": 9, "failed": 1},
            200,
            True,
            "unknown",
            "Nobody can tell: Cal.com was last read 3 hours ago, when 1 of 10 services were not in sync.",
        ),
    ],
)
def test_the_answer_is_one_sentence(
    counts: dict[Standing, int], minutes: int | None, writes: bool, verdict: Verdict, sentence: str
):
    as_of = None if minutes is None else NOW - timedelta(minutes=minutes)
    found = headline(counts, as_of=as_of, now=NOW, stale=timedelta(hours=1), writes=writes)
    assert (found.verdict, found.sentence) == (verdict, sentence)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (7199, "1 hour"), (200_000, "2 days")],
)
def test_an_age_is_said_in_its_largest_unit(seconds: int, said: str):
    assert age(timedelta(seconds=seconds)) == said


class TestRemedies:
    @pytest.mark.parametrize("standing", [one for one in STANDINGS if one != "in_sync"])
    def test_every_standing_has_something_to_do_or_says_that_nothing_is(self, standing: Standing):
        for open_plan in ("20261201-080000-0badcafe", None):
            remedy = remedy_of(standing, "", writes=False, open_plan=open_plan)
            assert remedy.sentence
            assert remedy.commands

    def test_what_is_held_is_applied_by_the_plans_name(self):
        commands = remedy_of("held", "", writes=True, open_plan="20261201-080000-0badcafe").commands
        assert commands[-1] == ("Apply it by its name", "calcom-pipeline apply 20261201-080000-0badcafe")

    def test_a_create_whose_end_nobody_knows_is_not_decided_field_by_field(self):
        commands = remedy_of("conflict", "create_ambiguous", writes=True, open_plan=None).commands
        assert commands[0][1] == "calcom-pipeline resolve --retry {service}"

    @pytest.mark.parametrize(
        ("given", "word"),
        [
            ("39", "39"),
            ("a-b_c.d", "a-b_c.d"),
            ("$(rm -rf ~)", "'$(rm -rf ~)'"),
            ("it's", """'it'"'"'s'"""),
            ("-x", "-- -x"),
            ("--help me", "-- '--help me'"),
            ("", "''"),
        ],
    )
    def test_an_id_is_one_word_of_a_command(self, given: str, word: str):
        assert quoted(given) == word


def test_a_service_that_waits_after_a_failure_says_what_it_waits_with():
    later = NOW + timedelta(hours=1)
    link = linked(1, attempts=3, reason=FAILED, failed_version="1", next_attempt_at=later)
    agreed = {name: value for name, value in link.base.items() if name != "description"}
    edited = service(1, name="New", description="here")
    found = judged(edited, replace(link, base=agreed), there=event_type(1, description="there", duration_minutes=45))
    assert [(f.field, f.verdict, f.local, f.remote, f.reason.code) for f in found.fields] == [
        ("title", "push", "New", "Service 1", "local_changed"),
        ("duration_minutes", "pull", 30, 45, "remote_changed"),
        ("description", "conflict", "here", "there", "never_agreed"),
    ]
