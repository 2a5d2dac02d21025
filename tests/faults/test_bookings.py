"""The mirror of bookings with real processes on real servers, in bad weather: a short share, then 200 kills."""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest
import requests

from tests.faults import booking_roles as roles
from tests.faults.booking_roles import Reading
from tests.faults.booking_weather import Sky, Weather, listening
from tests.faults.harness import SCHEMA, Site, machine, site
from tests.support.clients import ROOMY
from tests.support.commands import command

Row = dict[str, Any]
#: The team that the key gains and loses, with a quarter of all bookings.
TEAM = 302
#: Cal.com's 120 s scaled down, so that watermarks pass what happens during a test.
OVERLAP = timedelta(seconds=3)


@dataclass(frozen=True)
class Size:
    """How big a storm is: a kill after so many pages at most, at any moment within so many seconds of the last one."""

    bookings: int
    page_size: int
    kills: int
    pages_between: int = 14
    within_seconds: float = 0.05

    def serve(self) -> Any:
        """A site with the account; its owner reads."""
        account = {"account": "generated", "event_types": 8, "teams": 2, "bookings": self.bookings, "seed": 11}
        return site(key="owner", budget=ROOMY, with_database=True, limit=1_000_000, window_seconds=60, **account)


SHORT = Size(bookings=260, page_size=20, kills=4)


# --- the account and the mirror, as somebody sees them who does not use our code ---------------------------------


def shown(here: Site) -> dict[str, Row]:
    """All bookings that the key sees, in quiet: pages by offset until as many were seen as Cal.com counts."""
    headers = {"Authorization": f"Bearer {here.place.key}", "cal-api-version": "2024-08-13"}
    found: dict[str, Row] = {}
    for _ in range(50):
        skip, total = 0, 1
        while skip < total:
            query = {"sortCreated": "asc", "take": 250, "skip": skip}
            answer = requests.get(f"{here.place.url}/bookings", params=query, headers=headers, timeout=30).json()
            found |= {row["uid"]: row for row in answer["data"]}
            total, skip = answer["pagination"]["totalItems"], skip + 250
        if len(found) == total:
            return found
    raise AssertionError(f"{len(found)} of {total} bookings were seen")


def mirrored(here: Site) -> dict[str, Row]:
    """What the mirror holds as being there: payloads, with attendees and hosts out of their own tables."""
    query = """
        SELECT raw::text,
               (SELECT coalesce(jsonb_agg(jsonb_build_array(email, name, time_zone) ORDER BY position), '[]')::text
                FROM booking_attendees WHERE booking_uid = uid),
               (SELECT coalesce(jsonb_agg(jsonb_build_array(user_id, email) ORDER BY position), '[]')::text
                FROM booking_hosts WHERE booking_uid = uid)
        FROM bookings WHERE deleted_at IS NULL AND out_of_scope_at IS NULL"""
    with here.database() as database, database.transaction("Testing") as cursor:
        cursor.execute(query)
        rows = [tuple(map(orjson.loads, columns)) for columns in cursor.fetchall()]
    return {row["uid"]: {"row": row, "attendees": attendees, "hosts": hosts} for row, attendees, hosts in rows}


def as_mirrored(row: Row) -> Row:
    attendees = [[a["email"], a["name"], a["timeZone"]] for a in row["attendees"]]
    return {"row": row, "attendees": attendees, "hosts": [[h["id"], h["email"]] for h in row["hosts"]]}


def differences(here: Site, *, without: set[str] | frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """Bookings that are missing, that are not as they are shown, and that are shown no longer."""
    wanted = {uid: as_mirrored(row) for uid, row in shown(here).items()}
    there = mirrored(here)
    return {
        "missing": sorted(wanted.keys() - there.keys() - without),
        "outdated": sorted(uid for uid in wanted.keys() & there.keys() - without if wanted[uid] != there[uid]),
        "extra": sorted(there.keys() - wanted.keys()),
    }


# --- storms -------------------------------------------------------------------------------------------------------


def fair_weather(here: Site, size: Size, seed: int, *, inside_pages: float = 0.0) -> Weather:
    """The account as it was generated, but for one team that the key is not in; nothing has struck yet."""
    control = here.sandbox.control
    control.reset(account=True)
    account = control.account()
    users = tuple(user["id"] for user in account["users"])
    managed = {event_type["parentId"] for event_type in account["eventTypes"]}
    bookable = tuple(e["id"] for e in account["eventTypes"] if e["id"] not in managed)
    control.mutate("set_membership", user_id=users[0], team_id=TEAM, role=None)
    return Weather(
        control,
        Sky(users[0], TEAM, bookable, users, int(2.2 * size.page_size), OVERLAP),
        seed,
        inside_pages=inside_pages,
    )


def lost_by_offset(here: Site, size: Size, seed: int) -> int:
    """How many bookings a reader by offset never saw although they were shown before, meanwhile and after."""
    weather = fair_weather(here, size, seed)
    before = shown(here)
    with listening(weather) as port, here.crew() as crew:
        crew.hire(roles.offset_reader, Reading(size.page_size, OVERLAP, port))
        crew.wait(60)
    stayed = [
        uid for uid, row in shown(here).items() if uid in before and row["updatedAt"] and before[uid]["updatedAt"]
    ]
    return len(set(stayed).difference(here.told("offset")[-1]["uids"]))


def empty_mirror(here: Site) -> None:
    with here.database() as database, database.transaction("Testing") as cursor:
        cursor.execute("SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = %s "
                       "AND tablename <> 'schema_migrations'", (SCHEMA,))  # fmt: skip
        cursor.execute(f"TRUNCATE {cursor.fetchall()[0][0]}")


def sync_bookings(here: Site, size: Size, *options: str) -> dict[str, Any]:
    """The command, as an operator gives it."""
    environment = {
        "CALCOM_ENV_FILE": "",
        "CALCOM_BASE_URL": here.place.url,
        "CALCOM_API_KEY": here.place.key,
        "CALCOM_DATABASE_SCHEMA": SCHEMA,
        "CALCOM_RATE_LIMIT_PER_MINUTE": "100000",
        "CALCOM_RATE_BURST_REQUESTS": "50",
        "CALCOM_BOOKING_PAGE_SIZE": str(size.page_size),
        "CALCOM_BOOKING_OVERLAP_SECONDS": str(OVERLAP.total_seconds()),
        "CALCOM_BOOKING_PROOFS": "100000",  # a lost team takes more out of sight than one run would prove
        "DATABASE_URL": here.place.database_url,
        "REDIS_URL": here.place.redis_url,
    }
    done = command("sync", "bookings", "--json", *options, environment=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"]["bookings"]


def await_strikes(weather: Weather, strikes: int) -> None:
    """Until readers have asked for so many pages, however busy the machine is."""
    end = time.monotonic() + 60
    while weather.strikes < strikes:
        assert time.monotonic() < end, "nobody reads"
        time.sleep(0.005)


def storm(here: Site, size: Size, seed: int) -> Weather:
    """Two readers in bad weather, one of them killed now and then; then quiet, one read of changes, one of everything.

    What a read of changes need not have right is what the weather excuses, and bookings that are shown no longer.
    """
    empty_mirror(here)
    weather = fair_weather(here, size, seed, inside_pages=0.3)
    with listening(weather) as port, here.crew(seed=seed) as crew:
        crew.hire(roles.reader, Reading(size.page_size, OVERLAP, port), count=2)
        points = random.Random(seed)
        for kill in range(size.kills):
            await_strikes(weather, weather.strikes + points.randrange(1, size.pages_between))
            crew.storm(kills=1, seed=1000 * seed + kill, between=(0.0, size.within_seconds))
    weather.calm_inside_pages()
    sync_bookings(here, size)
    found = differences(here, without=weather.excused)
    wrong = found["missing"] + found["outdated"]
    assert not wrong, (seed, wrong, weather.story_of(wrong))
    proven = sync_bookings(here, size, "--full")["proven"]
    assert proven["open"] == 0, proven
    wrong = [uid for uids in differences(here).values() for uid in uids]
    assert not wrong, (seed, wrong, weather.story_of(wrong))
    return weather


def test_after_a_storm_with_kills_a_read_in_quiet_has_all_but_the_excused_and_a_full_one_everything():
    with SHORT.serve() as here:
        assert lost_by_offset(here, SHORT, seed=5) > 0
        weather = storm(here, SHORT, seed=5)
        assert weather.changes().total() > 10
        assert weather.changes()["change inside a page"] > 5
        assert here.counted()["failed"] == 0, here.told("failed")
        here.audit()


@pytest.mark.proof
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("size", "storms"),
    [(Size(600, page_size=25, kills=25), 6), (Size(3000, page_size=250, kills=25, within_seconds=0.2), 2)],
    ids=["pages of 25", "pages of 250"],
)
def test_proof_two_hundred_kills_in_storms_leave_the_mirror_equal(size: Size, storms: int):
    changes: Counter[str] = Counter()
    strikes, lost = 0, list[int]()
    with size.serve() as here:
        for seed in range(storms):
            lost.append(lost_by_offset(here, size, seed))
            weather = storm(here, size, seed)
            strikes += weather.strikes
            changes += weather.changes()
        reads = Counter(line["mode"] for line in here.told("read"))
        assert here.counted()["failed"] == 0, here.told("failed")
        here.audit()
    print(
        f"\n{storms} storms over {size.bookings} bookings in pages of {size.page_size}, {storms * size.kills} kills, "
        f"{strikes} pages with changes before them: {dict(changes)}; reads that ended {dict(reads)}; the mirror was "
        f"equal after each; a reader by offset lost {lost} bookings ({machine()})"
    )
    assert sum(lost) > 0
    assert set(changes) >= {"bulk update", "leave the instant", "gain a team", "come from the future", "late commit"}
    assert changes["change inside a page"] > storms * size.kills
