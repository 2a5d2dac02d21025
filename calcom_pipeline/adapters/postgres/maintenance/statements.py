"""Every statement that deletes our own records after their lifetimes, or measures them, named and explained.

Each deletes at most about `limit` records that ended before `before`; rows that somebody else has locked are left for
the next time.
"""

# --- calls -----------------------------------------------------------------------------------------------------------

MAKE_PARTITIONS = "SELECT make_api_calls_partitions(%(months)s)"

# Whole months are dropped, for which nobody is to wait: whoever asks the table for something waits behind the drop.
DROP_PATIENCE = "SET LOCAL lock_timeout TO '2s'"
# With the end of what each may hold, which the default one does not have, whether it has to be looked into, and whether
# we may drop it: a user who owns no table (see sql/roles.sql) deletes its rows instead.
PARTITIONS = r"""
SELECT name, until <= %(before)s, coalesce(since < %(before)s, true), is_ours FROM (
    SELECT child.relname AS name, pg_has_role(child.relowner, 'USAGE') AS is_ours,
           (regexp_match(bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz AS since,
           (regexp_match(bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz AS until
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid, pg_get_expr(child.relpartbound, child.oid) bound
    WHERE inhparent = 'api_calls'::regclass) partitions
ORDER BY until"""

# What is older in a month that has not ended so long ago, or in the default partition. By place: a join over all calls
# would read millions of rows for each piece.
FORGET_CALLS = """
DELETE FROM {partition} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {partition} WHERE called_at < %(before)s
    ORDER BY called_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))"""

# --- the feed of services --------------------------------------------------------------------------------------------

# Only what every reader has dealt with, in the order in which they read. A reader that was moved back behind what is
# deleted plans everything.
FORGET_CHANGES = """
WITH gone AS (
    DELETE FROM service_changes WHERE id IN (
        SELECT id FROM service_changes change
        WHERE changed_at < %(before)s AND xid < pg_snapshot_xmin(pg_current_snapshot())
          AND NOT EXISTS (SELECT FROM feed_readers reader WHERE (change.xid, change.id) > (reader.xid, reader.id))
        ORDER BY xid, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING xid, id
), deleted_to AS (
    INSERT INTO feed_deleted_to AS known (epoch, xid, id)
    SELECT (SELECT system_identifier::text FROM pg_control_system()), xid, id FROM gone
    ORDER BY xid DESC, id DESC LIMIT 1
    ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, xid = excluded.xid, id = excluded.id
    WHERE known.epoch <> excluded.epoch OR (known.xid, known.id) < (excluded.xid, excluded.id)
)
SELECT count(*) FROM gone"""

# Readers that do not come any more must not keep the feed for ever.
FORGET_READERS = "DELETE FROM feed_readers WHERE seen_at < %(before)s"

# --- plans -----------------------------------------------------------------------------------------------------------

# Never the newest plan, an open one, or the one that last wrote something for a linked service: it holds what `revert`
# needs. A plan goes as a whole; so many at once that they have about as many actions as the limit says, one at least.
# A hundred are looked at, since their actions are counted for each piece anew.
FORGET_PLANS = """
WITH needed AS MATERIALIZED (
    SELECT plan_id FROM service_links, LATERAL (
        SELECT plan_id FROM sync_actions WHERE service_id = service_links.service_id AND outcome = 'done'
        ORDER BY finished_at DESC LIMIT 1) last_done
    UNION ALL (SELECT id FROM sync_plans ORDER BY created_at DESC LIMIT 1)
), old AS MATERIALIZED (
    SELECT id, created_at FROM sync_plans
    WHERE created_at < %(before)s AND coalesce(applied_at, created_at) < %(before)s AND state <> 'planned'
      AND id NOT IN (SELECT plan_id FROM needed)
    ORDER BY created_at, id LIMIT least(%(limit)s, 100)
), sized AS (
    SELECT id, sum(actions) OVER (ORDER BY created_at, id) - actions AS before_it
    FROM old, LATERAL (SELECT count(*) AS actions FROM sync_actions WHERE plan_id = old.id) counted
)
DELETE FROM sync_plans WHERE id IN (
    SELECT id FROM sync_plans WHERE id IN (SELECT id FROM sized WHERE before_it < %(limit)s) FOR UPDATE SKIP LOCKED)"""

# --- facts, doubts ---------------------------------------------------------------------------------------------------

FORGET_FACTS = """
DELETE FROM invalidations WHERE id IN (
    SELECT id FROM invalidations WHERE state = 'done' AND finished_at < %(before)s
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

FORGET_OUTCOMES = """
DELETE FROM open_outcomes WHERE key IN (
    SELECT key FROM open_outcomes WHERE closed_at < %(before)s LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

# --- deliveries of webhooks -------------------------------------------------------------------------------------------

# What is open stays, however old it is.
FORGET_DELIVERIES = """
DELETE FROM webhook_inbox WHERE id IN (
    SELECT id FROM webhook_inbox WHERE finished_at < %(before)s LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

# --- changes that deliveries are measured against ---------------------------------------------------------------------

FORGET_FINDINGS = """
DELETE FROM webhook_findings WHERE (uid, kind) IN (
    SELECT uid, kind FROM webhook_findings WHERE happened_at < %(before)s
    ORDER BY happened_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

# --- how old the cache was --------------------------------------------------------------------------------------------

FORGET_CACHE_AGES = """
DELETE FROM cache_ages WHERE hour IN (
    SELECT hour FROM cache_ages WHERE hour < %(before)s ORDER BY hour LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

# --- quarantine ------------------------------------------------------------------------------------------------------

# Settled records; and open ones that Cal.com no longer shows: everything was read since (all listings of bookings in
# full, or the stream as a whole), and they were not met.
FORGET_RECORDS = """
DELETE FROM quarantine WHERE (stream, hash) IN (
    SELECT stream, hash FROM quarantine
    WHERE last_seen_at < %(before)s AND (
        resolved_at < %(before)s
        OR (stream = 'bookings' AND last_seen_at < (
            SELECT CASE WHEN count(*) = count(full_done_at) THEN min(full_done_at) END FROM booking_listings))
        OR (stream <> 'bookings' AND EXISTS (
            SELECT FROM watermarks
            WHERE watermarks.stream = quarantine.stream AND read_started_at > last_seen_at)))
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

# --- Dagster's own database ------------------------------------------------------------------------------------------

# Deleting a run through Dagster leaves its rows here. The last that ended of each check stays: the UI shows it.
FORGET_CHECKS = """
DELETE FROM asset_check_executions WHERE id IN (
    SELECT id FROM asset_check_executions old
    WHERE create_timestamp < %(before)s AND EXISTS (
        SELECT FROM asset_check_executions later
        WHERE later.asset_key = old.asset_key AND later.check_name = old.check_name AND later.id > old.id
          AND later.execution_status <> 'PLANNED')
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

# --- sizes -----------------------------------------------------------------------------------------------------------

# Of a table with its partitions and of those that hang on it.
SIZE = """
SELECT (SELECT count(*) FROM {table}), (SELECT min({instant}) FROM {table}),
       (SELECT sum(pg_total_relation_size(relid)) FROM (
            SELECT unnest(%(tables)s::text[]::regclass[]) AS relid
            UNION SELECT inhrelid::regclass FROM pg_inherits
            WHERE inhparent = ANY(%(tables)s::text[]::regclass[])) all_of_it)"""
DATABASE_SIZE = "SELECT pg_database_size(current_database())"
