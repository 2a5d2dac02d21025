"""Pictures in the metadata: what they are drawn from, that they are pictures, and what drawing leaves behind."""

import base64
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.reports.overview import CallsOfMinute, PostgresOverview
from calcom_pipeline.app.availability.ports import ShadowCounts
from calcom_pipeline.defs.availability.pictures import freshness
from calcom_pipeline.defs.pictures import AT_A_GLANCE, LIMITER_PICTURE, limiter_use
from calcom_pipeline.settings import Settings
from tests.support.commands import bare

NOW = datetime(2026, 11, 25, 10, 30, 20, tzinfo=UTC)
PNG = b"\x89PNG"


def test_the_calls_of_a_minute_are_counted_by_lane_from_the_rows_of_the_calls(database: Database):
    with database.transaction("Testing") as cursor:
        for seconds_ago, lane in [(10, "sync"), (15, "sync"), (15, "warm"), (90, "sync"), (4000, "sync")]:
            cursor.execute(
                "INSERT INTO api_calls VALUES (%s, 'Reading', 'slots', 'GET', 200, 'ok', 5, 0, 1, %s, NULL)",
                (NOW - timedelta(seconds=seconds_ago), lane),
            )
    found = PostgresOverview(database).calls_by_minute(since=NOW - LIMITER_PICTURE)
    minute = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
    assert found == [
        CallsOfMinute(minute - timedelta(minutes=2), "sync", 1),
        CallsOfMinute(minute, "sync", 2),
        CallsOfMinute(minute, "warm", 1),
    ]


def test_the_use_of_the_limit_is_a_picture_and_without_calls_there_is_none():
    assert limiter_use([], Settings(), now=NOW) == {}
    minute = NOW.replace(second=0)
    calls = [CallsOfMinute(minute, "sync", 80), CallsOfMinute(minute, "warm", 30)]
    drawn = limiter_use(calls, Settings(), now=NOW)
    assert list(drawn) == [AT_A_GLANCE, "calls to Cal.com in the last hour"]
    small = drawn[AT_A_GLANCE].md_str or ""
    assert small.endswith("09:30 to 10:30 UTC, under the limit of 120 (line): 80 sync (blue), 30 warm (orange).")
    text = drawn["calls to Cal.com in the last hour"].md_str or ""
    assert base64.b64decode(text.partition("base64,")[2].rstrip(")")).startswith(PNG)


def test_the_ages_of_cached_days_are_drawn_and_told_by_percentiles():
    told = freshness([float(n) for n in range(101)], 200, ShadowCounts(1, 7, 1000, 2), Settings())
    assert told["days fresh in Redis"] == "101 of 200, 50%"
    assert [told[f"age of fresh days, p{n}, seconds"] for n in (50, 90, 99)] == [50, 90, 99]
    assert told["wrong-slot rate"] == 0.002
    assert "ages of fresh days" in told
    assert "ages of fresh days" not in freshness([], 0, ShadowCounts(), Settings())


#: As a run does it; nothing is imported for pictures before there is something to draw.
DRAWS = """
import sys
from datetime import UTC, datetime
import calcom_pipeline.definitions
from calcom_pipeline.adapters.postgres.reports.overview import CallsOfMinute
from calcom_pipeline.defs.pictures import limiter_use
from calcom_pipeline.settings import load_settings
assert "matplotlib" not in sys.modules
now = datetime.now(UTC)
print(limiter_use([CallsOfMinute(now, "sync", 80)], load_settings(), now=now))
"""


class TestWhatDrawingLeavesBehind:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        folder = tmp_path / "home"
        folder.mkdir()
        return folder

    def draw(self, home: Path, **environment: str) -> str:
        """Draw in a process whose home is empty; nothing is left there. What it says on standard error."""
        variables = bare({"HOME": str(home), "CALCOM_ENV_FILE": "", **environment})
        done = subprocess.run([sys.executable, "-c", DRAWS], env=variables, capture_output=True, text=True, check=True)
        assert "data:image/png" in done.stdout
        assert list(home.iterdir()) == []
        return done.stderr

    def test_the_cache_of_fonts_is_kept_in_the_data_folder_whether_or_not_that_was_there(
        self, home: Path, tmp_path: Path
    ):
        data = tmp_path / "deep" / "data"
        self.draw(home, CALCOM_DATA_DIR=str(data))
        assert list((data / "cache" / "matplotlib").iterdir())

    def test_where_the_data_folder_cannot_be_written_a_temporary_one_is_taken(self, home: Path, tmp_path: Path):
        blocked, temporary = tmp_path / "blocked", tmp_path / "temporary"
        blocked.write_text("a file")
        temporary.mkdir()
        told = self.draw(home, CALCOM_DATA_DIR=str(blocked), TMPDIR=str(temporary))
        assert "temporary cache directory" in told
        assert list(temporary.iterdir()) == [], "it goes with the process"

    def test_a_folder_that_was_chosen_is_kept_to(self, home: Path, tmp_path: Path):
        chosen = tmp_path / "chosen"
        self.draw(home, CALCOM_DATA_DIR=str(tmp_path / "data"), MPLCONFIGDIR=str(chosen))
        assert list(chosen.iterdir())
        assert not (tmp_path / "data").exists()
