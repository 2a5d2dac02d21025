"""An account with a bit of everything, written straight into its tables: what a report has to tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.database import Database

#: A name that would be a script, if anybody let it.
HOSTILE = "<script>document.title='owned'</script>"
ATTENDEE = "carol.attendee@example.org"
FAILURE = "Creating an event type: Cal.com answered 413 (request entity too large)"

_SERVICES = """
INSERT INTO services (name, slug, duration_minutes)
SELECT 'Service ' || n, 'service-' || n, 30 FROM generate_series(1, %(number)s) n ORDER BY n"""
_EVENT_TYPES = """
INSERT INTO event_types (id, owner, slug, title, description, duration_minutes, duration_options, hidden, schedule_zone,
    minimum_notice_minutes, before_buffer_minutes, after_buffer_minutes, requires_confirmation, recurring, price_minor,
    currency, host_ids, assign_all_team_members, limit_periods, raw, content_hash, first_seen_at, changed_at)
SELECT 1000 + id, 'user:1', slug, name, '', 30, '{}', false, 'Europe/Berlin', 120, 0, 0, false, false, 0, 'usd', '{1}',
    false, '{}', '{}', '', %(now)s, %(now)s
FROM services ON CONFLICT DO NOTHING"""
_LINKS = """
INSERT INTO service_links (service_id, owner, event_type_id, base, state, changed_at)
SELECT id::text, 'user:1', 1000 + id, jsonb_build_object('title', name, 'slug', slug, 'duration_minutes', 30,
    'description', '', 'hidden', false, 'before_buffer_minutes', 0, 'after_buffer_minutes', 0,
    'minimum_notice_minutes', 120), 'linked', %(now)s - interval '1 day'
FROM services"""
_WATERMARKS = """
INSERT INTO watermarks (stream, partition, position, read_started_at)
VALUES ('event_types', 'user:1', %(read_at)s, %(read_at)s)
ON CONFLICT (stream, partition) DO UPDATE
SET position = excluded.position, read_started_at = excluded.read_started_at"""
_LISTING = """
INSERT INTO booking_listings (listing, polled_at) VALUES ('mine', %(read_at)s)
ON CONFLICT (listing) DO UPDATE SET polled_at = excluded.polled_at"""
_BOOKINGS = """
INSERT INTO bookings (uid, id, status, title, starts_at, ends_at, event_type_id, cancellation_reason, absent_host, raw,
    payload_hash, read_started_at)
SELECT 'uid-' || n, n, (ARRAY['accepted', 'accepted', 'accepted', 'cancelled', 'pending', 'rejected'])[1 + n %% 6],
    %(title)s, %(today)s + make_interval(days => n %% 53 - 27, hours => 8 + n %% 9), %(today)s, 1001, '', false,
    jsonb_build_object('attendees', %(attendee)s::text), '', %(today)s
FROM generate_series(1, %(number)s) n WHERE (n %% 53 - 27) %% 7 <> 3"""
_SLOTS = """
INSERT INTO slots (event_type_id, duration_minutes, zone, day, starts, seats, fetched_at)
SELECT 1000 + n, 30, 'Europe/Berlin', day::date,
    (SELECT coalesce(array_agg(((day::date + make_interval(hours => h)) AT TIME ZONE 'Europe/Berlin') ORDER BY h), '{}')
     FROM generate_series(9, 17) h WHERE (h * n + extract(doy FROM day)::integer) %% 3 <> 0),
    NULL, %(read_at)s
FROM generate_series(1, %(types)s) n, generate_series(%(today)s, %(today)s + interval '20 days', interval '1 day') day
WHERE extract(isodow FROM day) < 6"""
_CALLS = """
INSERT INTO api_calls (called_at, operation, endpoint_group, method, status, outcome, duration_ms, waited_ms, attempt,
    lane)
SELECT %(now)s - make_interval(secs => n * 3), 'listing', (ARRAY['event_types', 'bookings', 'slots'])[1 + n %% 3],
    'GET', CASE WHEN n %% 97 = 0 THEN 429 WHEN n %% 83 = 0 THEN 503 ELSE 200 END, 'ok', 80 + n %% 240, 0, 1,
    (ARRAY['sync', 'sync', 'interactive', 'warm', 'backfill'])[1 + (n / 40) %% 5]
FROM generate_series(1, 1150) n WHERE n %% 400 < 250"""
_PLAN = """
INSERT INTO sync_plans (id, hash, source, state, counts, held, created_at, expires_at)
VALUES ('20261201-080000-0badcafe', '', 'test', 'planned', '{"hide": 4}',
    %(held)s, %(read_at)s, %(now)s + interval '1 hour')"""
_SCOPES = """
INSERT INTO webhook_scopes (scope, state, reason, reason_code, checked_at)
VALUES ('user', 'right', 'subscribed as it should be', 'webhook_right', %(read_at)s),
       ('team:301/event-type:8', 'wrong', 'there is no subscription of our address', 'webhook_missing', %(read_at)s)"""
_INBOX = """
INSERT INTO webhook_inbox (digest, trigger, uid, body, received_at, state, next_attempt_at)
SELECT sha256(n::text::bytea), 'BOOKING_CREATED', 'uid-' || n, '', %(read_at)s, 'done', %(read_at)s
FROM generate_series(1, 41) n"""


@dataclass(frozen=True)
class Told:
    """What was written: how many services stand how."""

    services: int
    failed: int = 1
    parked: int = 1
    conflict: int = 2
    refused: int = 4
    pending: int = 5

    @property
    def in_sync(self) -> int:
        return self.services - self.failed - self.parked - self.conflict - self.refused - self.pending


def in_sync(database: Database, now: datetime, *, services: int) -> None:
    """Services that agree with the event types that were read two minutes ago."""
    values = {"number": services, "now": now, "read_at": now - timedelta(minutes=2)}
    with database.transaction("Testing") as cursor:
        for statement in (_SERVICES, _EVENT_TYPES, _LINKS, _WATERMARKS, _LISTING):
            cursor.execute(statement, values)


def in_trouble(database: Database, now: datetime, *, services: int = 40) -> Told:
    """The same, and of some services every kind of trouble. At least 20 services."""
    in_sync(database, now, services=services)
    later = now + timedelta(minutes=7)
    with database.transaction("Testing") as cursor:
        cursor.execute("UPDATE services SET name = 'Massage, 60 minutes, with hot stones' WHERE id = 1")
        cursor.execute("UPDATE event_types SET title = 'Hot stone massage', duration_minutes = 45 WHERE id = 1001")
        cursor.execute("UPDATE services SET name = %s WHERE id = 2", (HOSTILE,))
        cursor.execute("UPDATE event_types SET title = 'Edited at Cal.com' WHERE id = 1002")
        cursor.execute("UPDATE services SET duration_minutes = 0 WHERE id IN (3, 4, 5)")
        cursor.execute("UPDATE services SET name = '' WHERE id = 6")
        cursor.execute("UPDATE services SET name = name || ' (new)' WHERE id BETWEEN 7 AND 11")
        cursor.execute("UPDATE services SET name = 'Brochure' WHERE id = 12")
        cursor.execute(
            "UPDATE service_links SET state = 'creating', attempts = 4, next_attempt_at = %s, reason = %s,"
            " event_type_id = NULL, base = '{}', reason_code = 'rejected', failed_version = '2'"
            " WHERE service_id = '12'",
            (later, FAILURE),
        )
        cursor.execute("DELETE FROM event_types WHERE id IN (1012, 1013)")
        cursor.execute(
            "UPDATE service_links SET state = 'parked', reason = 'its event type is gone', reason_code = 'gone',"
            " failed_version = '1' WHERE service_id = '13'"
        )
    return Told(services)


def busy(database: Database, now: datetime, *, bookings: int = 900, types: int = 12) -> None:
    """Bookings, free starts, calls, a plan, webhooks; what people wrote is in them."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    held = {"hide": {"reason": "4 of 40 linked services would be hidden", "code": "brake_hide", "params": {}}}
    values = {
        "now": now,
        "read_at": now - timedelta(minutes=2),
        "today": today,
        "number": bookings,
        "types": types,
        "title": f"Massage between {ATTENDEE} and us",
        "attendee": ATTENDEE,
        "held": Jsonb(held),
    }
    with database.transaction("Testing") as cursor:
        for statement in (_BOOKINGS, _SLOTS, _CALLS, _PLAN, _SCOPES, _INBOX):
            cursor.execute(statement, values)
        cursor.execute(
            "INSERT INTO invalidations (kind, why, user_ids, starts, ends, created_at) VALUES ('booking', '', '{}',"
            " '{}', '{}', %s)",
            (now - timedelta(minutes=11),),
        )
        cursor.execute(
            "INSERT INTO quarantine (stream, hash, raw, reason, first_seen_at, last_seen_at) VALUES ('bookings', 'h',"
            " '', 'no start', %s, %s)",
            (now, now),
        )
