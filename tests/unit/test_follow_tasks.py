"""What follows changes by itself: how soon it looks again, and what is told of a failure."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.web.following import FollowTask

HERE: Any = SimpleNamespace(settings=SimpleNamespace(account="agency_a"))
AWAY = StoreError("PostgreSQL is away", advice="Start it.")
BUG = ZeroDivisionError("of carol@example.org")


def task(answers: list[float | Exception | None], look_seconds: float) -> FollowTask:
    """One whose work answers so, look after look."""

    def follow() -> float | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return FollowTask(HERE, "clearing", follow, look_seconds=look_seconds)


@pytest.mark.parametrize(
    ("look_seconds", "answer", "next_look"),
    [(1.0, None, 1.0), (10.0, 2.0, 2.0), (1.0, 2.0, 1.0), (1.0, AWAY, 5.0), (60.0, AWAY, 60.0), (1.0, BUG, 5.0)],
)
def test_it_looks_again_in_its_time_or_sooner_and_at_a_server_that_is_away_no_sooner_than_in_5_seconds(
    look_seconds: float, answer: float | Exception | None, next_look: float
):
    assert task([answer], look_seconds).work() == next_look


def test_a_failure_is_told_once_as_long_as_it_stays_the_same(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger="calcom_pipeline.following")
    follows = task([AWAY, AWAY, None, AWAY], 1.0)
    told = list[int]()
    for _ in range(4):
        follows.work()
        told.append(len(caplog.records))
    assert told == [1, 1, 1, 2]
    assert '"account": "agency_a"' in caplog.records[0].getMessage()
    assert "clearing_failed" in caplog.records[0].getMessage()


def test_a_bug_is_an_error_with_the_name_of_its_task_and_without_its_text(caplog: pytest.LogCaptureFixture):
    task([BUG], 1.0).work()
    (told,) = caplog.records
    assert told.levelno == logging.ERROR
    assert "clearing_failed" in told.getMessage()
    assert "ZeroDivisionError" in told.getMessage()
    assert "carol" not in told.getMessage()
