"""Whose time zone rules count, and what becomes of zones that they do not have."""

import json
import os
import shutil
import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from calcom_pipeline.app.availability.refresh import canonical_queries
from calcom_pipeline.app.maintenance.zone_check import differing_from_calcom, differing_from_system, unknown_zones
from calcom_pipeline.domain.bookings.requests import BookingRules, new_start
from calcom_pipeline.domain.errors import ContractBroken, InvalidInput
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.zones import UnknownZoneError, canonical_zone, zone_of
from calcom_pipeline.zone_rules import system_zone

VANCOUVER = "America/Vancouver"
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
#: Books a naive start, and asks the others who know zones for the same.
ASK = """
import json, subprocess, sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
early = ZoneInfo("America/Vancouver")
from calcom_pipeline.domain.bookings.requests import BookingRules, new_start
from datetime import timedelta
rules = BookingRules(now=datetime(2026, 12, 1, tzinfo=UTC), default_zone="UTC", minimum_notice=timedelta())
naive = datetime(2026, 12, 15, 9)
start = new_start(naive, rules, zone="america/vancouver")
import pandas
from hypothesis.strategies import timezone_keys  # asks zoneinfo for the names
print(json.dumps({
    "booked": start.astimezone(UTC).isoformat(),
    "zoneinfo": naive.replace(tzinfo=ZoneInfo("America/Vancouver")).astimezone(UTC).isoformat(),
    "pandas": pandas.Timestamp(naive, tz=ZoneInfo("America/Vancouver")).tz_convert("UTC").isoformat(),
    "before": naive.replace(tzinfo=early).astimezone(UTC).isoformat(),
}))
"""


@pytest.fixture
def other_system(tmp_path: Path) -> Path:
    """A system whose rules put Vancouver at UTC-11, as no release ever did, and know no other zone."""
    with as_file(files("tzdata") / "zoneinfo" / "Etc" / "GMT+11") as odd:
        (tmp_path / "America").mkdir()
        shutil.copy(odd, tmp_path / VANCOUVER)
    return tmp_path


def locked(moment: datetime) -> str:
    with (files("tzdata") / "zoneinfo" / "America" / "Vancouver").open("rb") as data:
        return moment.replace(tzinfo=ZoneInfo.from_file(data, key=VANCOUVER)).astimezone(UTC).isoformat()


def test_a_naive_start_is_booked_by_the_locked_rules_whatever_the_system_has(other_system: Path):
    """On Debian 12 (tzdata 2025b) the system has Vancouver at UTC-8 on that day, one hour off."""
    environment = {**os.environ, "PYTHONTZPATH": str(other_system)}
    ran = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    expected = locked(datetime(2026, 12, 15, 9))  # noqa: DTZ001 - the zone is put in there
    assert told.pop("before") == "2026-12-15T20:00:00+00:00", "the system's rules did not count before"
    assert set(told.values()) == {expected}


def test_every_process_that_imports_the_package_asks_nobody_else():
    assert zoneinfo.TZPATH == ()


def test_the_doctor_names_zones_for_which_the_system_says_something_else(other_system: Path):
    def system(name: str) -> ZoneInfo | None:
        return system_zone(name, (str(other_system),))

    found = differing_from_system({"america/vancouver", "Europe/Berlin", "Mars/Olympus"}, system, now=NOW)
    assert found == ["America/Vancouver from 2026-12-01 on"]
    assert differing_from_system({VANCOUVER}, zone_of, now=NOW) == []


def test_the_doctor_compares_the_offsets_in_cal_coms_own_answers():
    start = datetime(2026, 12, 15, 8, tzinfo=UTC)
    assert differing_from_calcom("Europe/Berlin", {start: timedelta(hours=1)}) == ""
    said = differing_from_calcom("Europe/Berlin", {start: timedelta(hours=-9, minutes=-30)})
    assert said == "Cal.com has Europe/Berlin at UTC-09:30 on 2026-12-15, the rules used here at UTC+01:00"


@pytest.mark.parametrize(
    ("spelled", "known"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("us/pacific", "US/Pacific"),
        ("ETC/gmt+1", "Etc/GMT+1"),
        ("Mars/Olympus", None),
        ("", None),
        ("Europe", None),
        ("../../etc/passwd", None),
        ("/etc/localtime", None),
        ("a\0b", None),
    ],
)
def test_a_zone_is_known_in_any_spelling_or_it_is_unknown(spelled: str, known: str | None):
    assert canonical_zone(spelled) == known
    if known is None:
        with pytest.raises(UnknownZoneError, match="is not in the rules"):
            zone_of(spelled)
    else:
        assert zone_of(spelled).key == known
    assert unknown_zones([spelled]) == ([] if known else [spelled])


def test_an_event_type_in_an_unknown_zone_is_not_asked_for_and_says_why():
    event_type = EventType(7, Owner("user", 1), "a", "A", 30, schedule_zone="Mars/Olympus")
    with pytest.raises(ContractBroken, match="Event type 7: time zone 'Mars/Olympus' is not in the rules"):
        canonical_queries(event_type, now=NOW, horizon_days=7)


def test_a_move_into_a_zone_that_is_none_is_refused_in_a_sentence():
    rules = BookingRules(now=NOW, default_zone="UTC", minimum_notice=timedelta())
    with pytest.raises(InvalidInput, match="timeZone: is no IANA time zone"):
        new_start("2026-12-15T09:00:00", rules, zone="Mars/Olympus")
    assert new_start("2026-12-15T09:00:00", rules, zone="europe/berlin").hour == 8
