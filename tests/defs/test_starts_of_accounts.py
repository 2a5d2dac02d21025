"""What it costs to start a code location, by the number of its accounts."""

import cProfile
import os
import pstats
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calcom_pipeline.definitions import build_definitions
from calcom_pipeline.defs.account import Account
from calcom_pipeline.settings import Settings
from tests.support.commands import CHECKOUT
from tests.support.described import accounts_alone

pytestmark = pytest.mark.timeout(300)
_START = """
import time
began = time.process_time()
import dagster
imported = time.process_time()
import calcom_pipeline.definitions as location
repository = location.defs.get_repository_def()
repository.load_all_definitions()
print(imported - began, time.process_time() - began, len(repository.get_all_jobs()))
"""


def start_of(folder: Path, accounts: int) -> tuple[float, float, int]:
    """CPU seconds of importing Dagster and of the whole start, and the number of jobs. Without a server to ask."""
    shutil.rmtree(folder, ignore_errors=True)
    environment = {"PATH": os.environ["PATH"], **accounts_alone(folder, accounts)}
    ran = subprocess.run(
        [sys.executable, "-c", _START], env=environment, capture_output=True, text=True, check=False, cwd=CHECKOUT
    )
    assert ran.returncode == 0, ran.stderr
    imported, whole, jobs = ran.stdout.split()
    return float(imported), float(whole), int(jobs)


def calls_of(accounts: int) -> int:
    """Calls of Python functions while a location of so many accounts is made: the same on every machine."""
    known = [Account.further(Settings(account=f"agency_{n}")) for n in range(accounts)]
    profile = cProfile.Profile()
    profile.enable()
    build_definitions(known).get_repository_def().load_all_definitions()
    profile.disable()
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_an_account_more_costs_as_much_whether_there_are_few_or_many():
    """Left to Dagster, each job would look at the assets of all accounts: of a hundred, half a minute."""
    calls_of(1)  # what is imported, and cached, at first
    one, three, five = calls_of(1), calls_of(3), calls_of(5)
    assert five - three < 1.03 * (three - one)


def test_a_location_starts_without_a_server(tmp_path: Path):
    few = len(build_definitions([Account.from_environment()]).get_repository_def().get_all_jobs())
    _, _, many = start_of(tmp_path / "accounts", 3)
    assert many == 1 + 4 * (few - 1), "each has the same jobs"


@pytest.mark.proof
def test_a_location_of_a_hundred_accounts_starts_within_five_seconds(tmp_path: Path):
    """Of CPU, the best of three. Beside others on all cores the caches are theirs as well, which costs half as much."""
    is_busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    starts = [start_of(tmp_path / "accounts", 100) for _ in range(3)]
    for imported, whole, jobs in starts:
        print(f"100 accounts, {jobs} jobs: {whole:.1f} s of CPU, {imported:.1f} s of them to import Dagster")
    assert min(whole for _, whole, _ in starts) < (7.5 if is_busy else 5)
