"""Every command of the tutorials works, in the order in which it is read."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calcom_pipeline.bootstrap.locations import SANDBOX_KEY
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.commands import CHECKOUT
from tests.support.tutorials import Reader, blocks, is_serving

TUTORIALS = sorted((CHECKOUT / "docs" / "tutorials").glob("*.md"))
#: It has its reader start a sandbox.
SERVES_ITS_OWN = "first-sync"
ENDS_WITH_A_DELIVERY = "availability-on-your-website"
#: What shows that a tutorial got to its point.
SHOWN = {
    "first-sync": ("created as event type 9", "9 wheel-building 45", "put back duration_minutes"),
    "own-table": ("Attached public.offerings: 3 services.", "2 created", "1 refused"),
    "availability-on-your-website": ("reservationUid", '"status":"accepted"', "subscribed as it should be"),
}


@pytest.fixture(scope="module")
def account() -> Iterator[RunningSandbox]:
    """What stands for the reader's own account."""
    with serve_sandbox("demo", event_types=8, teams=0, bookings=20, control=False) as running:
        yield running


@contextmanager
def reader(**variables: str) -> Iterator[Reader]:
    """Somebody with an empty home and a data folder of his own; short paths, since sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="calcom-tutorial-"))
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", home)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "CALCOM_ENV_FILE": "",
        "CALCOM_DATA_DIR": str(folder / "data"),
        "DAGSTER_HOME": str(home),
        **variables,
    }
    reading = Reader(folder, environment, {"REPOSITORY": str(CHECKOUT), "cal_live_...": SANDBOX_KEY})
    try:
        yield reading
    finally:
        reading.leave()


def test_a_command_that_serves_is_a_block_of_its_own():
    served = [block for page in TUTORIALS for block in blocks(page) if is_serving(block)]
    assert len(served) >= 5
    assert [block for block in served if len(block.strip().splitlines()) > 1] == []


def test_a_command_that_fails_stops_its_reader():
    with reader() as reading:
        reading.follow('echo "calcom-pipeline apply 20261129-131631-45a63f90"\n')
        reading.follow("echo applied PLAN\n")
        assert "applied 20261129-131631-45a63f90" in reading.said()
        with pytest.raises(AssertionError, match="ended with 1"):
            reading.follow("false | cat\necho not reached\n")
        assert "not reached" not in reading.said()


@pytest.mark.proof
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_works_in_its_order(page: Path, account: RunningSandbox):
    known = {} if page.stem == SERVES_ITS_OWN else {"CALCOM_BASE_URL": account.url}
    with reader(**known) as reading:
        for block in blocks(page):
            reading.follow(block)
        said = reading.said()
    assert [words for words in SHOWN[page.stem] if words not in said] == []
    if page.stem == ENDS_WITH_A_DELIVERY:
        before, after = re.findall(r'"start":"([^"]+)"', said)[-2:]
        assert before < after  # the start that was booked at Cal.com is gone
