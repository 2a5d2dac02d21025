"""Work that follows changes: when it is done, what a failure changes, how it ends."""

import threading
from collections.abc import Callable

from calcom_pipeline.app.background import BackgroundThread
from tests.support.waiting import until

NEVER = 3600.0
A_MOMENT = 0.3


def following(
    work: Callable[[], float | None], every_seconds: float = NEVER, failed: Callable[[Exception], None] = lambda _: None
) -> BackgroundThread:
    return BackgroundThread(work, name="test", every_seconds=every_seconds, failed=failed)


def test_it_works_when_it_is_woken_and_once_for_all_who_woke_it_meanwhile():
    began, goes_on, done = threading.Event(), threading.Event(), list[int]()

    def work() -> None:
        began.set()
        assert goes_on.wait(20)
        done.append(1)

    with following(work) as thread:
        thread.wake()
        assert began.wait(20)
        for _ in range(5):
            thread.wake()
        goes_on.set()
        until(lambda: len(done) == 2)
    assert len(done) == 2


def test_it_works_again_after_as_long_as_the_work_says():
    done = list[int]()

    def work() -> float | None:
        done.append(1)
        return 0.01 if len(done) < 3 else None

    with following(work) as thread:
        thread.wake()
        until(lambda: len(done) == 3)


def test_a_failure_is_heard_of_ends_nothing_and_is_not_repeated_at_once():
    heard, again = list[Exception](), threading.Event()

    def work() -> None:
        if heard:
            again.set()
        raise RuntimeError

    with following(work, 0.01, heard.append) as thread:
        until(lambda: heard)
        assert not again.wait(A_MOMENT), "a server that is away is not asked a hundred times a second"
        thread.wake()
        assert again.wait(20)
    assert {type(error) for error in heard} == {RuntimeError}
