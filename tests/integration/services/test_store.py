import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
from calcom_pipeline.adapters.postgres.bounds import Work
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import (
    PostgresServiceStore,
)
from calcom_pipeline.app.availability.invalidate import apply_outbox
from calcom_pipeline.app.availability.ports import CacheClearResult
from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan, plan_hash
from calcom_pipeline.app.services.ports import ActionResult
from calcom_pipeline.domain.availability.changes import AffectedDays, ChangeEvent, affected_days
from calcom_pipeline.domain.errors import AnotherApply, StoreError
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.plans import Brakes
from calcom_pipeline.domain.services.problems import problems_of
from tests.support.reconciling import ME, TEAM, FakeCalcom, event_type, linked
from tests.support.service_rows import insert, run

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)


class TestServices:
    def test_a_service_is_read_as_it_stands_bad_values_included(self, database: Database):
        run(database, "INSERT INTO services (name, slug, duration_minutes, price_minor) VALUES (NULL, ' ', -5, -1)")
        (found,) = PostgresServiceStore(database).services()
        assert (found.name, found.slug, found.duration_minutes, found.version) == (None, " ", -5, "1")
        assert len(problems_of(found)) == 4

    def test_named_ones_are_read_alone(self, database: Database):
        store = PostgresServiceStore(database)
        one, _ = insert(database), insert(database, slug="other")
        assert [s.id for s in store.services([one, "999"])] == [one]

    def test_a_pull_writes_the_service_and_the_link_together_and_only_over_the_version_it_saw(self, database):
        store = PostgresServiceStore(database)
        number = insert(database)
        link = Link(number, ME, 7, {"title": "Theirs"})
        assert store.pull(link, {"name": "Theirs", "is_active": False}, version="1")
        (found,) = store.services()
        assert (found.name, found.is_active, found.version) == ("Theirs", False, "2")
        assert store.links() == [link]
        assert not store.pull(replace(link, base={}), {"name": "Late"}, version="1")
        assert store.services()[0].name == "Theirs"
        assert store.links() == [link]

    @pytest.mark.parametrize("new", ["OLD.name", "upper(NEW.name)"], ids=["read-only", "rewritten"])
    def test_a_mapping_that_does_not_keep_what_it_is_given_moves_no_base(self, database: Database, new: str):
        """The old value would differ from the base by then, and be pushed back over what was pulled."""
        store = PostgresServiceStore(database)
        number = insert(database)
        store.settle([linked(7, service_id=number)])
        run(
            database,
            f"""CREATE FUNCTION keeps_names() RETURNS trigger LANGUAGE plpgsql AS
                          $$ BEGIN NEW.name = {new}; RETURN NEW; END $$""",
        )
        run(database, "CREATE TRIGGER keeps BEFORE UPDATE ON services FOR EACH ROW EXECUTE FUNCTION keeps_names()")
        pulled = linked(7, service_id=number, base={"title": "Theirs"})
        with pytest.raises(StoreError, match="took title of service") as caught:
            store.pull(pulled, {"name": "Theirs", "duration_minutes": 45}, version="1")
        assert "INSTEAD OF UPDATE" in caught.value.advice
        with pytest.raises(StoreError, match="shows something else"):
            store.restore(number, {"name": "Theirs"}, version="1")
        assert store.links() == [linked(7, service_id=number)]
        assert (store.services()[0].name, store.services()[0].duration_minutes) == ("Repair", 30)

    def test_an_edit_that_is_under_way_is_waited_for_and_then_respected(self, database: Database, servers):
        store = PostgresServiceStore(database)
        number = insert(database)
        outcome: list[bool] = []
        with psycopg.connect(servers.database_url) as editor:
            editor.execute(f'SET search_path TO "{database.schema}"')
            editor.execute("UPDATE services SET name = 'Edited'")
            link = Link(number, ME, 7)
            puller = threading.Thread(target=lambda: outcome.append(store.pull(link, {"name": "x"}, version="1")))
            puller.start()
            puller.join(0.3)
            assert puller.is_alive()
            editor.commit()
        puller.join()
        assert outcome == [False]
        assert not store.restore(number, {"name": "x"}, version="1")
        assert store.services()[0].name == "Edited"
        assert store.services()[0].name == "Edited"

    def test_an_event_type_becomes_a_service_with_its_link(self, database: Database):
        store = PostgresServiceStore(database)
        made = store.add({"name": "T", "slug": "t", "duration_minutes": 30, "team_id": 301}, event_type(8, owner=TEAM))
        assert (made.name, made.team_id) == ("T", 301)
        assert store.links()[0].event_type_id == 8

    def test_links_are_read_back_as_they_were(self, database: Database):
        store = PostgresServiceStore(database)
        intent = Intent("create", {"title": "x", "hidden": False, "duration_minutes": 30}, NOW, above_id=9)
        full = Link(
            "a", TEAM, None, {"title": "é"}, intent, "creating", 3, NOW, Reason("owner_not_read", owner="team:1"), "7"
        )
        store.settle([full, linked(1)])
        assert store.links() == [linked(1), full]
        kept = store.links()[1].reason
        assert (kept.code, kept.params) == ("owner_not_read", {"owner": "team:1"})

    def test_one_event_type_has_one_writer(self, database: Database):
        store = PostgresServiceStore(database)
        store.begin(linked(1))
        with pytest.raises(Exception, match="refuses"):
            store.begin(replace(linked(1), service_id="2"))

    def test_a_link_and_its_facts_are_stored_together(self, database: Database):
        fact = ChangeEvent("event_type", "written", 1, (101,), ((NOW, NOW + timedelta(hours=1)),))
        PostgresServiceStore(database).finish(linked(1), [fact])
        assert run(database, "SELECT kind, event_type_id, user_ids, starts FROM invalidations") == [
            ("event_type", 1, [101], [NOW])
        ]

    def test_updated_at_and_the_version_move_with_every_edit(self, database: Database):
        insert(database)
        run(database, "UPDATE services SET name = 'x'")
        assert run(database, "SELECT row_version, updated_at >= now() - interval '1 minute' FROM services") == [
            (2, True)
        ]

    def test_a_write_that_changes_nothing_is_no_edit(self, database: Database):
        insert(database)
        run(database, "UPDATE services SET name = name, price_minor = price_minor")
        assert run(database, "SELECT row_version FROM services") == [(1,)]
        assert run(database, "SELECT operation FROM service_changes") == [("insert",)]


class TestConcerned:
    def test_a_fact_finds_its_own_type_when_it_is_gone_and_only_present_ones_of_its_hosts(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        types = [event_type(n, host_ids=(101,), schedule_zone="UTC") for n in (1, 2, 3)]
        mirror.replace(ME, Listed(tuple(types)), read_at=NOW)
        mirror.replace(ME, Listed((types[2],)), read_at=NOW + timedelta(1))
        assert mirror.mark_gone([1, 2], read_at=NOW + timedelta(1)) == 2
        facts = [
            ChangeEvent("event_type", "gone", 1, (101,)),
            ChangeEvent("booking", "made", None, (101, 102)),
            ChangeEvent("booking", "x"),
        ]
        found = PostgresOutbox(database).concerned_by(facts)
        assert [[e.id for e in types] for types in found] == [[1, 3], [3], []]

    @pytest.mark.parametrize("number", [1, 200])
    def test_clearing_takes_three_transactions_however_many_facts_there_are(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, number: int
    ):
        types = [event_type(n, host_ids=(100 + n % 7,), schedule_zone="UTC") for n in range(1, 30)]
        PostgresEventTypeMirror(database).replace(ME, Listed(tuple(types)), read_at=NOW)
        outbox, transaction, begun = PostgresOutbox(database), Database.transaction, list[str]()
        outbox.add([ChangeEvent("booking", "made", 1 + n % 29, (100 + n % 7,)) for n in range(number)])

        def counted(self: Database, doing: str, work: Work = "write") -> Any:
            begun.append(doing)
            return transaction(self, doing, work)

        class NoLayers:
            def clear(self, affected: Sequence[AffectedDays]) -> list[CacheClearResult]:
                return []

        monkeypatch.setattr(Database, "transaction", counted)
        report = apply_outbox(outbox, NoLayers(), limit=500)
        assert (report.facts, report.closed_by_others, len(begun)) == (number, 0, 3)

    def test_a_zone_that_is_not_known_here_stains_every_day_and_stops_nobody_else(self):
        types = [event_type(1, schedule_zone="Mars/Olympus"), event_type(2, schedule_zone="Europe/Berlin")]
        odd, plain = affected_days(ChangeEvent("booking", "made", 1, (101,), ((NOW, NOW + timedelta(hours=1)),)), types)
        assert odd == AffectedDays(1, "Mars/Olympus", None)
        assert plain.days == {NOW.date()}


class TestPlans:
    @pytest.fixture
    def account(self, database: Database):
        """Six services against Cal.com as a fake, over the real stores."""
        store, plans = PostgresServiceStore(database), PostgresPlanStore(database)
        for number in range(6):
            insert(database, f"Service {number}", f"service-{number}", 30 if number else 0)
        calcom = FakeCalcom([event_type(n) for n in (1, 2)])
        rules = PlanRules(Brakes(10, 3), timedelta(hours=1))

        def planned():
            return make_plan(calcom, store, plans, PlanRequest("t", TeamChoice()), rules=rules, now=lambda: NOW)[0]

        return store, plans, calcom, planned

    def test_a_plan_is_read_back_as_it_was_and_applied_from_there(self, account, database: Database):
        store, plans, calcom, planned = account
        made = planned()
        kept = plans.load(made.id)
        assert kept == made
        assert plan_hash(kept.actions) == kept.hash
        report = apply_plan(kept, calcom, store, plans, rules=ApplyRules(), now=lambda: NOW)
        assert report.counts == {"done": 5}
        assert plans.load(made.id).state == "applied"
        told = {r.service_id: (r.kind, r.outcome) for r in plans.results(made.id)}
        assert sorted(told.values()) == [("adopt", "done")] * 2 + [("create", "done")] * 3 + [("refuse", "not tried")]
        assert run(database, "SELECT count(*) FROM invalidations") == [(3,)]
        assert [a.kind for a in planned().actions] == ["refuse"]

    def test_a_plan_that_says_the_same_keeps_its_name_and_another_one_supersedes_it(self, account, database: Database):
        _, plans, _, planned = account
        reviewed, again = planned(), planned()
        assert (again.id, again.actions) == (reviewed.id, reviewed.actions)
        insert(database, "One more", "one-more")
        other = planned()
        assert (plans.load(reviewed.id).state, plans.load(other.id).state) == ("superseded", "planned")
        assert plans.load("nonesuch") is None

    def test_a_plan_whose_apply_was_begun_is_not_taken_for_a_new_one(self, account):
        _, plans, _, planned = account
        begun = planned()
        plans.record(begun.id, [ActionResult(0, "done", "", "1", "create")])
        assert planned().id != begun.id

    def test_a_plan_of_which_something_is_held_keeps_its_name(self, account):
        _, plans, _, planned = account
        waiting = planned()
        plans.record(waiting.id, [ActionResult(0, "held", "ask", "1", "create")])
        assert planned().id == waiting.id
        assert plans.done(waiting.id) == frozenset()
        plans.record(waiting.id, [ActionResult(0, "done", "", "1", "create")])
        assert plans.done(waiting.id) == {0}

    def test_when_nothing_is_to_be_done_any_more_no_earlier_plan_stays_open(self, account, database: Database):
        _, plans, _, planned = account
        planned()
        run(database, "DELETE FROM services")
        assert planned().actions == ()
        assert plans.latest_open() is None

    def test_results_are_kept_with_what_was_before_and_after(self, account):
        _, plans, _, planned = account
        plan = planned()
        result = ActionResult(0, "failed", "no", "1", "push", 7, {"remote": {"a": 1}}, {"remote": {"a": 2}}, "Rejected")
        plans.record(plan.id, [result])
        kept = plans.results(plan.id)[0]
        assert (kept.outcome, kept.before, kept.after, kept.error) == (
            "failed",
            {"remote": {"a": 1}},
            {"remote": {"a": 2}},
            "Rejected",
        )

    def test_what_was_done_stays_told_when_an_apply_is_tried_again(self, account):
        _, plans, _, planned = account
        plan = planned()
        done = ActionResult(0, "done", "wrote title", "1", "push", 7, {"remote": {"a": 1}}, {"remote": {"a": 2}})
        plans.record(plan.id, [done])
        plans.record(plan.id, [replace(done, outcome="stale", message="edited", before={}, after={})])
        kept = plans.results(plan.id)[0]
        assert (kept.outcome, kept.before) == ("done", {"remote": {"a": 1}})

    def test_one_apply_runs_at_a_time_and_a_killed_one_leaves_no_lock(self, database: Database, servers: local.Servers):
        plans = PostgresPlanStore(database)
        with plans.exclusive():
            with pytest.raises(AnotherApply), plans.exclusive():
                pass
            with pytest.raises(AnotherApply), plans.exclusive(wait_seconds=0.3):
                pass
        with plans.exclusive():
            pass
