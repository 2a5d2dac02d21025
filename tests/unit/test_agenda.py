"""Tasks of many accounts take turns: on a clock of the test's own, and in real threads."""

import threading
from collections import Counter

from calcom_pipeline.app.agenda import Agenda, AgendaEntry
from calcom_pipeline.app.tasks import TaskThreads
from tests.support.waiting import until


def entry(name: str) -> AgendaEntry:
    return Named(name)


class Named(AgendaEntry):
    """One that shows its name."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda: None)
        self.name = name

    def __repr__(self) -> str:
        return self.name


def turns(agenda: Agenda, now: float) -> list[AgendaEntry]:
    """All that are due, in their order; each runs until this returns."""
    taken = list[AgendaEntry]()
    while (one := agenda.take(now)) is not None:
        taken.append(one)
    return taken


class TestOrder:
    def test_those_that_were_woken_come_first_as_they_were_then_those_whose_time_has_come(self):
        agenda, a, b, c, d = Agenda(), entry("a"), entry("b"), entry("c"), entry("d")
        for one, at in ((a, 3.0), (b, 1.0), (c, None), (d, 9.0)):
            agenda.plan(one, at)
        agenda.wake(d)
        agenda.wake(c)
        assert turns(agenda, 5.0) == [d, c, b, a]

    def test_nothing_is_due_before_its_time(self):
        agenda, a = Agenda(), entry("a")
        agenda.plan(a, 10.0)
        assert agenda.take(9.9) is None
        assert agenda.next_at() == 10.0
        assert agenda.take(10.0) is a

    def test_one_that_runs_is_not_run_beside_itself_and_once_more_for_all_that_woke_it_meanwhile(self):
        agenda, a = Agenda(), entry("a")
        agenda.wake(a)
        assert agenda.take(0.0) is a
        for _ in range(5):
            agenda.wake(a)
        assert agenda.take(0.0) is None
        agenda.done(a, now=0.0, again_seconds=None)
        assert turns(agenda, 0.0) == [a]
        agenda.done(a, now=0.0, again_seconds=None)
        assert turns(agenda, 1e9) == []

    def test_one_that_always_has_more_lets_the_others_go_in_between(self):
        agenda, storm, calm = Agenda(), entry("storm"), entry("calm")
        agenda.wake(storm)
        assert agenda.take(0.0) is storm
        agenda.wake(storm)
        agenda.wake(calm)
        agenda.done(storm, now=0.0, again_seconds=0.0)
        assert agenda.take(0.0) is calm
        assert agenda.take(0.0) is storm

    def test_waking_one_earlier_takes_its_time_off(self):
        agenda, a = Agenda(), entry("a")
        agenda.plan(a, 10.0)
        agenda.wake(a)
        assert agenda.take(1.0) is a
        agenda.done(a, now=1.0, again_seconds=30.0)
        assert agenda.take(10.0) is None
        assert agenda.take(31.0) is a

    def test_a_hundred_that_are_looked_at_in_turns_are_spread_evenly(self):
        agenda, looks, now = Agenda(), Counter[int](), 0.0
        for number in range(100):
            agenda.plan(entry(f"{number}"), number / 10)
        while now < 200.0:
            for one in turns(agenda, now):
                looks[int(now)] += 1
                agenda.done(one, now=now, again_seconds=50.0)
            now += 0.1
        assert sum(looks.values()) == 400
        assert max(looks.values()) <= 11


def failing(error: Exception) -> None:
    raise AssertionError(error)


class TestThreads:
    def test_idle_tasks_need_one_thread_however_many_they_are(self):
        before = threading.active_count()
        ran = Counter[int]()
        with TaskThreads("t", most=4, failed=failing) as threads:
            for number in range(100):
                threads.add(lambda number=number: ran.update([number]))
            until(lambda: len(ran) == 100)
            until(lambda: threading.active_count() - before <= 2)
        assert threading.active_count() == before
        assert set(ran.values()) == {1}

    def test_one_that_stalls_holds_one_thread_and_no_other_task(self):
        stalled, over, ran = threading.Event(), threading.Event(), Counter[str]()

        def stall() -> None:
            stalled.set()
            assert over.wait(60)

        with TaskThreads("t", most=2, failed=failing) as threads:
            threads.add(stall)
            assert stalled.wait(60)
            other = threads.add(lambda: ran.update(["other"]), first_after=None)
            for number in range(1, 4):
                other.wake()
                until(lambda number=number: ran["other"] >= number)
            over.set()

    def test_a_bug_in_one_is_told_and_ends_nobody(self):
        told, ran = list[Exception](), threading.Event()

        def broken() -> None:
            raise ZeroDivisionError

        with TaskThreads("t", most=1, failed=told.append) as threads:
            threads.add(broken)
            threads.add(ran.set)
            assert ran.wait(60)
        assert [type(error) for error in told] == [ZeroDivisionError]

    def test_the_end_of_one_is_waited_for_with_all_it_was_woken_for(self):
        left, done = [3], list[int]()

        def work() -> float | None:
            done.append(left[0])
            left[0] -= 1
            return 0.0 if left[0] else None

        with TaskThreads("t", most=1, failed=failing) as threads:
            task = threads.add(work, first_after=None)
            task.wake()
            task.end()
            assert done == [3, 2, 1]

    def test_what_has_not_begun_when_all_is_closed_never_does(self):
        began, over, ran = threading.Event(), threading.Event(), list[str]()

        def first() -> None:
            began.set()
            assert over.wait(60)

        threads = TaskThreads("t", most=1, failed=failing)
        threads.add(first)
        assert began.wait(60)
        threads.add(lambda: ran.append("second"))
        closing = threading.Thread(target=threads.close)
        closing.start()
        until(lambda: threads._ending)  # pyright: ignore[reportPrivateUsage]
        over.set()
        closing.join(60)
        assert ran == []
