"""`calcom-pipeline exec`: a program of Dagster's with what it needs, its secrets read out of files."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import argv, bare, process, warm

TELL = "import json, os; print(json.dumps({n: os.environ.get(n) for n in ('DAGSTER_PG_URL', 'DAGSTER_HOME')}))"


@pytest.fixture
def with_files(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same environment, every secret in a file."""
    given = dict(environment)
    for name in ("CALCOM_API_KEY", "DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL"):
        file = tmp_path / name.lower()
        file.write_text(given.pop(name) + "\n")
        given[f"{name}_FILE"] = str(file)
    return {**given, "CALCOM_LOCAL": "never", "CALCOM_DATA_DIR": str(tmp_path / "data")}


def test_it_hands_on_the_address_of_dagster_s_database_that_a_file_holds(with_files: dict[str, str]):
    told = process("exec", sys.executable, "-c", TELL, environment=with_files)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["DAGSTER_PG_URL"].startswith("postgresql+psycopg2://")
    assert found["DAGSTER_HOME"]


def test_the_program_takes_its_place_so_that_signals_reach_it(with_files: dict[str, str]):
    program = "import time; print('ready', flush=True); time.sleep(60)"
    words = argv("exec", sys.executable, "-c", program)
    with subprocess.Popen(words, env=bare(with_files), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "environment", "told"),
    [
        (("no-such-program",), {"DATABASE_URL": "postgresql://h/x", "REDIS_URL": "redis://h"}, "no program no-such"),
        (("true",), {}, "DATABASE_URL and REDIS_URL name no servers"),
    ],
)
def test_what_it_cannot_run_is_told(words: tuple[str, ...], environment: dict[str, str], told: str):
    done = warm("exec", *words, environment={"CALCOM_ENV_FILE": "", **environment})
    assert done.returncode == 3
    assert told in done.stderr
