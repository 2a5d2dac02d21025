"""Several schemas of one server share its connections: each transaction says its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.postgres.pool import SessionPools
from calcom_pipeline.domain.errors import StoreError
from tests.support.stalling import before_postgres
from tests.support.tables import ask, fetch
from tests.support.waiting import until

QUICK = DatabaseBounds(connect_seconds=2, answer_seconds=1.0, attempts=1, pause_seconds=60.0)


@pytest.fixture
def pools() -> Iterator[SessionPools]:
    with SessionPools() as opened:
        yield opened


def test_schemas_that_share_connections_are_never_mixed(pools: SessionPools, servers: local.Servers, schema_name: str):
    bounds = DatabaseBounds()
    accounts = [
        Database(pools.pool(servers.database_url, bounds), f"{schema_name}_{letter}", bounds) for letter in "abc"
    ]
    try:
        for each in accounts:
            migrate(each, shipped_migrations())

        def write(number: int) -> None:
            with accounts[number % 3].transaction("Testing") as cursor:
                cursor.execute("INSERT INTO watermarks VALUES (current_schema(), %s, now(), now())", (str(number),))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(90)))
        for each in accounts:
            assert ask(each, "SELECT array_agg(DISTINCT stream) FROM watermarks") == [each.schema]
            assert ask(each, "SELECT count(*) FROM watermarks") == 30
        serving = {fetch(each, "SELECT pg_backend_pid()")[0] for each in accounts * 3}
        assert len(serving) <= 5  # what a pool keeps, whoever asks
    finally:
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            for each in accounts:
                connection.execute(f'DROP SCHEMA IF EXISTS "{each.schema}" CASCADE')


def test_another_way_of_waiting_and_another_server_have_another_pool(pools: SessionPools):
    url, bounds = "postgresql://nobody@127.0.0.1:1/none", DatabaseBounds()
    assert pools.pool(url, bounds) is pools.pool(url, replace(bounds, lock_seconds=1.0))  # said by each transaction
    assert pools.pool(url, bounds) is not pools.pool(url, replace(bounds, answer_seconds=1.0))
    assert pools.pool(url, bounds) is not pools.pool(url + "_other", bounds)


def test_a_server_that_could_not_be_reached_is_left_alone_for_all_of_its_schemas(
    pools: SessionPools, servers: local.Servers
):
    """Otherwise a hundred accounts would wait for it one after the other, with somebody's booking behind each."""
    with before_postgres(servers) as (url, door):
        door.stall()
        one, other = (Database(pools.pool(url, QUICK), name, QUICK) for name in ("one", "other"))
        with pytest.raises(StoreError, match="did not answer in time"):
            ask(one)
        before = door.connections
        for each in (other, one):
            with pytest.raises(StoreError, match="is left alone for some seconds"):
                ask(each)
        assert door.connections == before


def test_after_the_pause_it_is_asked_again(pools: SessionPools, servers: local.Servers):
    soon = replace(QUICK, pause_seconds=0.05)
    with before_postgres(servers) as (url, door):
        door.stall()
        database = Database(pools.pool(url, soon), "public", soon)
        with pytest.raises(StoreError):
            ask(database)
        door.flow()

        def answered() -> bool:
            try:
                return ask(database) == 1
            except StoreError:
                return False

        until(answered)
