"""A schedule that could not be evaluated: asked again, or the next night's turn."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import yaml
from dagster._core.scheduler import DagsterDaemonScheduler
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._scheduler.scheduler import launch_scheduled_runs

from tests.support.commands import CHECKOUT

NIGHT = datetime(2026, 11, 30, 3, tzinfo=UTC)
LOCATION = """
from pathlib import Path

import dagster as dg


@dg.op
def nothing():
    pass


@dg.job
def read_all():
    nothing()


@dg.schedule(
    job=read_all, cron_schedule="0 3 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING
)
def nightly(context):
    asked = Path(__file__).with_name("asked")
    if not asked.exists():
        asked.touch()
        raise ConnectionError("the database is away")
    return dg.SkipReason("asked again")


defs = dg.Definitions(jobs=[read_all], schedules=[nightly])
"""


def test_a_schedule_that_failed_at_night_is_asked_again_a_minute_later(tmp_path: Path):
    file = tmp_path / "location.py"
    file.write_text(LOCATION)
    shipped = yaml.safe_load((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())
    overrides = {key: shipped[key] for key in ("scheduler",) if key in shipped}
    target = PythonFileTarget(str(file), attribute=None, working_directory=str(tmp_path), location_name="one")
    found: list[TickStatus] = []
    with (
        dg.instance_for_test(overrides, temp_dir=str(tmp_path)) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        assert isinstance(instance.scheduler, DagsterDaemonScheduler)
        retries = instance.scheduler.max_tick_retries
        for moment in (NIGHT - timedelta(minutes=1), NIGHT, NIGHT + timedelta(minutes=1)):
            list(launch_scheduled_runs(workspace, logging.getLogger(), moment, {}, max_tick_retries=retries))
            states = instance.all_instigator_state()
            found += [t.status for s in states for t in instance.get_ticks(s.instigator_origin_id, s.selector_id)]
    assert found == [TickStatus.FAILURE, TickStatus.SKIPPED]
