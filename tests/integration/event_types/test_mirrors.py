from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import redis

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.redis.connection import facts, open_redis
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.app.event_types.ports import Replaced
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.errors import CacheError, ConfigurationError, SchemaOutdated, StoreError
from calcom_pipeline.domain.event_types.absence import Absent
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed, UnreadableRow
from tests.support.free_times import slot_cache

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
ME, TEAM = Owner("user", 101), Owner("team", 301)


def event_type(number: int, owner: Owner = ME, **changes: object) -> EventType:
    plain = EventType(
        id=number,
        owner=owner,
        slug=f"type-{number}",
        title=f"Type {number}",
        duration_minutes=30,
        schedule_zone="Europe/Berlin",
        host_ids=(101,),
        raw={"id": number},
        content_hash=f"hash-{number}",
    )
    return replace(plain, **changes)


def listing(*event_types: EventType) -> Listed[EventType]:
    return Listed(event_types)


def fetch(database: Database, query: str) -> list[tuple]:
    with database.transaction("Testing") as cursor:
        cursor.execute(query)
        return cursor.fetchall()


class TestEventTypes:
    def test_a_listing_is_mirrored_and_read_back_as_it_was(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        offered = [
            event_type(1, duration_options=(15, 30), seats_per_slot=3, limit_periods=("day", "week")),
            event_type(2, description='with, {odd} "text" \\ \n', hidden=True),
        ]
        assert mirror.replace(ME, listing(*offered), read_at=NOW).changes == Changes(added=2)
        assert mirror.bookable() == offered

    def test_an_unchanged_listing_touches_no_row(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, listing(event_type(1), event_type(2)), read_at=NOW)
        before = fetch(database, "SELECT id, xmin, ctid FROM event_types ORDER BY id")
        again = mirror.replace(ME, listing(event_type(2), event_type(1)), read_at=NOW + timedelta(1))
        assert again == Replaced(Changes(unchanged=2))
        assert fetch(database, "SELECT id, xmin, ctid FROM event_types ORDER BY id") == before

    def test_what_is_missing_from_a_listing_is_noted_and_stays_until_it_is_said_to_be_gone(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, listing(event_type(1), event_type(2)), read_at=NOW)
        since = NOW + timedelta(1)
        seen = mirror.replace(ME, listing(event_type(1)), read_at=since)
        assert seen == Replaced(Changes(unchanged=1), (Absent(2, ME, since, 1),))
        assert [e.id for e in mirror.bookable()] == [1, 2]
        seen = mirror.replace(ME, listing(event_type(1)), read_at=NOW + timedelta(2))
        assert seen.absent == (Absent(2, ME, since, 2),)
        assert mirror.mark_gone([1, 2], read_at=NOW + timedelta(2)) == 1, "1 is not missing"
        assert [e.id for e in mirror.bookable()] == [1]
        assert fetch(database, "SELECT event_type_id, why FROM invalidations") == [(2, "gone from Cal.com")]

    def test_what_is_shown_again_is_missing_no_more_even_if_it_had_been_gone(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        both = listing(event_type(1), event_type(2))
        mirror.replace(ME, both, read_at=NOW)
        mirror.replace(ME, listing(event_type(1)), read_at=NOW + timedelta(1))
        mirror.doubt([2], "nobody knows")
        assert mirror.replace(ME, both, read_at=NOW + timedelta(2)) == Replaced(Changes(unchanged=2))
        assert mirror.mark_gone([2], read_at=NOW + timedelta(2)) == 0
        mirror.replace(ME, listing(event_type(1)), read_at=NOW + timedelta(3))
        mirror.mark_gone([2], read_at=NOW + timedelta(3))
        again = mirror.replace(ME, both, read_at=NOW + timedelta(4))
        assert again == Replaced(Changes(changed=1, unchanged=1))
        columns = "first_seen_at, deleted_at, missing_since, missing_looks, missing_why"
        assert fetch(database, f"SELECT {columns} FROM event_types WHERE id = 2") == [(NOW, None, None, 0, "")]

    def test_a_row_that_cannot_be_read_is_put_away_and_is_not_missing(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, listing(event_type(1), event_type(2)), read_at=NOW)
        odd = UnreadableRow("event_types", b'{"id":2,"title":"a\\u0000b"}', "holds a NUL character", "2")
        for day in (1, 2):
            seen = mirror.replace(ME, Listed((event_type(1),), (odd,)), read_at=NOW + timedelta(day))
            assert seen == Replaced(Changes(unchanged=1))
        stored = "SELECT stream, uid, reason, times_seen, raw, resolved_at FROM quarantine"
        assert fetch(database, stored) == [("event_types", "2", odd.reason, 2, odd.raw, None)]
        mirror.replace(ME, listing(event_type(1), event_type(2)), read_at=NOW + timedelta(3))
        assert fetch(database, "SELECT resolved_at FROM quarantine") == [(NOW + timedelta(3),)]

    def test_one_owners_listing_leaves_the_others_alone(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, listing(event_type(1)), read_at=NOW)
        mirror.replace(TEAM, listing(event_type(8, TEAM)), read_at=NOW)
        assert [a.event_type_id for a in mirror.replace(ME, listing(), read_at=NOW + timedelta(1)).absent] == [1]

    def test_an_older_listing_that_comes_late_changes_nothing(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, listing(event_type(1, title="new", content_hash="new")), read_at=NOW)
        mirror.replace(ME, listing(event_type(1, title="old", content_hash="old")), read_at=NOW - timedelta(seconds=5))
        assert mirror.bookable()[0].title == "new"

    def test_what_belongs_to_owners_that_were_not_there_is_noted_or_dropped(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, listing(event_type(1)), read_at=NOW)
        mirror.replace(TEAM, listing(event_type(8, TEAM)), read_at=NOW)
        assert mirror.owners() == [TEAM, ME]
        assert mirror.note_absent_owners([ME], read_at=NOW) == [Absent(8, TEAM, NOW, 1)]
        assert [e.id for e in mirror.bookable()] == [1, 8]
        assert mirror.drop_owners([TEAM], read_at=NOW) == 1
        assert mirror.drop_owners([TEAM], read_at=NOW) == 0
        assert [e.id for e in mirror.bookable()] == [1]
        assert fetch(database, "SELECT event_type_id FROM invalidations") == [(8,)]

    def test_managed_parents_are_not_bookable_but_their_children_are(self, database: Database):
        mirror = PostgresEventTypeMirror(database)
        parent = event_type(10, TEAM, scheduling_type="managed")
        child = event_type(11, TEAM, scheduling_type="managed", parent_id=10)
        mirror.replace(TEAM, listing(parent, child), read_at=NOW)
        assert mirror.bookable() == [child]


def slot_day(day: date, *starts: Slot, fetched_at: datetime = NOW) -> SlotDay:
    return SlotDay(SlotKey(7, 30, "Europe/Berlin", day), starts, fetched_at)


FIRST = date(2026, 12, 1)
QUERY = SlotQuery(7, 30, "Europe/Berlin", FIRST, FIRST + timedelta(2))


class TestSlots:
    def test_days_are_stored_and_read_back_with_seats(self, database: Database):
        mirror = PostgresSlotMirror(database)
        days = [slot_day(FIRST, Slot(NOW), Slot(NOW + timedelta(hours=1))), slot_day(FIRST + timedelta(1))]
        seated = slot_day(FIRST + timedelta(2), Slot(NOW, 2, 3))
        assert mirror.store(Listed((*days, seated))) == Changes(added=3)
        assert mirror.days(QUERY) == [*days, seated]

    def test_an_older_fetch_does_not_overwrite_a_newer_one(self, database: Database):
        mirror = PostgresSlotMirror(database)
        newer = slot_day(FIRST, Slot(NOW))
        mirror.store(Listed((newer,)))
        mirror.store(Listed((slot_day(FIRST, fetched_at=NOW - timedelta(seconds=1)),)))
        assert mirror.days(QUERY) == [newer]

    def test_changed_days_are_counted_apart_from_refreshed_ones(self, database: Database):
        mirror = PostgresSlotMirror(database)
        mirror.store(Listed((slot_day(FIRST, Slot(NOW)), slot_day(FIRST + timedelta(1), Slot(NOW)))))
        later = NOW + timedelta(minutes=5)
        again = [slot_day(FIRST, Slot(NOW), fetched_at=later), slot_day(FIRST + timedelta(1), fetched_at=later)]
        assert mirror.store(Listed(tuple(again))) == Changes(changed=1, unchanged=1)

    def test_past_days_and_unknown_event_types_are_dropped(self, database: Database):
        mirror = PostgresSlotMirror(database)
        mirror.store(Listed((slot_day(FIRST), slot_day(FIRST + timedelta(1)))))
        assert mirror.prune(first_day=FIRST + timedelta(1), event_type_ids=[7]) == 1
        assert mirror.prune(first_day=FIRST, event_type_ids=[8]) == 1

    def test_the_cache_keeps_days_for_their_lifetime(self, redis_client: redis.Redis):
        cache = slot_cache(redis_client, stale=0)
        free = slot_day(FIRST, Slot(NOW), Slot(NOW + timedelta(hours=1), 1, 3))
        empty = slot_day(FIRST + timedelta(1))
        missing = SlotKey(7, 45, "Europe/Berlin", FIRST)
        assert cache.store([free, empty], generations={}) == 2
        assert cache.get([free.key, empty.key, missing]) == {free.key: free, empty.key: empty}
        assert cache.get([]) == {}
        assert 290 < redis_client.ttl(cache.key(free.key)) <= 300
        assert 50 < redis_client.ttl(cache.key(empty.key)) <= 60

    def test_the_published_key_and_value_read_as_documented(self, redis_client: redis.Redis):
        cache = slot_cache(redis_client, prefix="calcom:v1:{calcom}:", clock=lambda: 1_800_000_000)
        cache.store([slot_day(FIRST, Slot(NOW), Slot(NOW, 1, 3))], generations={})
        value = redis_client.get("calcom:v1:{calcom}:slots:day:7:30:Europe/Berlin:2026-12-01")
        stamp = int(NOW.timestamp())
        assert value == (
            b'{"v":2,"fetched_at":"2026-12-01T08:00:00+00:00","fresh_until":1800000300000,"slots":[[%d],[%d,1,3]]}'
            % (stamp, stamp)
        )


class TestTrouble:
    """A server that is away or refuses is one sentence, without its password."""

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("postgresql://u:secretword@127.0.0.1:9/db", "nothing listens"),
            ("postgresql:///db?host=/nowhere", "nothing listens"),
            ("postgresql://u:secretword@no-such-host.invalid/db", "host name"),
        ],
    )
    def test_an_unreachable_database(self, url: str, said: str):
        with open_database(url, schema="x") as database, pytest.raises(StoreError) as refused:
            database.server_version()
        assert said in str(refused.value)
        assert "secretword" not in str(refused.value)

    def test_a_database_that_does_not_exist(self, servers: local.Servers):
        url = servers.database_url.replace("/calcom?", "/nonesuch?")
        with open_database(url, schema="x") as database, pytest.raises(StoreError, match="does not exist"):
            database.server_version()

    @pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://"])
    def test_an_address_of_another_kind_is_refused(self, url: str):
        with pytest.raises(ConfigurationError), open_database(url, schema="x"):
            pass

    def test_a_schema_without_tables_says_which_command_helps(self, empty_database: Database):
        with pytest.raises(SchemaOutdated) as refused:
            PostgresEventTypeMirror(empty_database).bookable()
        assert "migrate" in refused.value.advice

    def test_rights_that_are_missing(self, servers: local.Servers, database: Database):
        with database.transaction("Testing") as cursor:
            cursor.execute("DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
            cursor.execute(f"GRANT USAGE ON SCHEMA {database.schema} TO reader")
        with pytest.raises(StoreError, match="lacks the right"), database.transaction("Storing") as cursor:
            cursor.execute("SET LOCAL ROLE reader")
            cursor.execute("SELECT * FROM bookings")

    def test_values_of_a_row_never_get_into_an_error(self, database: Database):
        with pytest.raises(StoreError) as refused, database.transaction("Storing") as cursor:
            cursor.execute("INSERT INTO watermarks VALUES ('s', 'jo@example.org', now(), now())")
            cursor.execute("INSERT INTO watermarks VALUES ('s', 'jo@example.org', now(), now())")
        assert "example.org" not in str(refused.value)

    def test_a_redis_that_is_away(self):
        with open_redis("redis://:secretword@127.0.0.1:9/0") as client, pytest.raises(CacheError) as refused:
            facts(client)
        assert "cannot be reached" in str(refused.value)
        assert "secretword" not in str(refused.value)

    def test_an_address_that_is_no_redis(self):
        with pytest.raises(ConfigurationError, match="no redis://"), open_redis("http://x"):
            pass
