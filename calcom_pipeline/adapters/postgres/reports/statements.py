"""SQL of what people ask: counts, positions, calls; and of the report. Each is bounded."""

from calcom_pipeline.adapters.postgres.availability.statements import FREE_STARTS
from calcom_pipeline.adapters.postgres.statements import LATEST_BELIEVED
from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.event_types.models import EventType

FREE_STARTS_BY_DAY = f"""
SELECT event_types.slug || ' (' || event_types.owner || ')', day, sum({FREE_STARTS})::integer
FROM slots JOIN event_types ON event_types.id = event_type_id GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608 - the constant above

SLOT_KEYS = "SELECT event_type_id, duration_minutes, zone, day FROM slots ORDER BY 1, 2, 3, 4"
# At random, so that no event type is looked at more often than another.
SOME_SLOT_KEYS = """
SELECT event_type_id, duration_minutes, zone, day FROM slots WHERE day >= %(today)s ORDER BY random() LIMIT %(limit)s"""

CALLS_BY_MINUTE = """
SELECT date_trunc('minute', called_at), lane, count(*)::integer FROM api_calls WHERE called_at >= %(since)s
GROUP BY 1, 2 ORDER BY 1, 2"""

# Full reads by start stand at starts, which may lie ahead; what they must not is to have begun ahead of now.
POSITIONS_AHEAD = f"""
SELECT stream, partition, CASE WHEN stream = 'bookings_full' THEN read_started_at ELSE position END AS instant
FROM watermarks
WHERE CASE WHEN stream = 'bookings_full' THEN read_started_at ELSE position END > {LATEST_BELIEVED}
UNION ALL
SELECT 'bookings', listing || ', last read', polled_at FROM booking_listings WHERE polled_at > {LATEST_BELIEVED}
ORDER BY 1, 2"""  # noqa: S608 - constants

WATERMARKS = "SELECT stream, partition, position, read_started_at FROM watermarks ORDER BY stream, partition"

# --- the report ---------------------------------------------------------------------------------------------

POSITIONS = "SELECT partition, position FROM watermarks WHERE stream = 'event_types'"
# Of an event type all but the answer as a whole, which is most of a row and compared with nothing.
_KEPT = ", ".join("'{}'::jsonb" if name == "raw" else name for name in columns_of(EventType))
EVENT_TYPES = f"SELECT {_KEPT} FROM event_types WHERE deleted_at IS NULL ORDER BY id"  # noqa: S608 - names of columns
LISTINGS = "SELECT listing, polled_at FROM booking_listings"
SLOT_AGES = "SELECT min(fetched_at), max(fetched_at) FROM slots"

# The mirror's row of their event type is older than what was written or adopted since.
WRITTEN_SINCE = """
SELECT service_id FROM service_links
JOIN watermarks ON stream = 'event_types' AND partition = owner AND position < changed_at"""

LAST_PLAN = """
SELECT id, source, state, counts, held, created_at, expires_at, applied_at FROM sync_plans
ORDER BY created_at DESC LIMIT 1"""

PENDING_FACTS = """
SELECT count(*), min(created_at), count(*) FILTER (WHERE attempts > 0) FROM invalidations WHERE state = 'pending'"""
QUARANTINED = "SELECT stream, count(*) FROM quarantine WHERE resolved_at IS NULL GROUP BY stream ORDER BY stream"
DOUBTFUL_BOOKINGS = "SELECT count(*) FROM open_outcomes WHERE closed_at IS NULL"
MISSING = "SELECT count(*) FROM event_types WHERE missing_since IS NOT NULL AND deleted_at IS NULL"

# By the days of the business's zone; the bounds are midnights there, so that the index on starts_at serves.
BOOKINGS_BY_DAY = """
SELECT (starts_at AT TIME ZONE %(zone)s)::date, status, count(*)::integer FROM bookings
WHERE starts_at >= %(since)s::timestamp AT TIME ZONE %(zone)s
  AND starts_at < %(until)s::timestamp AT TIME ZONE %(zone)s
  AND deleted_at IS NULL AND out_of_scope_at IS NULL
GROUP BY 1, 2 ORDER BY 1, 2"""

# Of several lengths the event type's own: the others offer the same time again.
FREE_BY_DAY = f"""
SELECT day, sum({FREE_STARTS})::integer
FROM slots JOIN event_types ON event_types.id = event_type_id AND slots.duration_minutes = event_types.duration_minutes
WHERE day >= %(since)s AND deleted_at IS NULL GROUP BY day ORDER BY day"""  # noqa: S608 - the constant above

# Local to each schedule. `seats` holds [remaining, total] beside each start; without seats it is NULL.
FREE_BY_HOUR = """
SELECT extract(isodow FROM local)::integer - 1, extract(hour FROM local)::integer, count(*)::integer
FROM slots JOIN event_types ON event_types.id = event_type_id AND slots.duration_minutes = event_types.duration_minutes
CROSS JOIN LATERAL unnest(starts) WITH ORDINALITY AS each (start, place)
CROSS JOIN LATERAL (SELECT start AT TIME ZONE zone AS local) AS local_start
WHERE day >= %(since)s AND day < %(until)s AND deleted_at IS NULL AND start > %(now)s
  AND (seats IS NULL OR (seats -> (place - 1)::integer ->> 0)::integer > 0)
GROUP BY 1, 2 ORDER BY 1, 2"""

# From Cal.com's stamp of a change to the read that brought it; changes before our first full read show nothing.
SYNC_LAGS = """
SELECT date_trunc('hour', updated_at) AS hour,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM read_started_at - updated_at)),
       max(extract(epoch FROM read_started_at - updated_at))::float8, count(*)::integer
FROM bookings
WHERE updated_at >= %(since)s
  AND updated_at >= (SELECT min(full_done_at) FROM booking_listings) AND read_started_at >= updated_at
GROUP BY 1 ORDER BY 1"""

CACHE_AGES = """
SELECT hour, median_seconds, oldest_seconds, fresh_share FROM cache_ages WHERE hour >= %(since)s ORDER BY hour"""

# Of an hour the worst look stands.
KEEP_CACHE_AGE = """
INSERT INTO cache_ages (hour, median_seconds, oldest_seconds, fresh_share)
VALUES (date_trunc('hour', %(now)s, 'UTC'), %(median)s, %(oldest)s, %(fresh)s)
ON CONFLICT (hour) DO UPDATE SET
    median_seconds = greatest(cache_ages.median_seconds, excluded.median_seconds),
    oldest_seconds = greatest(cache_ages.oldest_seconds, excluded.oldest_seconds),
    fresh_share = least(cache_ages.fresh_share, excluded.fresh_share)"""

CALLS_BY_GROUP = """
SELECT endpoint_group, count(*)::integer, (count(*) FILTER (WHERE status = 429))::integer,
       (count(*) FILTER (WHERE status IS NULL OR status >= 500))::integer,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)
FROM api_calls WHERE called_at >= %(since)s GROUP BY endpoint_group ORDER BY 2 DESC, 1"""

DELIVERIES = "SELECT state, count(*), max(received_at) FROM webhook_inbox GROUP BY state ORDER BY state"

# Dagster's own table (of the pinned release); its start and end are seconds since 1970.
LAST_RUNS = """
SELECT run_id, pipeline_name, status, to_timestamp(start_time), to_timestamp(end_time)
FROM runs ORDER BY id DESC LIMIT %(limit)s"""
