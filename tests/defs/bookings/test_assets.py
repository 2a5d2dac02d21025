"""The history of bookings by month and the checks of bookings, on a real Dagster instance."""

from datetime import timedelta
from functools import cache
from typing import Any

import dagster as dg
import pytest

from calcom_pipeline.app.bookings.history import is_done
from calcom_pipeline.app.bookings.sync import sync_bookings
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs import failures
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.bookings import history
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.bookings.positions import Month
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.booking_rows import months_of_creation, stamp
from tests.support.dagster_runs import metadata, rows_in, run

pytestmark = pytest.mark.timeout(180)
ACCOUNT = Account.from_environment()
SPAN_START, SPAN_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def spread_over_a_year(sandbox: RunningSandbox) -> None:
    """Five bookings were made in each of the last twelve months."""
    now = utc_now()
    this = Month.of(now)
    year = Month(this.year - 1, this.month).next.through(this)
    for n, booking in enumerate(sandbox.control.read_bookings()):
        created = min(year[n % 12].begin + timedelta(days=5), now)
        sandbox.control.update_bookings(ids=[booking["id"]], set={"created": stamp(created)})


def read_months(instance: dg.DagsterInstance, first: str, last: str, **options: Any) -> dg.ExecuteInProcessResult:
    """One run over a range of partitions, as a backfill of the UI makes it."""
    tags = {SPAN_START: f"{first}-01", SPAN_END: f"{last}-01"}
    return run(instance, "bookings_backfill", tags=tags, **options)


class TestHistory:
    def test_there_is_a_partition_for_every_month_to_this_one_and_a_run_takes_a_year_of_them(self):
        keys = history.months(ACCOUNT).get_partition_keys()
        assert keys[-1] == f"{utc_now():%Y-%m}-01"
        assert keys == sorted(keys)
        policy = history.assets(ACCOUNT)[0].backfill_policy
        assert policy is not None
        assert policy.max_partitions_per_run == 12

    def test_a_year_is_read_by_one_run_and_every_month_counts_as_materialized(
        self, instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox
    ):
        spread_over_a_year(sandbox)
        made = months_of_creation(sandbox)
        first, last = min(made), max(made)
        result = read_months(instance, first, last)
        assert result.success
        keys = [e.partition for e in result.get_asset_materialization_events()]
        assert set(keys) >= {f"{month}-01" for month in made}
        told = metadata_of_history(result)
        assert (told["rows added"], told["rows quarantined"]) == (60, 0)
        assert told["forecast"].startswith("60 bookings, at most ")
        assert {month: int(new) for month, _, new in rows_in(told["by month"]) if int(new)} == made
        done = [month for month in made if is_done(container.bookings.mirror, Month.parse(month))]
        assert sorted(done) == sorted(set(made) - {f"{utc_now():%Y-%m}"})

        again = metadata_of_history(read_months(instance, first, last))
        assert again["months read before"] == len(done) == 11
        assert (again["rows added"], again["rows changed"]) == (0, 0)

    def test_one_month_of_the_ui_reads_that_month_alone(
        self, instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox
    ):
        spread_over_a_year(sandbox)
        made = months_of_creation(sandbox)
        month = sorted(made)[3]
        result = run(instance, "bookings_backfill", partition_key=f"{month}-01")
        assert metadata_of_history(result)["rows added"] == made[month]
        assert container.reports.overview.counts().bookings == made[month]
        assert container.bookings.mirror.state(MINE).watermark is None, (
            "the incremental read is another asset's business"
        )

    def test_a_month_that_fails_is_named_and_tried_again_and_only_what_is_left_is_read(
        self, instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox, monkeypatch
    ):
        monkeypatch.setenv("CALCOM_RETRY_ATTEMPTS", "1")
        monkeypatch.setenv("CALCOM_BACKFILL_WORKERS", "1")
        monkeypatch.setattr(failures, "_SECONDS_BETWEEN", 0.1)
        spread_over_a_year(sandbox)
        made = months_of_creation(sandbox)
        first, last = min(made), max(made)
        sandbox.control.add_fault("error", "GET /v2/bookings", after=1, count=1)
        result = read_months(instance, first, last)
        (retried,) = [str(event.step_retry_data.error) for event in result.all_events if event.is_step_up_for_retry]
        assert f"{first}: " in retried
        told = metadata_of_history(result)
        assert (told["rows added"], told["months read before"]) == (made[first], 10)
        assert container.reports.overview.counts().bookings == 60


def metadata_of_history(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of any of the months of one run: they are told alike."""
    event = next(
        e
        for e in result.get_asset_materialization_events()
        if e.materialization.asset_key.path[-1] == "bookings_history"
    )
    plain = {name: getattr(value, "value", value) for name, value in event.materialization.metadata.items()}
    return {name: value.records if hasattr(value, "records") else value for name, value in plain.items()}


@cache
def checks_only() -> dg.JobDefinition:
    """The checks of bookings without anything else."""
    checks = dg.define_asset_job("checks_only", selection=dg.AssetSelection.checks_for_assets(ACCOUNT.key("bookings")))
    return dg.Definitions.merge(defs, dg.Definitions(jobs=[checks])).resolve_job_def("checks_only")


def read(container: Container) -> None:
    """As a run of bookings_mirror does, without the run."""
    group = container.bookings
    sync_bookings(container.calcom, group.mirror, group.in_doubt, group.options, now=utc_now)


class TestChecks:
    """Each of them passing and failing; they are run by themselves, so nothing is read before."""

    @staticmethod
    def looked(instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
        job = checks_only()
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = job.execute_in_process(instance=instance, run_config=quiet)
        return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}

    def test_all_are_content_with_a_mirror_that_was_just_read(self, instance, container: Container):
        run(instance, "bookings_mirror")
        found = self.looked(instance)
        assert {name: one.passed for name, one in found.items()} == dict.fromkeys(
            ("no_host_is_booked_twice", "bookings_are_fresh", "mirror_complete"), True
        )
        counts = {name: value.value for name, value in found["mirror_complete"].metadata.items()}
        assert counts == {"bookings at Cal.com": 60, "bookings here": 60, "rows in quarantine": 0}

    def test_a_host_who_is_booked_twice_is_named_with_the_booking(self, instance, container: Container, sandbox):
        event_type = next(e for e in sandbox.control.account()["eventTypes"] if e["ownerId"])
        at = stamp(utc_now() + timedelta(days=300))
        uids = {
            sandbox.control.mutate("add_booking", event_type_id=event_type["id"], start=at)["uid"] for _ in range(2)
        }
        read(container)
        found = self.looked(instance)["no_host_is_booked_twice"]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        ((booking, host, *_),) = rows_in(found.description)
        assert booking in uids
        assert host == str(event_type["ownerId"])

    def test_a_mirror_that_was_never_read_or_not_lately_is_stale(self, instance, container: Container):
        assert container.require_schema()
        never = self.looked(instance)["bookings_are_fresh"]
        assert (never.passed, never.description) == (False, "No read of bookings has ended yet.")
        read(container)
        with container.require_schema().transaction("Testing") as cursor:
            cursor.execute("UPDATE booking_listings SET polled_at = polled_at - interval '16 minutes'")
        late = self.looked(instance)["bookings_are_fresh"]
        assert not late.passed
        assert late.metadata["seconds since the last read"].value > late.metadata["seconds allowed"].value == 900

    def test_a_position_in_the_future_fails_the_check_until_the_next_read_has_set_it_anew(
        self, instance, container: Container
    ):
        read(container)
        with container.require_schema().transaction("Testing") as cursor:
            cursor.execute("UPDATE watermarks SET position = now() + interval '6 hours' WHERE stream = 'bookings'")
        found = self.looked(instance)["bookings_are_fresh"]
        assert not found.passed
        assert [part for _, part, _ in rows_in(found.description)] == ["mine"]
        told = metadata(run(instance, "bookings_mirror"), "bookings")
        assert told["why everything was read"] == "its position lay ahead of this clock"
        assert self.looked(instance)["bookings_are_fresh"].passed

    def test_a_deletion_shows_in_the_count_until_a_full_read_has_proven_it(
        self, instance, container: Container, sandbox
    ):
        read(container)
        sandbox.control.delete_bookings(count=3)
        read(container)
        found = self.looked(instance)["mirror_complete"]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "bookings_full_read" in (found.description or "")
        assert (found.metadata["bookings at Cal.com"].value, found.metadata["bookings here"].value) == (57, 60)
        assert metadata(run(instance, "bookings_full_read"), "bookings")["bookings proven deleted"] == 3
        assert self.looked(instance)["mirror_complete"].passed

    def test_where_old_bookings_are_dropped_counts_are_not_compared(self, instance, container: Container, monkeypatch):
        monkeypatch.setenv("CALCOM_BOOKING_RETENTION_DAYS", "1")
        assert container.require_schema()
        found = self.looked(instance)["mirror_complete"]
        assert found.passed
        assert "older ones are dropped on purpose" in (found.description or "")

    def test_a_row_in_quarantine_warns_with_its_reason_and_what_to_do(self, instance, container: Container):
        read(container)
        with container.require_schema().transaction("Testing") as cursor:
            cursor.execute(
                "INSERT INTO quarantine (stream, hash, raw, reason, first_seen_at, last_seen_at) "
                "VALUES ('bookings', 'x', '', 'start: is no instant', now(), now())"
            )
        found = self.looked(instance)["mirror_complete"]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert rows_in(found.description) == [["bookings", "1", "start: is no instant"]]
        assert "calcom-pipeline quarantine replay" in (found.description or "")

    def test_while_cal_com_cannot_be_asked_completeness_is_not_claimed(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        read(container)
        sandbox.control.add_fault("error", "GET /v2/bookings", status=500, count=100)
        found = self.looked(instance)["mirror_complete"]
        assert not found.passed
        assert "could not be asked" in (found.description or "")
