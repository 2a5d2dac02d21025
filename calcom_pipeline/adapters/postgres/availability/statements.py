"""SQL of the stored days with their free starts."""

from calcom_pipeline.adapters.postgres.statements import is_ahead

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
