"""One daemon an instance: who claims it, and what is known of strangers' daemons by their beats."""

import threading
import time
from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.maintenance.daemon_claim import LOST_SECONDS, DaemonClaim
from calcom_pipeline.adapters.process_identity import this_process
from calcom_pipeline.defs.maintenance import instance_watch
from calcom_pipeline.defs.maintenance.instance_watch import QUIET_SECONDS, Beats, InstanceWatch
from calcom_pipeline.domain.errors import StoreError
from tests.defs.maintenance.test_dead_runs import ELSEWHERE, dead_process
from tests.support.dagster_runs import dagster_database, own_instance
from tests.support.databases import own_database

__all__ = ["dagster_database", "own_instance"]


@pytest.fixture
def instance(own_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return own_instance


def beats(*seen: dict[str, float]) -> Beats:
    found = Beats()
    for look, at in enumerate(seen):
        found.see(at.items(), float(look))
    return found


@pytest.mark.parametrize(
    ("looks", "two"),
    [
        ([{}], False),
        ([{"a": 0}, {"a": 30}, {"a": 60}], False),
        ([{"a": 0}, {"a": 30}, {"b": 41}, {"b": 71}], False),  # b replaced a
        ([{"a": 0}, {"b": 15}, {"a": 30}], False),  # a may have ended at 30
        ([{"a": 0}, {"b": 15}, {"a": 30}, {"b": 45}], True),
        ([{"a": 0, "b": 10}, {"a": 30, "b": 40}], True),
    ],
)
def test_two_daemons_are_known_by_beating_in_turn(looks: list[dict[str, float]], two: bool):
    assert beats(*looks).are_two() is two


def test_a_daemon_has_ended_when_its_beats_no_longer_change():
    found = Beats()
    assert not found.are_quiet(0.0)
    found.see([("a", 5.0)], 100.0)
    found.see([("a", 5.0)], 100.0 + QUIET_SECONDS - 1)
    assert not found.are_quiet(100.0 + QUIET_SECONDS - 1)
    assert found.are_quiet(100.0 + QUIET_SECONDS)
    found.see([("a", 35.0)], 100.0 + QUIET_SECONDS)
    assert not found.are_quiet(100.0 + QUIET_SECONDS + 1)


@pytest.fixture
def url(servers: local.Servers, schema_name: str) -> Iterator[str]:
    """A database of its own: there is one claim in each."""
    with own_database(servers, schema_name) as url:
        yield url


def age(url: str, seconds: float) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE calcom_daemon_claim SET renewed_at = renewed_at - make_interval(secs => %s)", (seconds,)
        )


class TestClaim:
    def test_one_has_it_and_renews_it_and_another_gets_it_when_it_is_released(self, url: str):
        claim, me = DaemonClaim(url), this_process()
        assert claim.take(me).other is None
        assert claim.take(me).other is None
        assert claim.take(ELSEWHERE).other == me
        claim.release(ELSEWHERE)
        assert claim.take(ELSEWHERE).other == me, "nobody releases what is not theirs"
        claim.release(me)
        assert claim.take(ELSEWHERE).other is None

    def test_that_of_a_dead_process_of_this_machine_is_taken_at_once(self, url: str):
        claim = DaemonClaim(url)
        claim.take(dead_process())
        taken = claim.take(this_process())
        assert (taken.other, taken.from_the_dead) == (None, True)

    def test_that_of_a_process_elsewhere_is_taken_when_it_was_silent_for_long(self, url: str):
        claim = DaemonClaim(url)
        claim.take(ELSEWHERE)
        age(url, LOST_SECONDS - 5)
        assert claim.take(this_process()).other == ELSEWHERE
        age(url, 5)
        taken = claim.take(this_process())
        assert (taken.other, taken.from_the_dead) == (None, False)


class TestWatch:
    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def watch(self, said: list[str], instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> InstanceWatch:
        monkeypatch.setattr(instance_watch, "_CLAIM_LOOK_SECONDS", 0.01)
        instance.wipe_daemon_heartbeats()
        return InstanceWatch(said.append)

    def beat(self, instance: dg.DagsterInstance, name: str, at: float) -> None:
        from dagster._daemon import types  # late: all of the daemon comes with it, in every worker that collects this

        instance.add_daemon_heartbeat(types.DaemonHeartbeat(at, "SENSOR", name, errors=[]))

    def test_on_a_quiet_instance_the_daemon_may_run_until_the_end(self, url: str, watch: InstanceWatch):
        assert not watch.may_run_daemon()
        assert watch.begin(url) is None
        assert watch.may_run_daemon()
        watch.end()
        assert DaemonClaim(url).take(ELSEWHERE).other is None

    def test_a_living_holder_is_told_from_a_dead_one_by_its_next_renewal(
        self, url: str, watch: InstanceWatch, monkeypatch: pytest.MonkeyPatch
    ):
        DaemonClaim(url).take(ELSEWHERE)
        taken: list[object] = []
        take = DaemonClaim.take

        def renewing(self: DaemonClaim, holder: str) -> object:
            taken.append(take(self, holder))
            if len(taken) == 3:
                take(self, ELSEWHERE)
            return taken[-1]

        monkeypatch.setattr(DaemonClaim, "take", renewing)
        assert watch.begin(url) == ELSEWHERE
        assert len(taken) == 4
        assert not watch.may_run_daemon()

    def test_a_strangers_daemon_is_waited_for_until_it_is_gone(
        self, url: str, watch: InstanceWatch, said: list[str], instance: dg.DagsterInstance, monkeypatch
    ):
        self.beat(instance, "theirs", time.time())
        assert watch.begin(url) is None
        assert not watch.may_run_daemon()
        watch._look(instance)
        assert not watch.may_run_daemon()
        later = time.monotonic() + QUIET_SECONDS
        monkeypatch.setattr(time, "monotonic", lambda: later)
        watch._look(instance)
        assert watch.may_run_daemon()
        assert "ours is started again" in said[-1]

    def test_the_beats_of_our_own_dead_daemon_are_not_waited_out(
        self, url: str, watch: InstanceWatch, instance: dg.DagsterInstance
    ):
        DaemonClaim(url).take(dead_process())
        self.beat(instance, "our last one", time.time())
        assert watch.begin(url) is None
        assert watch.may_run_daemon()

    def test_ours_makes_room_for_a_daemon_that_somebody_starts_beside_it(
        self, url: str, watch: InstanceWatch, instance: dg.DagsterInstance, said: list[str]
    ):
        assert watch.begin(url) is None
        now = time.time()
        for name, at in [("ours", now), ("theirs", now + 10), ("ours", now + 30)]:
            self.beat(instance, name, at)
            watch._look(instance)
            assert watch.may_run_daemon()
        self.beat(instance, "theirs", now + 40)
        watch._look(instance)
        assert not watch.may_run_daemon()
        assert "another daemon was started on this instance" in said[-1]

    def test_a_claim_that_was_lost_stops_the_daemon_and_one_that_cannot_be_renewed_too(
        self, url: str, watch: InstanceWatch, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ):
        assert watch.begin(url) is None
        late = time.monotonic() + LOST_SECONDS
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: late)
            assert not watch.may_run_daemon()
        age(url, LOST_SECONDS + 1)
        assert DaemonClaim(url).take(ELSEWHERE).other is None
        watch._look(instance)
        assert not watch.may_run_daemon()

    def test_its_thread_goes_on_after_an_instance_that_could_not_be_looked_at(
        self, url: str, watch: InstanceWatch, said: list[str], monkeypatch: pytest.MonkeyPatch
    ):
        looks: list[int] = []
        went_on = threading.Event()

        def look(*_: object) -> None:
            looks.append(len(looks))
            if len(looks) < 3:
                raise StoreError("PostgreSQL is away")
            went_on.set()

        monkeypatch.setattr(instance_watch, "LOOK_SECONDS", 0.01)
        monkeypatch.setattr(watch, "_look", look)
        assert watch.begin(url) is None
        watch.start()
        assert went_on.wait(30)
        watch.end()
        assert said == ["the instance cannot be looked at (StoreError); tried again"], "once, not at every look"
