"""Pictures in the metadata: what they are drawn from, that they are pictures, and what drawing leaves behind."""

import base64
import json
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


#: As a run does it, in a process for each of several environments; nothing is imported for pictures before there is
#: something to draw.
DRAWS = """
import json, os, sys
from datetime import UTC, datetime
import calcom_pipeline.definitions
from calcom_pipeline.adapters.postgres.reports.overview import CallsOfMinute
from calcom_pipeline.defs.pictures import limiter_use
from calcom_pipeline.settings import load_settings
assert "matplotlib" not in sys.modules
for name, variables in json.loads(sys.argv[2]).items():
    if not (child := os.fork()):
        os.environ.update(variables)
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{sys.argv[1]}/{name}.{stream}", os.O_CREAT | os.O_WRONLY), number)
        now = datetime.now(UTC)
        print(limiter_use([CallsOfMinute(now, "sync", 80)], load_settings(), now=now))
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them have drawn."""
    place = tmp_path_factory.mktemp("drawn")
    (place / "blocked").write_text("a file")
    (place / "temporary").mkdir()
    places: dict[str, dict[str, str]] = {
        "kept": {"CALCOM_DATA_DIR": f"{place}/deep/data"},
        "nowhere": {"CALCOM_DATA_DIR": f"{place}/blocked", "TMPDIR": f"{place}/temporary"},
        "chosen": {"CALCOM_DATA_DIR": f"{place}/not-used", "MPLCONFIGDIR": f"{place}/chosen"},
    }
    for name, variables in places.items():
        variables["HOME"] = f"{place}/home of {name}"
        Path(variables["HOME"]).mkdir()
    variables = bare({"CALCOM_ENV_FILE": ""})
    words = [sys.executable, "-c", DRAWS, str(place), json.dumps(places)]
    subprocess.run(words, env=variables, capture_output=True, check=True)
    return place


class TestWhatDrawingLeavesBehind:
    """Each process has an empty home, in which nothing is left."""

    def what_is_said(self, place: Path, name: str) -> str:
        """On standard error, by one that has drawn."""
        assert "data:image/png" in (place / f"{name}.out").read_text()
        assert list((place / f"home of {name}").iterdir()) == []
        return (place / f"{name}.err").read_text()

    def test_the_cache_of_fonts_is_kept_in_the_data_folder_whether_or_not_that_was_there(self, place: Path):
        self.what_is_said(place, "kept")
        assert list((place / "deep" / "data" / "cache" / "matplotlib").iterdir())

    def test_where_the_data_folder_cannot_be_written_a_temporary_one_is_taken(self, place: Path):
        assert "temporary cache directory" in self.what_is_said(place, "nowhere")
        assert list((place / "temporary").iterdir()) == [], "it goes with the process"

    def test_a_folder_that_was_chosen_is_kept_to(self, place: Path):
        self.what_is_said(place, "chosen")
        assert list((place / "chosen").iterdir())
        assert not (place / "not-used").exists()
