"""Transactions that lose against another one are tried again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.errors import StoreConflict
from tests.support.booking_rows import NOW, page, row
from tests.support.tables import ask


@pytest.fixture
def losing(database: Database) -> Callable[..., None]:
    """Lets the next so many writes to a table lose against a transaction that is not there."""

    def lose(times: int, state: str, table: str = "open_outcomes") -> None:
        with database.transaction("Testing") as cursor:
            cursor.execute("CREATE SEQUENCE tries")
            cursor.execute(
                f"CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END IF; "
                f"RETURN NEW; END $$"
            )
            cursor.execute(f"CREATE TRIGGER losing BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION lose()")

    return lose


def outcome() -> OpenOutcome:
    now = datetime.now(UTC)
    return OpenOutcome("order-1", 6, now + timedelta(days=1), opened_at=now)


@pytest.mark.parametrize("state", ["40001", "40P01"], ids=["serialization", "deadlock"])
def test_a_transaction_that_loses_is_tried_again(database: Database, losing: Callable[..., None], state: str):
    losing(2, state)
    PostgresOutcomeStore(database).open(outcome())
    assert len(PostgresOutcomeStore(database).still_open()) == 1
    assert ask(database, "SELECT last_value FROM tries") == 3


def test_a_page_that_is_stored_at_the_second_try_is_stored_with_everything_that_belongs_to_it(
    database: Database, losing: Callable[..., None]
):
    """Its hosts are remembered so that they are not written again; those of a try that did not count were not."""
    mirror = PostgresBookingMirror(database)
    losing(1, "40001", "watermarks")
    stored = mirror.store(page(row("a"), row("b")), listing=MINE, watermark=NOW)
    assert stored.changes == Changes(added=2)
    assert mirror.state(MINE).watermark == NOW
    assert ask(database, "SELECT array_agg(username) FROM calcom_users") == ["alice"]
    assert ask(database, "SELECT count(*) FROM booking_hosts") == 2


def test_one_that_always_loses_ends_with_a_sentence(database: Database, losing: Callable[..., None]):
    losing(100, "40001")
    with pytest.raises(StoreConflict, match="another transaction was faster") as lost:
        PostgresOutcomeStore(database).open(outcome())
    assert "Try again" in lost.value.advice
    assert ask(database, "SELECT last_value FROM tries") == database.bounds.attempts
