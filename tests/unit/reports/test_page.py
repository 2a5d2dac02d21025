"""The page as text: what is drawn, how it is grouped, what cannot get in, what it weighs."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import date, timedelta

import orjson
import pytest

from calcom_pipeline.app.reports.models import (
    AccountReport,
    DayOfBookings,
    DayOfStarts,
    HourLag,
    HourOfCache,
    HourOfStarts,
    LaneMinute,
    LastRun,
    Pictures,
    ReportPart,
    Traffic,
)
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.web.report.page import PageOptions, policy, report_page, sign_in_page, trouble_page
from calcom_pipeline.web.report.plots import (
    bookings_picture,
    cache_picture,
    calls_picture,
    free_days_picture,
    hour_grid,
    lag_picture,
    round_top,
)
from calcom_pipeline.web.report.view import groups
from tests.support.reconciling import event_type, linked, service
from tests.support.report_sources import NOW, RULES, FakeReportSources

TODAY = date(2026, 12, 1)
MANY = 10_000


def failed(number: int, why: str = "Cal.com answered 413", attempts: int = 2) -> Link:
    reason = Reason.stored(why, "rejected")
    return linked(
        number, attempts=attempts, reason=reason, failed_version="1", next_attempt_at=NOW + timedelta(hours=1)
    )


def failing(*links: Link) -> AccountReport:
    """Services whose last write failed."""
    numbers = [int(link.service_id) for link in links]
    rows, types = [service(n, name=f"New {n}") for n in numbers], [event_type(n) for n in numbers]
    return FakeReportSources(rows, links, types).report()


class TestGroups:
    def test_what_fails_for_one_reason_is_told_once_with_its_members(self):
        ((group,), left_out) = groups(failing(*(failed(number) for number in range(1, 39))))
        assert (group.number, len(group.members), group.more, left_out) == (38, 8, 30, 0)
        assert group.members[0] == "New 1 (1)"
        assert group.reason == "Cal.com answered 413"
        assert group.commands[0][1] == "calcom-pipeline resolve --retry SERVICE"

    def test_one_alone_comes_with_its_own_command_its_fields_and_its_attempts(self):
        ((group,), _) = groups(failing(failed(7)))
        assert group.commands[0][1] == "calcom-pipeline resolve --retry 7"
        assert [(d.field, d.here, d.there, d.agreed) for d in group.differences] == [
            ("title", "New 7", "Service 7", "Service 7")
        ]
        assert group.note == "Tried 2 times; again from 01 Dec 09:00 UTC"

    def test_the_worst_and_the_largest_come_first(self):
        made = FakeReportSources(
            [service(n, name="New") if n < 3 else service(n, duration_minutes=0) for n in range(1, 7)],
            [failed(1), failed(2, "Cal.com answered 400")],
        ).report()
        found, _ = groups(made)
        assert [(group.standing, group.number) for group in found] == [("failed", 1), ("failed", 1), ("refused", 4)]

    def test_reasons_past_the_bound_are_counted(self):
        found, left_out = groups(failing(*(failed(number, f"reason {number}") for number in range(1, 101))))
        assert (len(found), left_out) == (40, 60)


class TestWhatCannotGetIn:
    @pytest.mark.parametrize(
        "name",
        [
            "</script><script>alert(1)</script>",
            "<!--<script>",
            "<img src=x onerror=alert(1)>",
            '"><b>',
            "a\u2028b\u2029c",
            "{{ 7 * 7 }}",
        ],
    )
    def test_a_name_is_a_text_wherever_it_stands(self, name: str):
        made = FakeReportSources([service(1, name=name, slug="")]).report()
        page = report_page(replace(made, account=name), PageOptions())
        assert len(re.findall(r"<script\b", page)) == 2
        assert "<img" not in page
        assert "<b>1" in page  # ours, in a filter
        assert page.count("<b>") == 1
        data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
        assert data is not None
        assert not set(data[1]) & set("<>&\u2028\u2029")
        assert orjson.loads(data[1])["rows"][0][1] == name.replace("\u2028", " ").replace("\u2029", " ")

    def test_what_turns_a_line_around_is_dropped(self):
        made = FakeReportSources([service(1, name="safe\u202egpj.exe\x1b[31m", slug="")]).report()
        page = report_page(made, PageOptions())
        assert "\u202e" not in page
        assert "\x1b" not in page
        assert "safegpj.exe" in page

    def test_a_reason_that_quotes_somebody_s_address_does_not_show_it(self):
        page = report_page(failing(failed(1, "Cal.com refuses ada@example.org and +49 30 1234567")), PageOptions())
        assert "Cal.com refuses [redacted] and [redacted]" in page
        assert "ada@" not in page

    def test_long_values_are_cut(self):
        made = FakeReportSources([service(1, description="x" * 120_000)], [linked(1)], [event_type(1)]).report()
        assert len(report_page(made, PageOptions())) < 100_000

    def test_the_policy_names_what_stands_in_the_pages(self):
        made = FakeReportSources().report()
        for page in (report_page(made, PageOptions()), sign_in_page(), trouble_page("why")):
            for element, directive in (("style", "style-src"), ("script", "script-src")):
                for text in re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL):
                    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
                    assert f"{directive} 'sha256-{digest}'" in policy()
            assert policy(framed=False) in page.replace("&#39;", "'")
            assert not re.findall(r'\s(?:style|on\w+)="', page)  # which the policy would stop


class TestWeight:
    def test_ten_thousand_services_in_sync_take_half_a_megabyte(self):
        numbers = range(1, MANY + 1)
        made = FakeReportSources(
            [service(n) for n in numbers], [linked(n) for n in numbers], [event_type(n) for n in numbers]
        ).report()
        assert made.headline.sentence == "In sync: all 10,000 services are at Cal.com as here."
        assert len(report_page(made, PageOptions())) < 600_000

    def test_ten_thousand_that_are_not_take_little_more_than_a_megabyte(self):
        made = FakeReportSources([service(n) for n in range(1, MANY + 1)]).report()
        assert made.counts == {"pending": MANY}
        assert len(report_page(made, PageOptions())) < 1_200_000


class TestPictures:
    def pictures(self, **changes: object) -> Pictures:
        since, until = TODAY - timedelta(days=28), TODAY + timedelta(days=28)
        return replace(Pictures(TODAY, since, until, "Europe/Berlin", (), (), ()), **changes)  # type: ignore[arg-type]

    def test_bars_stack_and_reach_as_high_as_there_are_bookings(self):
        days = [DayOfBookings(TODAY, "accepted", 6), DayOfBookings(TODAY, "cancelled", 2)]
        drawn = bookings_picture(self.pictures(bookings=days))
        assert drawn is not None
        assert (drawn.top, [(s.name, s.total) for s in drawn.series]) == (10, [("accepted", 6), ("cancelled", 2)])
        shapes = re.findall(
            r'<rect class="(status-\w+)" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', drawn.svg
        )
        assert shapes == [
            ("status-accepted", "28.09", "40.00", "60.00"),
            ("status-cancelled", "28.09", "20.00", "20.00"),
        ]
        assert "<title>Tue 1 Dec: 6 accepted, 2 cancelled</title>" in drawn.svg
        assert drawn.rows == [("Tue 1 Dec", [6, 2])]
        assert "6 accepted, 2 cancelled; most on Tue 1 Dec (8)" in drawn.summary

    def test_lags_and_ages_stand_before_each_other_and_do_not_add_up(self):
        hour = NOW - timedelta(hours=3)
        lag = lag_picture(self.pictures(lags=[HourLag(hour, 4.4, 31.0, 5)]), NOW)
        cache = self.pictures(cache=[HourOfCache(hour, 200, 1500, 0.5)], cache_life_seconds=300)
        age = cache_picture(cache, NOW)
        assert lag is not None
        assert age is not None
        assert (lag.rows, lag.top, len(lag.labels)) == ([("Tue 05:00", [31, 4])], 40, 49)
        assert lag.summary.endswith("Tue 08:00: most on Tue 05:00 (31 s).")
        assert "<title>Tue 05:00: 31 s the latest, 4 s half within</title>" in lag.svg
        heights = re.findall(r'<rect class="(\w+)" .*?y="([\d.]+)".*?height="([\d.]+)"', age.svg)
        assert heights == [("most", "25.00", "75.00"), ("half", "90.00", "10.00")], "both from the ground, of 2,000"
        assert '<path class="limit" d="M0 85H49"/>' in age.svg

    def test_a_status_that_nobody_knows_is_drawn_too_and_is_a_text(self):
        drawn = bookings_picture(self.pictures(bookings=[DayOfBookings(TODAY, '"/><script>', 1)]))
        assert drawn is not None
        assert "<script" not in drawn.svg
        assert drawn.series[0].key == "other"

    def test_nothing_is_drawn_of_nothing(self):
        nothing = self.pictures()
        assert lag_picture(nothing, NOW) is cache_picture(nothing, NOW) is None
        assert bookings_picture(nothing) is free_days_picture(nothing) is hour_grid(()) is None
        traffic = FakeReportSources().report().traffic
        assert calls_picture(traffic, NOW) is None

    def test_days_without_a_free_start_stay_empty(self):
        far = TODAY + timedelta(days=2)
        drawn = free_days_picture(self.pictures(days=[DayOfStarts(TODAY, 4), DayOfStarts(far, 8)]))
        assert drawn is not None
        assert list(drawn.series[0].values) == [4, 0, 8]

    def test_the_limit_is_a_line_in_the_picture_of_calls(self):
        minute = NOW - timedelta(minutes=5)
        traffic = FakeReportSources().report().traffic
        drawn = calls_picture(replace(traffic, minutes=[LaneMinute(minute, "sync", 30)]), NOW)
        assert drawn is not None
        assert (drawn.top, len(drawn.labels), drawn.rows) == (200, 61, [("07:55", [30])])
        assert '<path class="limit" d="M0 40H61"/>' in drawn.svg

    @pytest.mark.parametrize(
        ("most", "top"),
        [(0, 4), (4, 4), (5, 10), (17, 20), (41, 60), (80, 80), (81, 100), (120, 200), (401, 600), (9999, 10_000)],
    )
    def test_an_axis_ends_at_a_round_number(self, most: int, top: int):
        assert round_top(most) == top

    def test_the_warmest_hour_is_the_one_with_the_most_starts(self):
        grid = hour_grid([HourOfStarts(0, 9, 1), HourOfStarts(1, 9, 50), HourOfStarts(6, 11, 25)])
        assert grid is not None
        assert [hour for hour, _ in grid.rows] == ["09:00", "10:00", "11:00"]
        assert grid.rows[0][1][:3] == [(1, 1), (50, 5), (0, 0)]
        assert grid.rows[2][1][6] == (25, 3)
        assert {warmth for _, cells in grid.rows for number, warmth in cells if not number} == {0}


@pytest.mark.parametrize(
    ("options", "there"),
    [
        (PageOptions(), False),
        (PageOptions(ui_url="https://dagster.example.org"), True),
    ],
)
def test_runs_are_links_where_the_ui_has_an_address(options: PageOptions, there: bool):
    made = FakeReportSources(
        ran=[LastRun("0badcafe-1", "full_sync", "SUCCESS", NOW, NOW + timedelta(minutes=2))]
    ).report()
    page = report_page(made, options)
    assert ('href="https://dagster.example.org/runs/0badcafe-1"' in page) is there
    assert "2 minutes" in page


def test_a_report_of_an_account_that_writes_nothing_unasked_says_so():
    made = FakeReportSources([service(1)]).report(replace(RULES, mode="plan"))
    assert "Nothing is written to Cal.com unless somebody applies a plan." in report_page(made, PageOptions())


def test_traffic_that_cannot_be_told_says_why():
    made = FakeReportSources().report()
    away: Traffic = replace(
        made.traffic, limiter=ReportPart(why_not="Redis is away"), circuits=ReportPart(why_not="so")
    )
    assert "Unknown: Redis is away" in report_page(replace(made, traffic=away), PageOptions())
