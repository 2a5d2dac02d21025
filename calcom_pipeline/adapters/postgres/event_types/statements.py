"""What is asked of the table `event_types` about rows that a listing no longer shows."""

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
