"""Every statement of the mirrors, named and explained. Values are always parameters or COPY rows."""

# --- what every stream needs ---------------------------------------------------------------------------------

# One writer at a time per stream, so that a late older read of the same version cannot win.
LOCK_STREAM = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' stream ' || %(stream)s, 0))"

READ_WATERMARK = (
    "SELECT position, read_started_at FROM watermarks WHERE stream = %(stream)s AND partition = %(partition)s"
)

# A watermark never moves back; an unmoved one is not written.
MOVE_WATERMARK = """
INSERT INTO watermarks (stream, partition, position, read_started_at)
VALUES (%(stream)s, %(partition)s, %(position)s, %(read_started_at)s)
ON CONFLICT (stream, partition) DO UPDATE
SET position = greatest(watermarks.position, excluded.position), read_started_at = excluded.read_started_at
WHERE excluded.position > watermarks.position"""

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

# --- event types ---------------------------------------------------------------------------------------------

EVENT_TYPE_COLUMNS = (
    "id, owner, slug, title, description, duration_minutes, duration_options, hidden, schedule_id, schedule_zone, "
    "scheduling_type, parent_id, slot_interval_minutes, minimum_notice_minutes, before_buffer_minutes, "
    "after_buffer_minutes, seats_per_slot, requires_confirmation, recurring, price_minor, currency, host_ids, "
    "assign_all_team_members, limit_periods, content_hash, raw"
)

STAGE_EVENT_TYPES = "CREATE TEMP TABLE incoming_event_types (LIKE event_types INCLUDING DEFAULTS) ON COMMIT DROP"

COPY_EVENT_TYPES = f"COPY incoming_event_types ({EVENT_TYPE_COLUMNS}, first_seen_at, changed_at) FROM STDIN"

# An unchanged event type is not written; one that had been gone is, even if its content is what it was.
UPSERT_EVENT_TYPES = """
WITH written AS (
    INSERT INTO event_types SELECT * FROM incoming_event_types
    ON CONFLICT (id) DO UPDATE SET
        owner = excluded.owner, slug = excluded.slug, title = excluded.title, description = excluded.description,
        duration_minutes = excluded.duration_minutes, duration_options = excluded.duration_options,
        hidden = excluded.hidden, schedule_id = excluded.schedule_id, schedule_zone = excluded.schedule_zone,
        scheduling_type = excluded.scheduling_type, parent_id = excluded.parent_id,
        slot_interval_minutes = excluded.slot_interval_minutes,
        minimum_notice_minutes = excluded.minimum_notice_minutes,
        before_buffer_minutes = excluded.before_buffer_minutes,
        after_buffer_minutes = excluded.after_buffer_minutes, seats_per_slot = excluded.seats_per_slot,
        requires_confirmation = excluded.requires_confirmation, recurring = excluded.recurring,
        price_minor = excluded.price_minor, currency = excluded.currency, host_ids = excluded.host_ids,
        assign_all_team_members = excluded.assign_all_team_members, limit_periods = excluded.limit_periods,
        raw = excluded.raw, content_hash = excluded.content_hash, changed_at = excluded.changed_at, deleted_at = NULL
    WHERE event_types.content_hash <> excluded.content_hash OR event_types.deleted_at IS NOT NULL
    RETURNING id, (xmax = 0) AS added
)
SELECT count(*) FILTER (WHERE added), coalesce(array_agg(id) FILTER (WHERE NOT added), '{}') FROM written"""

PRESENT_EVENT_TYPES = f"SELECT {EVENT_TYPE_COLUMNS} FROM event_types WHERE deleted_at IS NULL ORDER BY id"  # noqa: S608 - the one inserted part is the constant above

BOOKABLE_EVENT_TYPES = f"""
SELECT {EVENT_TYPE_COLUMNS} FROM event_types
WHERE deleted_at IS NULL AND (scheduling_type IS DISTINCT FROM 'managed' OR parent_id IS NOT NULL) ORDER BY id"""  # noqa: S608 - the one inserted part is the constant above
BOOKABLE_EVENT_TYPE = BOOKABLE_EVENT_TYPES.replace("ORDER BY id", "AND id = %(id)s")

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

UPSERT_SLOTS = """
INSERT INTO slots SELECT * FROM incoming_slots
ON CONFLICT (event_type_id, duration_minutes, zone, day) DO UPDATE
SET starts = excluded.starts, seats = excluded.seats, fetched_at = excluded.fetched_at
WHERE slots.fetched_at <= excluded.fetched_at"""

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

CALLS_BY_MINUTE = """
SELECT date_trunc('minute', called_at), lane, count(*)::integer FROM api_calls WHERE called_at >= %(since)s
GROUP BY 1, 2 ORDER BY 1, 2"""

WATERMARKS = "SELECT stream, partition, position, read_started_at FROM watermarks ORDER BY stream, partition"
