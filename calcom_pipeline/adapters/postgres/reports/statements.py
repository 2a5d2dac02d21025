"""SQL of what people ask: counts, positions, calls."""

from calcom_pipeline.adapters.postgres.availability.statements import FREE_STARTS
from calcom_pipeline.adapters.postgres.statements import LATEST_BELIEVED

TABLE_COUNTS = f"""
SELECT (SELECT count(*) FROM event_types WHERE deleted_at IS NULL),
       (SELECT count(DISTINCT owner) FROM event_types WHERE deleted_at IS NULL),
       (SELECT count(*) FROM bookings WHERE deleted_at IS NULL),
       (SELECT count(*) FROM slots), (SELECT coalesce(sum({FREE_STARTS}), 0) FROM slots),
       (SELECT count(*) FROM quarantine WHERE resolved_at IS NULL)"""  # noqa: S608 - the constant above

FREE_STARTS_BY_DAY = f"""
SELECT event_types.slug || ' (' || event_types.owner || ')', day, sum({FREE_STARTS})::integer
FROM slots JOIN event_types ON event_types.id = event_type_id GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608 - the same

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
