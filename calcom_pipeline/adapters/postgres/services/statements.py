"""Every statement about services, their links, their feed and plans, named and explained."""

from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.services.models import Service

# Our own writes carry this actor, so that the feed does not answer to them.
SET_ACTOR = "SELECT set_config('calcom.actor', %(actor)s, true)"

_COLUMNS = ", ".join(["service_id", *columns_of(Service), "version", "unreadable"])

SERVICES = f"SELECT {_COLUMNS} FROM services_source ORDER BY length(service_id), service_id"  # noqa: S608 - constants
SERVICES_BY_ID = f"SELECT {_COLUMNS} FROM services_source WHERE service_id = ANY(%(ids)s)"  # noqa: S608 - constants

# FOR UPDATE reaches through the view to the row behind it: nobody edits it between this look and the write.
LOCK_SERVICE = "SELECT version FROM services_source WHERE service_id = %(service_id)s FOR UPDATE"

LINKS = """
SELECT service_id, owner, event_type_id, base, intent, state, attempts, next_attempt_at, reason, failed_version,
       reason_code, reason_params
FROM service_links ORDER BY service_id"""

STORE_LINK = """
INSERT INTO service_links (service_id, owner, event_type_id, base, intent, state, attempts, next_attempt_at, reason,
                           failed_version, reason_code, reason_params)
VALUES (%(service_id)s, %(owner)s, %(event_type_id)s, %(base)s, %(intent)s, %(state)s, %(attempts)s,
        %(next_attempt_at)s, %(reason)s, %(failed_version)s, %(reason_code)s, %(reason_params)s)
ON CONFLICT (service_id) DO UPDATE SET
    owner = excluded.owner, event_type_id = excluded.event_type_id, base = excluded.base, intent = excluded.intent,
    state = excluded.state, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,
    reason = excluded.reason, failed_version = excluded.failed_version, reason_code = excluded.reason_code,
    reason_params = excluded.reason_params, changed_at = now()"""

# --- the feed ------------------------------------------------------------------------------------------------

# Ids commit out of order, so the position is (transaction, id), and only transactions that nobody can still commit
# behind are read. The order is by the table's xid: a bare `xid` would be the text that is selected, which has 10 before
# 9. The epoch tells a dump that was restored elsewhere: transaction ids start anew there.
FEED_EPOCH = "SELECT system_identifier::text FROM pg_control_system()"
FEED_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
FEED_AFTER = """
SELECT change.xid::text, id, service_id, actor FROM service_changes change
WHERE (xid, id) > (%(xid)s::xid8, %(id)s) AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY change.xid, id LIMIT %(limit)s"""
# What a reader comes with, it has dealt with: until there the feed may be deleted. A look that finds nothing new writes
# once an hour.
KEEP_READER = """
INSERT INTO feed_readers (reader, xid, id, seen_at) VALUES (%(reader)s, %(xid)s::xid8, %(id)s, now())
ON CONFLICT (reader) DO UPDATE SET xid = excluded.xid, id = excluded.id, seen_at = excluded.seen_at
WHERE (feed_readers.xid, feed_readers.id) <> (excluded.xid, excluded.id)
   OR feed_readers.seen_at < now() - interval '1 hour'"""
READER_AT = "SELECT xid::text, id FROM feed_readers WHERE reader = %(reader)s"
FEED_DELETED_AFTER = """
SELECT EXISTS (SELECT FROM feed_deleted_to WHERE epoch = %(epoch)s AND (xid, id) > (%(xid)s::xid8, %(id)s))"""
# Changes that are committed and not read yet, since an older transaction may still commit before them; and who has that
# one open. Its process is seen by everybody, its age only by those who may; a prepared transaction has no process.
FEED_WAITING = """
SELECT waiting.changes, holder.pid, extract(epoch FROM clock_timestamp() - activity.xact_start)::float8
FROM (SELECT count(*) AS changes FROM service_changes
      WHERE (xid, id) > (%(xid)s::xid8, %(id)s) AND xid >= pg_snapshot_xmin(pg_current_snapshot())
        AND actor <> %(actor)s) waiting
LEFT JOIN pg_locks holder
    ON holder.locktype = 'transactionid' AND holder.mode = 'ExclusiveLock' AND holder.granted
   AND holder.transactionid::text::bigint = pg_snapshot_xmin(pg_current_snapshot())::text::bigint & 4294967295
LEFT JOIN pg_stat_activity activity ON activity.pid = holder.pid
WHERE waiting.changes > 0"""

# --- plans ---------------------------------------------------------------------------------------------------

LOCK_APPLY = "SELECT pg_try_advisory_xact_lock(hashtextextended(%(schema)s || ' apply', 0))"

RENEW_PLAN = """
UPDATE sync_plans SET expires_at = %(expires_at)s
WHERE state = 'planned' AND hash = %(hash)s AND held = %(held)s AND expires_at > %(now)s
  AND NOT EXISTS (SELECT FROM sync_actions WHERE plan_id = sync_plans.id AND outcome <> 'held') RETURNING id"""
SUPERSEDE_PLANS = "UPDATE sync_plans SET state = 'superseded' WHERE state = 'planned'"
SAVE_PLAN = """
INSERT INTO sync_plans (id, hash, source, state, counts, held, created_at, expires_at)
VALUES (%(id)s, %(hash)s, %(source)s, %(state)s, %(counts)s, %(held)s, %(created_at)s, %(expires_at)s)"""
COPY_ACTIONS = """
COPY sync_actions (plan_id, position, kind, service_id, event_type_id, owner, reason, fields, remote, service_version,
                   notes, reason_code, reason_params) FROM STDIN"""
LOAD_PLAN = """
SELECT id, hash, source, state, counts, held, created_at, expires_at FROM sync_plans WHERE id = %(id)s"""
LOAD_ACTIONS = """
SELECT kind, service_id, event_type_id, owner, reason, fields, remote, service_version, notes,
       reason_code, reason_params
FROM sync_actions WHERE plan_id = %(id)s ORDER BY position"""
# What was done stays said, with its inverse: an apply that is tried again finds its own writes and calls them edits.
RECORD_RESULT = """
UPDATE sync_actions SET outcome = %(outcome)s, message = %(message)s, before = %(before)s, after = %(after)s,
    error = %(error)s, result_code = %(code)s,
    event_type_id = coalesce(%(event_type_id)s, event_type_id), finished_at = now()
WHERE plan_id = %(plan_id)s AND position = %(position)s AND outcome IS DISTINCT FROM 'done'"""
DONE_OF_PLAN = "SELECT position FROM sync_actions WHERE plan_id = %(id)s AND outcome = 'done'"
CLOSE_PLAN = "UPDATE sync_plans SET state = 'applied', applied_at = %(at)s WHERE id = %(id)s"

LATEST_OPEN_PLAN = "SELECT id FROM sync_plans WHERE state = 'planned' ORDER BY created_at DESC LIMIT 1"

# --- what people ask -----------------------------------------------------------------------------------------

LINK_COUNTS = "SELECT state, count(*) FROM service_links GROUP BY state ORDER BY state"
OPEN_PROBLEMS = """
SELECT service_id, state, attempts, next_attempt_at, reason FROM service_links
WHERE reason <> '' AND state <> 'retired' ORDER BY length(service_id), service_id LIMIT %(limit)s"""
OPEN_ACTIONS = """
SELECT service_id, kind, reason FROM sync_actions
WHERE plan_id = (SELECT id FROM sync_plans ORDER BY created_at DESC LIMIT 1)
  AND kind IN ('conflict', 'refuse') ORDER BY position LIMIT %(limit)s"""
RESULTS_OF_PLAN = """
SELECT position, coalesce(outcome, 'not tried'), coalesce(message, reason), service_id, kind, event_type_id,
       coalesce(before, '{}'), coalesce(after, '{}'), error, result_code
FROM sync_actions WHERE plan_id = %(id)s ORDER BY position"""
HISTORY_OF_SERVICE = """
SELECT plan_id, kind, outcome, coalesce(message, reason), finished_at, before, after
FROM sync_actions JOIN sync_plans ON sync_plans.id = plan_id
WHERE service_id = %(service_id)s ORDER BY created_at DESC LIMIT %(limit)s"""
LAST_DONE = """
SELECT plan_id FROM sync_actions WHERE service_id = %(service_id)s AND outcome = 'done'
ORDER BY finished_at DESC LIMIT 1"""
# Links whose event type the mirror does not have, or has no longer.
DANGLING_LINKS = """
SELECT service_id, service_links.event_type_id FROM service_links
LEFT JOIN event_types ON event_types.id = event_type_id AND deleted_at IS NULL
WHERE state = 'linked' AND event_type_id IS NOT NULL AND event_types.id IS NULL ORDER BY 1"""
DOUBLE_SLUGS = """
SELECT coalesce(team_id::text, 'personal'), btrim(slug), string_agg(service_id, ', ' ORDER BY service_id)
FROM services_source WHERE slug IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2"""
KNOWN_EVENT_TYPES = "SELECT owner, count(*) FROM event_types WHERE deleted_at IS NULL GROUP BY owner"
