"""The lists of bookings and the versions that Cal.com has, read from the sandbox into PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.bookings.access_scope import ListingChoice
from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingsReport, Mode, pull_bookings
from calcom_pipeline.domain.bookings.listing import MINE, BookingQuery, Listing
from calcom_pipeline.domain.errors import ContractBroken, Rejected
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.clients import QUICK, client_of

ORGANIZATION = Listing("organization", 300)
SUPPORT, SALES = Listing("team", 301), Listing("team", 302)
ALL = (MINE, ORGANIZATION, SUPPORT, SALES)
EVERYWHERE = ListingChoice(team_lists=True, organization_id=ORGANIZATION.id)
ROWS = 60


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    account = {"event_types": 8, "teams": 2, "bookings": ROWS, "organization": True, "seed": 3}
    with serve_sandbox("generated", limit=1_000_000, window_seconds=60, **account) as running:
        yield running


class Account:
    """A sandbox, clients of its keys and a mirror of what they see."""

    def __init__(self, sandbox: RunningSandbox, store: redis.Redis, database: Database, stack: ExitStack) -> None:
        self.control = sandbox.control
        self.mirror = PostgresBookingMirror(database)
        self._sandbox, self._store, self._database, self._stack = sandbox, store, database, stack

    def client(self, key: str = "owner", version: str = "2024-08-13") -> CalcomClient:
        options = replace(QUICK, bookings_version=version)
        return self._stack.enter_context(
            client_of(self._sandbox.url, self._sandbox.keys[key], self._store, options=options)
        )

    def pull(self, calcom: CalcomClient, mode: Mode = "changes", **options: Any) -> BookingsReport:
        chosen = BookingOptions(page_size=7, **options)
        return pull_bookings(calcom, self.mirror, chosen, now=lambda: datetime.now(UTC), mode=mode)

    def listed(self) -> Counter[str]:
        """How many rows each listing shows."""
        with self._database.transaction("Testing") as cursor:
            cursor.execute("SELECT unnest(listings), count(*) FROM bookings GROUP BY 1")
            return Counter(dict(cursor.fetchall()))

    def titles(self) -> set[str]:
        with self._database.transaction("Testing") as cursor:
            cursor.execute("SELECT title FROM bookings")
            return {title for (title,) in cursor.fetchall()}


@pytest.fixture
def account(served: RunningSandbox, redis_client: redis.Redis, database: Database) -> Iterator[Account]:
    served.control.reset(account=True)
    with ExitStack() as stack:
        yield Account(served, redis_client, database, stack)


@pytest.mark.parametrize("version", ["2024-08-13", "2026-02-25"])
def test_both_versions_are_read_whole_and_alike(account: Account, version: str):
    calcom = account.client(version=version)
    assert account.pull(calcom).stored.changes.added == ROWS
    account.control.update_bookings(count=9, set={"title": "changed"})
    assert account.pull(calcom).stored.changes.changed == 9
    other = account.client(version="2026-02-25" if version == "2024-08-13" else "2024-08-13")
    assert account.pull(other, "full").stored.changes.written == 0


def test_a_version_with_another_shape_fails_loudly_and_names_the_setting(account: Account):
    with pytest.raises(ContractBroken) as raised:
        account.pull(account.client(version="2024-06-14"))
    assert "CALCOM_BOOKINGS_VERSION" in raised.value.advice
    assert account.listed() == Counter()


@pytest.mark.parametrize("filters", [True, False])
def test_every_list_that_is_configured_is_read_and_each_row_names_those_that_show_it(account: Account, filters: bool):
    account.control.mutate("set_switch", name="team_lists_filter_updates", on=filters)
    calcom = account.client()
    assert account.pull(calcom, choice=EVERYWHERE).stored.changes.added == ROWS
    there = {str(listing): calcom.page(BookingQuery(listing, sort="start")).total for listing in ALL}
    assert account.listed() == Counter(there)
    account.control.update_bookings(set={"title": "changed"}, count=ROWS)
    account.pull(calcom, choice=EVERYWHERE)
    assert account.titles() == {"changed"}


def test_a_list_that_is_no_longer_configured_is_forgotten(account: Account):
    calcom = account.client()
    account.pull(calcom, choice=EVERYWHERE)
    account.pull(calcom)
    assert account.listed() == Counter({"mine": ROWS})


def test_an_organization_shows_an_admin_what_the_own_list_does_not(account: Account):
    """A member of one team, made an admin of the organization, sees everybody's bookings there."""
    calcom = account.client("member")
    mine = account.pull(calcom).stored.changes.added
    assert 0 < mine < ROWS
    with pytest.raises(Rejected):
        account.pull(calcom, choice=ListingChoice(organization_id=ORGANIZATION.id))
    member = calcom.me().user_id
    account.control.mutate("set_membership", user_id=member, team_id=ORGANIZATION.id, role="ADMIN")
    account.pull(calcom, choice=ListingChoice(organization_id=ORGANIZATION.id))
    assert account.listed()[str(ORGANIZATION)] == ROWS


def test_a_deletion_is_proven_once_no_list_shows_the_booking(account: Account):
    calcom = account.client()
    account.pull(calcom, choice=EVERYWHERE)
    account.control.delete_bookings(count=4)
    assert account.pull(calcom, "full", choice=EVERYWHERE).proven.gone == 4
    assert account.listed()["mine"] == account.mirror.live(MINE) == ROWS - 4


def test_seats_and_absences_move_no_stamp_and_are_found_by_the_re_read(account: Account):
    calcom = account.client()
    account.pull(calcom)
    soon = min(
        (b for b in account.control.read_bookings() if b["start"] > datetime.now(UTC).timestamp() * 1000),
        key=lambda b: b["start"],
    )
    account.control.mutate("set_attendees", uid=soon["uid"], emails=["one@example.org", "two@example.org"])
    assert account.pull(calcom).stored.changes.written == 0
    assert account.pull(calcom, "reread").stored.changes.changed == 1


def test_a_chain_of_moves_is_one_appointment_at_its_last_time(account: Account, database: Database):
    calcom = account.client()
    account.pull(calcom)
    there = {booking["uid"]: booking for booking in account.control.read_bookings()}
    moved_on = {b["uid"] for b in there.values() if b["rescheduled_to"] in there}
    moved = {b["uid"]: b["rescheduled_from"] for b in there.values() if b["rescheduled_from"] in there}
    assert len(moved) > 2
    with database.transaction("Testing") as cursor:
        cursor.execute("SELECT uid, first_uid, moves, extract(epoch FROM starts_at) * 1000 FROM appointments")
        found = {uid: (first, moves, start) for uid, first, moves, start in cursor.fetchall()}
    assert found.keys() == there.keys() - moved_on
    for uid, (first, moves, start) in found.items():
        origin = uid
        for _ in range(moves):
            origin = moved[origin]
        assert (origin, there[uid]["start"]) == (first, start)
        assert origin not in moved
