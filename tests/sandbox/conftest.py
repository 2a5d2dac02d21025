"""One sandbox of the recorded account for all tests of this folder, as new before each, its clock standing."""

from collections.abc import Iterator

import pytest

from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.contract.replaying import Receiver, receiver
from tests.sandbox.talking import Talker

#: A Sunday; the Monday after it is 2026-11-23.
NOW = "2026-11-22T08:00:00Z"


@pytest.fixture(scope="session")
def captures_sandbox() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures", now=NOW, in_thread=True) as running:
        yield running


@pytest.fixture
def calcom(captures_sandbox: RunningSandbox) -> Iterator[Talker]:
    """Alice's client. Whatever it was answered must fit the OpenAPI document, and nothing may have crashed."""
    captures_sandbox.control.reset(account=True)
    captures_sandbox.control.freeze(NOW)
    talker = Talker(captures_sandbox)
    yield talker
    talker.close()
    assert talker.complaints == []
    assert captures_sandbox.control.counters()["crashes"] == 0


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    """A webhook receiver."""
    with receiver() as running:
        yield running
