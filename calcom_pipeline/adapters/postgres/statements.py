"""Every statement of the mirrors, named and explained. Values are always parameters or COPY rows."""

from calcom_pipeline.domain.bookings.positions import CLOCK_TOLERANCE

# --- what every stream needs ---------------------------------------------------------------------------------

# One writer at a time per stream, so that a late older read of the same version cannot win.
LOCK_STREAM = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' stream ' || %(stream)s, 0))"

READ_WATERMARK = (
    "SELECT position, read_started_at FROM watermarks WHERE stream = %(stream)s AND partition = %(partition)s"
)

_LATEST = f"now() + interval '{CLOCK_TOLERANCE.total_seconds():.0f} seconds'"


def is_ahead(stamp: str, by: str) -> str:
    """Whether an instant of ours was stamped by a clock that was wrong: it is ahead of this server's and the writer's.

    Such a stamp guards nothing, else it would do so until its time comes. `by` is what the writer's clock says now;
    where that is ahead itself, nobody can tell who is right.
    """
    return f"({stamp} > {_LATEST} AND {by} <= {_LATEST})"


READ_BELIEVED_WATERMARK = f"{READ_WATERMARK} AND NOT {is_ahead('position', '%(by)s::timestamptz')}"

# At most to now, by whichever of our clocks is later.
_SET_WATERMARK = """
INSERT INTO watermarks (stream, partition, position, read_started_at)
VALUES (%(stream)s, %(partition)s, least(%(position)s, greatest(now(), %(read_started_at)s)), %(read_started_at)s)
ON CONFLICT (stream, partition) DO UPDATE
SET position = excluded.position, read_started_at = excluded.read_started_at"""

# A watermark never moves back, unless it is ahead of now; an unmoved one is not written.
MOVE_WATERMARK = f"""{_SET_WATERMARK}
WHERE excluded.position > watermarks.position OR {is_ahead("watermarks.position", "excluded.read_started_at")}"""

# Whoever has read everything knows better than what stood there, backwards too.
SET_WATERMARK = f"""{_SET_WATERMARK}
WHERE excluded.position <> watermarks.position"""

# --- quarantine ----------------------------------------------------------------------------------------------

QUARANTINE = """
INSERT INTO quarantine (stream, hash, raw, reason, uid, first_seen_at, last_seen_at)
VALUES (%(stream)s, %(hash)s, %(raw)s, %(reason)s, %(key)s, coalesce(%(seen_at)s, now()), coalesce(%(seen_at)s, now()))
ON CONFLICT (stream, hash) DO UPDATE
SET reason = excluded.reason, uid = excluded.uid, times_seen = quarantine.times_seen + 1,
    last_seen_at = greatest(quarantine.last_seen_at, excluded.last_seen_at), resolved_at = NULL"""

# What was unreadable has been read since, in a later request.
SETTLE_ROWS = """
UPDATE quarantine SET resolved_at = %(read_at)s
WHERE stream = %(stream)s AND resolved_at IS NULL AND uid = ANY(%(keys)s) AND last_seen_at < %(read_at)s"""

# Complete lists were read since, and do not show these any more.
SETTLE_UNSEEN = """
UPDATE quarantine SET resolved_at = %(read_at)s
WHERE stream = ANY(%(streams)s) AND resolved_at IS NULL AND last_seen_at < %(before)s"""

OPEN_ROWS = """
SELECT stream, uid, reason, times_seen, last_seen_at FROM quarantine
WHERE resolved_at IS NULL ORDER BY first_seen_at, hash"""

# --- bookings ------------------------------------------------------------------------------------------------

BOOKING_COLUMNS = (
    "uid, id, status, title, description, starts_at, ends_at, event_type_id, event_type_slug, location, "
    "cancellation_reason, rescheduled_from_uid, rescheduled_to_uid, recurring_uid, absent_host, created_at, "
    "updated_at, raw, payload_hash, read_started_at"
)

STAGE_BOOKINGS = "CREATE TEMP TABLE incoming_bookings (LIKE bookings) ON COMMIT DROP"

COPY_BOOKINGS = f"COPY incoming_bookings ({BOOKING_COLUMNS}) FROM STDIN"
COPY_ATTENDEES = "COPY booking_attendees FROM STDIN"
COPY_HOSTS = "COPY booking_hosts FROM STDIN"

# An older read must not overwrite a newer one, and an unchanged booking is not written at all. The people of a
# changed row are cleared here and copied in afresh by the caller.
UPSERT_BOOKINGS = """
WITH written AS (
    INSERT INTO bookings SELECT * FROM incoming_bookings
    ON CONFLICT (uid) DO UPDATE SET
        id = excluded.id, status = excluded.status, title = excluded.title, description = excluded.description,
        starts_at = excluded.starts_at, ends_at = excluded.ends_at, event_type_id = excluded.event_type_id,
        event_type_slug = excluded.event_type_slug, location = excluded.location,
        cancellation_reason = excluded.cancellation_reason, rescheduled_from_uid = excluded.rescheduled_from_uid,
        rescheduled_to_uid = excluded.rescheduled_to_uid, recurring_uid = excluded.recurring_uid,
        absent_host = excluded.absent_host, created_at = excluded.created_at, updated_at = excluded.updated_at,
        raw = excluded.raw, payload_hash = excluded.payload_hash, read_started_at = excluded.read_started_at,
        deleted_at = NULL, out_of_scope_at = NULL
    WHERE (coalesce(bookings.updated_at, '-infinity'), bookings.read_started_at)
       <= (coalesce(excluded.updated_at, '-infinity'), excluded.read_started_at)
      AND (bookings.payload_hash <> excluded.payload_hash
           OR bookings.deleted_at IS NOT NULL OR bookings.out_of_scope_at IS NOT NULL)
    RETURNING uid, (xmax = 0) AS added
), no_attendees AS (
    DELETE FROM booking_attendees USING written WHERE booking_uid = uid AND NOT added
), no_hosts AS (
    DELETE FROM booking_hosts USING written WHERE booking_uid = uid AND NOT added
)
SELECT uid, added FROM written"""

# --- slots ---------------------------------------------------------------------------------------------------

STAGE_SLOTS = "CREATE TEMP TABLE incoming_slots (LIKE slots) ON COMMIT DROP"
COPY_SLOTS = "COPY incoming_slots (event_type_id, duration_minutes, zone, day, starts, seats, fetched_at) FROM STDIN"

COMPARE_SLOTS = """
SELECT count(*) FILTER (WHERE old.day IS NULL),
       count(*) FILTER (WHERE old.day IS NOT NULL
                          AND (old.starts <> new.starts OR old.seats IS DISTINCT FROM new.seats))
FROM incoming_slots new LEFT JOIN slots old USING (event_type_id, duration_minutes, zone, day)"""

UPSERT_SLOTS = f"""
INSERT INTO slots SELECT * FROM incoming_slots
ON CONFLICT (event_type_id, duration_minutes, zone, day) DO UPDATE
SET starts = excluded.starts, seats = excluded.seats, fetched_at = excluded.fetched_at
WHERE slots.fetched_at <= excluded.fetched_at OR {is_ahead("slots.fetched_at", "excluded.fetched_at")}"""  # noqa: S608 - constants

SLOT_DAYS = """
SELECT day, starts, seats, fetched_at FROM slots
WHERE event_type_id = %(event_type_id)s AND duration_minutes = %(duration_minutes)s AND zone = %(zone)s
  AND day BETWEEN %(first_day)s AND %(last_day)s ORDER BY day"""

# Days that are over, and event types that nobody can book any more.
PRUNE_SLOTS = "DELETE FROM slots WHERE day < %(first_day)s OR NOT event_type_id = ANY(%(event_type_ids)s)"

# A start without a seat left is kept and is not free; `seats` holds [remaining, total] beside each start.
FREE_STARTS = (
    "cardinality(starts)"
    " - jsonb_array_length(jsonb_path_query_array(coalesce(seats, '[]'), 'strict $[*] ? (@[0] <= 0)'))"
)

# --- what people ask -----------------------------------------------------------------------------------------

TABLE_COUNTS = f"""
SELECT (SELECT count(*) FROM event_types WHERE deleted_at IS NULL),
       (SELECT count(DISTINCT owner) FROM event_types WHERE deleted_at IS NULL),
       (SELECT count(*) FROM bookings WHERE deleted_at IS NULL),
       (SELECT count(*) FROM slots), (SELECT coalesce(sum({FREE_STARTS}), 0) FROM slots),
       (SELECT count(*) FROM quarantine WHERE resolved_at IS NULL)"""  # noqa: S608 - the constant above

FREE_STARTS_BY_DAY = f"""
SELECT event_types.slug || ' (' || event_types.owner || ')', day, sum({FREE_STARTS})::integer
FROM slots JOIN event_types ON event_types.id = event_type_id GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608 - the same

FREE_STARTS_BY_HOUR = """
SELECT extract(isodow FROM start AT TIME ZONE zone)::integer - 1, extract(hour FROM start AT TIME ZONE zone)::integer,
       count(*)::integer
FROM slots CROSS JOIN LATERAL unnest(starts) WITH ORDINALITY AS listed (start, n)
WHERE coalesce((seats -> (n - 1)::integer ->> 0)::integer, 1) > 0 GROUP BY 1, 2 ORDER BY 1, 2"""

SLOT_KEYS = "SELECT event_type_id, duration_minutes, zone, day FROM slots ORDER BY 1, 2, 3, 4"

CALLS_BY_MINUTE = """
SELECT date_trunc('minute', called_at), lane, count(*)::integer FROM api_calls WHERE called_at >= %(since)s
GROUP BY 1, 2 ORDER BY 1, 2"""

# Full reads by start stand at starts, which may lie ahead; what they must not is to have begun ahead of now.
POSITIONS_AHEAD = f"""
SELECT stream, partition, CASE WHEN stream = 'bookings_full' THEN read_started_at ELSE position END AS instant
FROM watermarks
WHERE CASE WHEN stream = 'bookings_full' THEN read_started_at ELSE position END > {_LATEST}
UNION ALL
SELECT 'bookings', listing || ', last read', polled_at FROM booking_listings WHERE polled_at > {_LATEST}
ORDER BY 1, 2"""  # noqa: S608 - constants

WATERMARKS = "SELECT stream, partition, position, read_started_at FROM watermarks ORDER BY stream, partition"
