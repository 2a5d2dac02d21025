"""What is asked of the table `event_types`; its columns are those of `EventType`, and nowhere else."""

from collections.abc import Iterable

from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.event_types.models import EventType

COLUMNS = ", ".join(columns_of(EventType))

STAGE = "CREATE TEMP TABLE incoming_event_types (LIKE event_types INCLUDING DEFAULTS) ON COMMIT DROP"
COPY = f"COPY incoming_event_types ({COLUMNS}, first_seen_at, changed_at) FROM STDIN"


def upsert(columns: Iterable[str]) -> str:
    """Take over what was staged. An unchanged event type is not written; one that had been gone is, changed or not."""
    taken = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
    return f"""
WITH written AS (
    INSERT INTO event_types SELECT * FROM incoming_event_types
    ON CONFLICT (id) DO UPDATE SET {taken}, changed_at = excluded.changed_at, deleted_at = NULL
    WHERE event_types.content_hash <> excluded.content_hash OR event_types.deleted_at IS NOT NULL
    RETURNING id, (xmax = 0) AS added
)
SELECT count(*) FILTER (WHERE added), coalesce(array_agg(id) FILTER (WHERE NOT added), '{{}}') FROM written"""  # noqa: S608 - constants


UPSERT = upsert(columns_of(EventType))

PRESENT = f"SELECT {COLUMNS} FROM event_types WHERE deleted_at IS NULL ORDER BY id"  # noqa: S608 - constants

BOOKABLE = f"""
SELECT {COLUMNS} FROM event_types
WHERE deleted_at IS NULL AND (scheduling_type IS DISTINCT FROM 'managed' OR parent_id IS NOT NULL) ORDER BY id"""  # noqa: S608 - constants
BOOKABLE_ONE = BOOKABLE.replace("ORDER BY id", "AND id = %(id)s")

# --- rows that a listing no longer shows ---------------------------------------------------------------------

# A row that is shown again is not missing any more; its content alone decides whether it counts as changed.
FOUND_AGAIN = """
UPDATE event_types SET missing_since = NULL, missing_looks = 0, missing_why = ''
WHERE missing_since IS NOT NULL AND id = ANY(%(shown)s)"""

# Hosts whose schedule is another than it was: by its zone, which is all of it that a listing comes with.
HOSTS_OF_CHANGED_SCHEDULES = """
SELECT DISTINCT unnest(new.host_ids) FROM incoming_event_types new JOIN event_types old USING (id)
WHERE old.deleted_at IS NULL AND old.schedule_zone IS DISTINCT FROM new.schedule_zone
  AND old.schedule_id IS NOT DISTINCT FROM new.schedule_id"""

NOTE_MISSING = """
UPDATE event_types SET missing_since = coalesce(missing_since, %(read_at)s), missing_looks = missing_looks + 1
WHERE owner = %(owner)s AND deleted_at IS NULL AND NOT id = ANY(%(shown)s)
RETURNING id, owner, missing_since, missing_looks"""

# Owners that were read before and were not there to be read now.
NOTE_OTHER_OWNERS = """
UPDATE event_types SET missing_since = coalesce(missing_since, %(read_at)s), missing_looks = missing_looks + 1
WHERE deleted_at IS NULL AND NOT owner = ANY(%(owners)s)
RETURNING id, owner, missing_since, missing_looks"""

# Another run may have found it again meanwhile.
MARK_GONE = """
UPDATE event_types SET deleted_at = %(read_at)s
WHERE id = ANY(%(ids)s) AND deleted_at IS NULL AND missing_since IS NOT NULL RETURNING id"""

DROP_OWNERS = """
UPDATE event_types SET deleted_at = %(read_at)s WHERE deleted_at IS NULL AND owner = ANY(%(owners)s) RETURNING id"""

DOUBT = """
UPDATE event_types SET missing_why = %(why)s
WHERE id = ANY(%(ids)s) AND missing_since IS NOT NULL AND deleted_at IS NULL"""

OWNERS = "SELECT DISTINCT owner FROM event_types WHERE deleted_at IS NULL"

MISSING = """
SELECT owner, count(*), min(missing_since), max(missing_why) FROM event_types
WHERE missing_since IS NOT NULL AND deleted_at IS NULL GROUP BY owner ORDER BY owner"""

# The user is an owner without event types, too.
SIZE = """
SELECT count(*), coalesce(sum(greatest(cardinality(duration_options), 1)), 0),
       1 + count(DISTINCT owner) FILTER (WHERE owner LIKE 'team:%'), count(*) FILTER (WHERE owner LIKE 'team:%')
FROM event_types WHERE deleted_at IS NULL"""
