"""Batches of a plan: each is looked at in time, before its own writes and after nothing else of its own."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from calcom_pipeline.app.services.batches import Batch, OwnerLook, write_batches
from calcom_pipeline.app.services.ports import ActionResult
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.services.plans import Action

NOW = datetime(2026, 12, 1, tzinfo=UTC)
WAIT_SECONDS = 20


def batches(count: int, size: int = 2) -> list[Batch]:
    """Batches whose services are named after batch and place: b0-0, b0-1, b1-0 ..."""
    return [
        [(n * size + k, Action("push", f"b{n}-{k}", "", Owner("user", 1))) for k in range(size)] for n in range(count)
    ]


def result(position: int, action: Action) -> ActionResult:
    return ActionResult(position, "done", "", action.service_id, action.kind, None)


class Told:
    """What happened, in order, from all threads."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def tell(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def until(self, line: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: line in self.lines, WAIT_SECONDS), f"{line} never came: {self.lines}"

    def look(self, batch: Batch) -> OwnerLook:
        self.tell(f"look {batch[0][1].service_id[:2]}")
        return OwnerLook({}, {}, NOW)

    def write(self, _: OwnerLook, position: int, action: Action) -> ActionResult:
        self.tell(f"write {action.service_id}")
        return result(position, action)


def test_with_one_worker_everything_happens_in_turn():
    told = Told()
    done = list(write_batches(batches(3), look=told.look, write=told.write, workers=1))
    assert told.lines == [line for n in range(3) for line in (f"look b{n}", f"write b{n}-0", f"write b{n}-1")]
    assert [[r.service_id for r in batch.results] for batch in done] == [[f"b{n}-0", f"b{n}-1"] for n in range(3)]


def test_with_several_workers_the_next_batch_is_looked_at_while_the_last_one_is_written():
    told = Told()

    def write(look: OwnerLook, position: int, action: Action) -> ActionResult:
        if action.service_id.startswith("b0"):
            told.until("look b1")  # would never come if the look waited for this write
        return told.write(look, position, action)

    assert len(list(write_batches(batches(3), look=told.look, write=write, workers=2))) == 3


def test_every_batch_is_written_with_its_own_look_and_results_come_in_order():
    looks: dict[str, OwnerLook] = {}

    def look(batch: Batch) -> OwnerLook:
        found = OwnerLook({}, {}, NOW)
        looks[batch[0][1].service_id.partition("-")[0]] = found
        return found

    def write(look: OwnerLook, position: int, action: Action) -> ActionResult:
        assert look is looks[action.service_id.partition("-")[0]]
        return result(position, action)

    done = list(write_batches(batches(20, 10), look=look, write=write, workers=10))
    assert [r.position for batch in done for r in batch.results] == list(range(200))


def test_where_a_batch_takes_long_its_successor_is_looked_at_late(monkeypatch: pytest.MonkeyPatch):
    """A limiter spreads a batch over seconds: a look right at its beginning would be old when its turn comes."""
    told, waits, clock = Told(), list[float | None](), FakeSeconds()

    def look(batch: Batch) -> OwnerLook:
        clock.now += 1
        return told.look(batch)

    def write(look: OwnerLook, position: int, action: Action) -> ActionResult:
        if position < 3:
            told.until(f"look b{position + 1}")
            clock.now += 10
        return told.write(look, position, action)

    monkeypatch.setattr("calcom_pipeline.app.services.batches.wait", lambda _, seconds: waits.append(seconds))
    done = list(write_batches(batches(4, 1), look=look, write=write, workers=2, clock=clock))
    assert len(done) == 4
    assert waits == [12 - 2, 11 - 2]  # the first batch, its look and the next one's took 12 s; the second 11 s


class FakeSeconds:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_of_a_write_reaches_the_caller_and_what_was_not_begun_never_is(workers: int):
    told = Told()

    def write(look: OwnerLook, position: int, action: Action) -> ActionResult:
        if action.service_id == "b1-0":
            raise RuntimeError("a bug")
        return told.write(look, position, action)

    running = write_batches(batches(9), look=told.look, write=write, workers=workers)
    with pytest.raises(RuntimeError, match="a bug"):
        list(running)
    assert "look b4" not in told.lines


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_of_a_look_comes_after_the_results_of_what_was_under_way(workers: int):
    """What was written must be told, whatever became of the next listing."""
    told, done = Told(), list[str]()

    def look(batch: Batch) -> OwnerLook:
        if batch[0][1].service_id == "b2-0":
            raise ConnectionError("away")
        return told.look(batch)

    with pytest.raises(ConnectionError, match="away"):
        for batch in write_batches(batches(4), look=look, write=told.write, workers=workers):
            done += [r.service_id for r in batch.results]
    assert done == ["b0-0", "b0-1", "b1-0", "b1-1"]


def test_nothing_to_do_looks_at_nothing():
    def never(*_: object) -> Iterator[Callable[[], None]]:
        raise AssertionError("nothing is to be looked at or written")

    assert list(write_batches([], look=never, write=never, workers=3)) == []
