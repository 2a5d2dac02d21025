"""A business with a table of its own: other names, other types, its own triggers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.postgres.services.attach import attach, attach_statements, read_mapping
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed, PostgresServiceStore
from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.domain.errors import ConfigurationError, StoreError
from calcom_pipeline.domain.services.plans import Brakes
from tests.support.reconciling import FakeCalcom, event_type

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
MAPPING = """
table = "{schema}_shop.offerings"
key = "code"
insert = true
[columns]
name = "title"
slug = "url_name"
duration_minutes = {{ read = "extract(epoch FROM length) / 60", write = "length = make_interval(mins => $)" }}
is_active = {{ read = "status = 'live'", write = "status = CASE WHEN $ THEN 'live' ELSE 'draft' END" }}
price_minor = {{ read = "price * 100" }}
description = {{ read = "extra ->> 'text'", write = "extra = jsonb_build_object('text', $)::json" }}
before_buffer_minutes = "buffer"
"""
SHOP = """
CREATE SCHEMA "{schema}_shop";
CREATE TABLE "{schema}_shop".offerings (
    code uuid PRIMARY KEY DEFAULT gen_random_uuid(), title varchar(80) NOT NULL, url_name text, length interval,
    status text DEFAULT 'live', price numeric(10, 2), buffer text, extra json, edited_by text, views integer DEFAULT 0);
CREATE FUNCTION "{schema}_shop".note_editor() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.edited_by := 'trigger'; NEW.title := btrim(NEW.title); RETURN NEW; END $$;
CREATE TRIGGER editor BEFORE INSERT OR UPDATE ON "{schema}_shop".offerings
FOR EACH ROW EXECUTE FUNCTION "{schema}_shop".note_editor();
INSERT INTO "{schema}_shop".offerings (title, url_name, length, price)
VALUES ('Haircut', 'service-1', '45 minutes', 49.90), ('Beard', 'beard', '20 minutes', NULL),
       ('Broken', 'broken', NULL, NULL);
"""


@pytest.fixture
def shop(empty_database: Database, servers: local.Servers, tmp_path: Path):
    """The shop's table, and the mapping file of its pipeline."""
    schema = empty_database.schema
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(SHOP.format(schema=schema))
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING.format(schema=schema))
    yield path
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA "{schema}_shop" CASCADE')


def rows(database: Database, query: str) -> list[tuple]:
    with database.transaction("Testing") as cursor:
        cursor.execute(query.format(shop=f'"{database.schema}_shop".offerings'))
        return cursor.fetchall() if cursor.description else []


def fed(database: Database) -> list[str]:
    return [service_id for (service_id,) in rows(database, "SELECT service_id FROM service_changes ORDER BY id")]


def sync(database: Database, calcom: FakeCalcom):
    store, plans = PostgresServiceStore(database), PostgresPlanStore(database)
    rules = PlanRules(Brakes(100, 100), timedelta(hours=1), propose_imports=True)
    request = PlanRequest("t", TeamChoice())
    plan, _ = make_plan(calcom, store, plans, request, rules=rules, now=lambda: NOW)
    return apply_plan(plan, calcom, store, plans, rules=ApplyRules(), now=lambda: NOW, approved=True)


def test_the_business_table_is_planned_and_synced_in_both_directions(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    calcom = FakeCalcom([event_type(1, title="Haircut", duration_minutes=45), event_type(9, slug="new", title="New")])
    outcome = {r.kind: r.outcome for r in sync(database, calcom).results}
    assert outcome == {"adopt": "done", "create": "done", "import": "done"}
    made = rows(database, "SELECT title, url_name, length, edited_by FROM {shop} WHERE url_name = 'new'")
    assert made == [("New", "new", timedelta(minutes=30), "trigger")]

    calcom.edit(1, title="  Haircut deluxe ", duration_minutes=60, hidden=True)
    sync(database, calcom)
    pulled = rows(database, "SELECT title, length, status, price::text FROM {shop} WHERE url_name = 'service-1'")
    assert pulled == [("Haircut deluxe", timedelta(minutes=60), "draft", "49.90")]

    rows(database, "UPDATE {shop} SET title = 'Beard trim' WHERE url_name = 'beard'")
    sync(database, calcom)
    assert {e.title for e in calcom.types.values()} >= {"Beard trim"}
    assert sync(database, calcom).results == ()


def test_a_bad_row_of_the_business_is_refused_and_the_others_go_on(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    found = {s.slug: s.duration_minutes for s in PostgresServiceStore(database).services()}
    assert found == {"service-1": 45, "beard": 20, "broken": None}
    assert len(sync(database, FakeCalcom()).results) == 2


def test_edits_of_the_business_are_fed_and_our_own_are_not(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    feed = PostgresServiceFeed(database)
    start = feed.settled_after(None).cursor
    calcom = FakeCalcom([event_type(1, title="Haircut", duration_minutes=45)])
    sync(database, calcom)
    calcom.edit(1, title="Theirs")
    sync(database, calcom)
    actors = "SELECT DISTINCT actor FROM service_changes WHERE service_id IN (SELECT code::text FROM {shop})"
    assert rows(database, actors) == [("calcom_pipeline",)]
    rows(database, "UPDATE {shop} SET price = 1 WHERE url_name = 'beard'")
    assert ("somebody",) in rows(database, actors)
    assert start != feed.settled_after(None).cursor


def test_a_service_edited_meanwhile_is_not_overwritten_though_the_table_has_no_version_column(shop, database):
    attach(database, read_mapping(shop))
    store = PostgresServiceStore(database)
    seen = next(s for s in store.services() if s.slug == "beard")
    rows(database, "UPDATE {shop} SET title = 'Edited' WHERE url_name = 'beard'")
    sync(database, FakeCalcom())
    link = next(x for x in store.links() if x.service_id == seen.id)
    assert store.pull(link, {"name": "Late"}, version=seen.version) is False


@pytest.mark.parametrize(
    ("touch", "is_an_edit"),
    [
        ("views = views + 1", False),
        ("title = title", False),
        ("edited_by = 'another'", False),
        ("price = 12.50", True),
        ("status = 'draft'", True),
        ('extra = \'{{"text": "soft"}}\'', True),
        ("buffer = '5'", True),
        ("buffer = 'some'", True),
    ],
)
def test_only_what_the_mapping_reads_makes_a_touch_an_edit(
    shop: Path, database: Database, touch: str, is_an_edit: bool
):
    attach(database, read_mapping(shop))
    store = PostgresServiceStore(database)
    before = {s.id: s.version for s in store.services()}
    rows(database, f"UPDATE {{shop}} SET {touch} WHERE url_name = 'beard'")
    changed = [s.slug for s in store.services() if s.version != before[s.id]]
    assert changed == (["beard"] if is_an_edit else [])
    assert len(fed(database)) == len(changed)


def test_an_edit_that_was_taken_back_leaves_the_version_as_it_was(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    store = PostgresServiceStore(database)
    seen = {s.id: s.version for s in store.services()}
    rows(database, "UPDATE {shop} SET title = 'Other' WHERE url_name = 'beard'")
    rows(database, "UPDATE {shop} SET title = 'Beard' WHERE url_name = 'beard'")
    assert {s.id: s.version for s in store.services()} == seen


def test_an_expression_over_the_whole_row_sees_every_touch(shop: Path, database: Database):
    shop.write_text(shop.read_text().replace("extra ->> 'text'", "to_jsonb(offerings) ->> 'edited_by'"))
    attach(database, read_mapping(shop))
    rows(database, "UPDATE {shop} SET views = 7 WHERE url_name = 'beard'")
    assert len(fed(database)) == 1


def test_a_key_that_changes_is_a_service_that_went_and_one_that_came(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    (old,) = rows(database, "SELECT code::text FROM {shop} WHERE url_name = 'beard'")
    (new,) = rows(database, "UPDATE {shop} SET code = gen_random_uuid() WHERE url_name = 'beard' RETURNING code::text")
    assert set(fed(database)) == {old[0], new[0]}


def test_a_value_that_is_no_number_stops_its_own_service_alone_and_is_named(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    rows(database, "UPDATE {shop} SET buffer = 'some', length = '90 seconds' WHERE url_name = 'beard'")
    report = sync(database, FakeCalcom())
    plans, rules = PostgresPlanStore(database), PlanRules(Brakes(100, 100), timedelta(hours=1))
    request = PlanRequest("t", TeamChoice())
    _, decided = make_plan(FakeCalcom(), PostgresServiceStore(database), plans, request, rules=rules, now=lambda: NOW)
    refused = {action.service_id: action.reason for action in decided.actions if action.kind == "refuse"}
    (beard,) = rows(database, "SELECT code::text FROM {shop} WHERE url_name = 'beard'")
    assert "its before_buffer_minutes of 'some' is no whole number" in refused[beard[0]]
    assert "its duration_minutes of '1.5" in refused[beard[0]]
    assert [(r.kind, r.outcome) for r in report.results] == [("create", "done")]


@pytest.mark.parametrize(
    ("given", "integer", "bigint", "boolean"),
    [
        ("45::smallint", 45, 45, None),
        ("1", 1, 1, True),
        ("45.0", 45, 45, ...),
        ("45.5", None, None, ...),
        ("45::float8", 45, 45, ...),
        ("'NaN'::float8", None, None, ...),
        ("'Infinity'::numeric", None, None, ...),
        ("3000000000", None, 3_000_000_000, None),
        ("1e30::numeric", None, None, ...),
        ("' 45 '::text", 45, 45, None),
        ("'+45.00'::varchar", 45, 45, None),
        ("'-1'::text", -1, -1, None),
        ("'45 min'::text", None, None, None),
        ("''::text", None, None, None),
        ("'99999999999999999999'::text", None, None, None),
        ("'Yes '::text", None, None, True),
        ("'0'::text", 0, 0, False),
        ("NULL", None, None, None),
    ],
)
def test_values_of_any_type_are_read_or_nothing(database: Database, given: str, integer, bigint, boolean):
    assert rows(database, f"SELECT as_integer({given}), as_bigint({given})") == [(integer, bigint)]
    if boolean is not ...:
        assert rows(database, f"SELECT as_boolean({given})") == [(boolean,)]


def test_an_expression_that_fails_is_told_when_it_is_attached(shop: Path, database: Database):
    shop.write_text(shop.read_text().replace("price * 100", "1 / (length(title) - 6)"))  # 'Broken' has six letters
    with pytest.raises(StoreError, match="division by zero"):
        attach(database, read_mapping(shop))
    assert PostgresServiceStore(database).services() == []


def test_a_table_that_an_earlier_release_attached_is_read_on(shop: Path, empty_database: Database):
    database = empty_database
    migrate(database, shipped_migrations()[:7])
    rows(database, "DROP VIEW services_source")
    rows(
        database,
        "CREATE VIEW services_source AS SELECT code::text AS service_id, title::text AS name, url_name AS slug, "
        "NULL::text AS description, 45 AS duration_minutes, NULL::bigint AS price_minor, NULL::text AS currency, "
        "true AS is_active, NULL::bigint AS team_id, NULL::integer AS before_buffer_minutes, NULL::integer AS "
        "after_buffer_minutes, NULL::integer AS minimum_notice_minutes, xmin::text AS version FROM {shop}",
    )
    rows(
        database,
        "CREATE TRIGGER calcom_services_feed AFTER INSERT OR UPDATE OR DELETE ON {shop} FOR EACH ROW "
        f"EXECUTE FUNCTION record_service_change('code', '{database.schema}')",
    )
    migrate(database, shipped_migrations())
    rows(database, "UPDATE {shop} SET views = 1")
    assert len(PostgresServiceStore(database).services()) == len(fed(database)) == 3
    attach(database, read_mapping(shop))
    rows(database, "UPDATE {shop} SET views = 2")
    assert len(fed(database)) == 3


def test_attaching_twice_is_as_good_as_once(shop: Path, database: Database):
    attach(database, read_mapping(shop))
    attach(database, read_mapping(shop))
    assert len(PostgresServiceStore(database).services()) == 3


def test_a_table_that_takes_no_rows_says_so(shop: Path, database: Database):
    shop.write_text(shop.read_text().replace("insert = true", "insert = false"))
    attach(database, read_mapping(shop))
    report = sync(database, FakeCalcom([event_type(9, slug="new")]))
    (refused,) = [r for r in report.results if r.kind == "import"]
    assert (refused.outcome, "insert = false" in refused.message) == ("failed", True)


def test_a_mapping_that_does_not_fit_changes_nothing(shop: Path, database: Database):
    shop.write_text(shop.read_text().replace('"title"', '"no_such_column"'))
    with pytest.raises(StoreError):
        attach(database, read_mapping(shop))
    assert PostgresServiceStore(database).services() == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense = [", "cannot be read"),
        ('table = "a; drop"\nkey = "id"', "table has to be"),
        ('table = "a"\nkey = "b c"', "key has to name"),
        ('table = "a"\nkey = "id"\n[columns]\nname = "n"', "columns.slug is missing"),
        ('table = "a"\nkey = "id"\n[columns]\ncolour = "c"', "columns.colour is no column"),
        ('table = "a"\nkey = "id"\n[columns]\nname = 7', "columns.name has to be"),
    ],
)
def test_a_wrong_mapping_is_refused_with_everything_that_is_wrong(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_mapping(path)
    assert any(problem in said for said in refused.value.problems)


def test_the_statements_can_be_read_before_they_run(shop: Path, database: Database):
    shown = "\n".join(attach_statements(read_mapping(shop), database.schema))
    assert "CREATE VIEW services_source" in shown
    assert "make_interval(mins => NEW.duration_minutes)" in shown
