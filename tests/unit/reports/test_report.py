"""The report is gathered from what is stored, part by part."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from calcom_pipeline.app.reports.models import Backlogs, LastPlan, LastRun, LimiterState, Webhooks, WrongScope
from calcom_pipeline.domain.errors import CacheError, StoreError
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.arrivals import Arrivals
from tests.support.reconciling import TEAM, event_type, linked, service
from tests.support.report_sources import NOW, RULES, FakeReportSources

HIDING = {"hide": Reason("brake_hide", number=4, linked=9, limit=3)}


def plan(**changes: object) -> LastPlan:
    plain = LastPlan("p1", "test", "planned", {}, HIDING, NOW, NOW + timedelta(hours=1), None)
    return replace(plain, **changes)  # type: ignore[arg-type]


def codes(sources: FakeReportSources) -> list[str]:
    return [concern.code for concern in sources.report().concerns]


def test_services_that_agree_with_the_mirror_are_in_sync():
    made = FakeReportSources([service(1)], [linked(1)], [event_type(1)]).report()
    assert (made.headline.verdict, made.counts, made.concerns) == ("in_sync", {"in_sync": 1}, [])
    assert made.headline.as_of == NOW - timedelta(minutes=2)


def test_a_service_that_fails_again_and_again_is_in_the_first_sentence():
    failed = linked(1, attempts=4, reason=Reason.stored("Cal.com answered 413", "rejected"), failed_version="1")
    made = FakeReportSources([service(1, name="New")], [failed], [event_type(1)]).report()
    assert made.headline.sentence == "Not in sync: 1 service failed."


@pytest.mark.parametrize(
    ("open_plan", "standing"),
    [
        (plan(), "held"),
        (plan(state="applied"), "pending"),
        (plan(state="superseded"), "pending"),
        (plan(expires_at=NOW), "pending"),
        (None, "pending"),
    ],
)
def test_only_a_plan_that_can_be_applied_holds_anything(open_plan: LastPlan | None, standing: str):
    sources = FakeReportSources([service(1, is_active=False)], [linked(1)], [event_type(1)], plan=open_plan)
    assert [one.standing for one in sources.report().services] == [standing]


def test_where_nothing_is_written_unasked_pending_changes_ask_for_somebody():
    sources = FakeReportSources([service(1, name="New")], [linked(1)], [event_type(1)])
    assert sources.report().headline.verdict == "working"
    assert sources.report(replace(RULES, mode="plan")).headline.verdict == "asking"


def test_before_the_first_read_nobody_can_tell_and_no_service_is_called_wrong():
    made = FakeReportSources([service(1)], read_at=None, polled_at={}, slots_at=None).report()
    assert made.headline.verdict == "unknown"
    assert [(one.what, one.read_at, one.late) for one in made.reads] == [
        ("Event types", None, True),
        ("Bookings", None, True),
        ("Free starts", None, True),
    ]
    assert [concern.code for concern in made.concerns] == ["never_read"] * 3


def test_a_team_that_is_not_read_any_more_spoils_no_answer_but_its_own():
    sources = FakeReportSources([service(1)], [linked(1)], [event_type(1)])
    sources.others_read_at = {TEAM: NOW - timedelta(days=9)}
    assert sources.report().headline.verdict == "in_sync"
    sources.rows = [service(1), service(2, team_id=TEAM.id)]
    (of_the_team, _) = sources.report().services
    assert (of_the_team.service_id, of_the_team.reason.code) == ("2", "owner_unreadable")


def test_an_answer_is_as_old_as_its_oldest_listing():
    sources = FakeReportSources(others_read_at={TEAM: NOW - timedelta(minutes=40)})
    assert sources.report().headline.as_of == NOW - timedelta(minutes=40)


def test_a_listing_of_bookings_that_was_never_read_makes_all_of_them_unread():
    made = FakeReportSources(polled_at={"mine": NOW, "team:301": None}).report()
    assert next(one for one in made.reads if one.what == "Bookings").read_at is None


def test_days_are_those_of_the_business_s_zone():
    sources = FakeReportSources()
    late_in_berlin = NOW.replace(month=12, day=1, hour=23, minute=30)  # half past midnight there
    made = sources.report(now=late_in_berlin)
    assert made.pictures.today == date(2026, 12, 2)
    assert sources.asked_days == (date(2026, 11, 4), date(2026, 12, 30), "Europe/Berlin")


def test_redis_and_dagster_may_be_away_and_the_rest_is_told():
    sources = FakeReportSources(
        [service(1)],
        [linked(1)],
        [event_type(1)],
        redis_away=CacheError("Redis does not answer"),
        dagster_away=StoreError("the database does not exist"),
    )
    made = sources.report()
    assert made.headline.verdict == "in_sync"
    assert made.traffic.limiter.why_not == made.traffic.circuits.why_not == "Redis does not answer"
    assert made.runs.why_not == "the database does not exist"
    assert codes(sources) == ["redis_away", "runs_unknown"]


WRONG = WrongScope("user", "wrong", Reason("webhook_missing"), NOW)
FAILED_RUN = LastRun("r2", "services_sync", "FAILURE", NOW, NOW)


@pytest.mark.parametrize(
    ("sources", "code", "serious"),
    [
        (FakeReportSources(read_at=NOW - timedelta(hours=2)), "read_late", True),
        (FakeReportSources(polled_at={"mine": NOW - timedelta(minutes=16)}), "read_late", True),
        (FakeReportSources(slots_at=NOW - timedelta(hours=2)), "read_late", True),
        (FakeReportSources(waiting=Backlogs(3, NOW - timedelta(minutes=6))), "facts_late", True),
        (FakeReportSources(waiting=Backlogs(quarantined={"bookings": 2})), "quarantined", True),
        (FakeReportSources(waiting=Backlogs(doubtful_bookings=1)), "outcome_unknown", False),
        (FakeReportSources(waiting=Backlogs(missing_event_types=1)), "missing_event_types", False),
        (FakeReportSources(state=LimiterState(9, 118, 0, {}, 42.0, 60.0)), "key_blocked", False),
        (FakeReportSources(circuit_states={"slots": "half open", "bookings": "open"}), "circuit_open", False),
        (FakeReportSources(hooks=Webhooks(wanted=True, wrong=(WRONG,))), "webhooks_wrong", True),
        (FakeReportSources(hooks=Webhooks(wanted=True, arrivals=Arrivals(lost=3))), "webhooks_silent", True),
        (FakeReportSources(hooks=Webhooks(wanted=True, deliveries={"quarantined": 2})), "deliveries_given_up", False),
        (FakeReportSources(ran=(FAILED_RUN,)), "run_failed", True),
    ],
)
def test_what_else_a_person_should_know_is_told_once(sources: FakeReportSources, code: str, serious: bool):
    (concern,) = sources.report().concerns
    assert (concern.code, concern.serious) == (code, serious)
    assert concern.command or not serious


@pytest.mark.parametrize(
    "sources",
    [
        FakeReportSources(waiting=Backlogs(3, NOW - timedelta(minutes=4))),
        FakeReportSources(hooks=Webhooks(wanted=True, arrivals=Arrivals(named=9, lost=1))),
        FakeReportSources(hooks=Webhooks(wanted=True, deliveries={"done": 41})),
        # Nobody wants one any more.
        FakeReportSources(hooks=Webhooks(wanted=False, wrong=(WRONG,))),
        # It has worked since.
        FakeReportSources(ran=(LastRun("r3", "services_sync", "SUCCESS", NOW, NOW), FAILED_RUN)),
    ],
)
def test_what_is_in_order_is_no_concern(sources: FakeReportSources):
    assert codes(sources) == []
