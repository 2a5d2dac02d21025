"""SQL of streams and their positions, and of quarantine. Values are always parameters or COPY rows."""

from calcom_pipeline.domain.bookings.positions import CLOCK_TOLERANCE

# --- what every stream needs ---------------------------------------------------------------------------------

# One writer at a time per stream, so that a late older read of the same version cannot win.
LOCK_STREAM = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' stream ' || %(stream)s, 0))"

READ_WATERMARK = (
    "SELECT position, read_started_at FROM watermarks WHERE stream = %(stream)s AND partition = %(partition)s"
)

LATEST_BELIEVED = f"now() + interval '{CLOCK_TOLERANCE.total_seconds():.0f} seconds'"


def is_ahead(stamp: str, by: str) -> str:
    """Whether an instant of ours was stamped by a clock that was wrong: it is ahead of this server's and the writer's.

    Such a stamp guards nothing, else it would do so until its time comes. `by` is what the writer's clock says now;
    where that is ahead itself, nobody can tell who is right.
    """
    return f"({stamp} > {LATEST_BELIEVED} AND {by} <= {LATEST_BELIEVED})"


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
