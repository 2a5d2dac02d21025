"""Every statement about deliveries of webhooks, named and explained."""

# Taken before the tombstones are read, so that whoever erases a person (see `LOCK_BODIES`) either sees these rows or
# has left a tombstone that is seen here.
ENTER = "LOCK TABLE webhook_inbox IN ROW EXCLUSIVE MODE"
ERASED = "SELECT subject FROM erasures"
BEFORE = "SAVEPOINT before_adding"
TAKE_BACK = "ROLLBACK TO SAVEPOINT before_adding"
# The same bytes are one delivery, whoever sent them again. With the facts of the new ones, so that all of it is one way
# to PostgreSQL: somebody's booking waits for it.
ADD = """
WITH added AS (
    INSERT INTO webhook_inbox (digest, trigger, uid, old_uid, body, created_at, received_at, state, next_attempt_at,
                               reason, finished_at)
    SELECT * FROM unnest(%(digest)s::bytea[], %(trigger)s::text[], %(uid)s::text[], %(old_uid)s::text[],
                         %(body)s::bytea[], %(created_at)s::timestamptz[], %(received_at)s::timestamptz[],
                         %(state)s::text[], %(received_at)s::timestamptz[], %(reason)s::text[],
                         %(finished_at)s::timestamptz[])
    ON CONFLICT (digest) DO NOTHING RETURNING digest
), facts AS (
    INSERT INTO invalidations (kind, why, event_type_id, user_ids, starts, ends)
    SELECT kind, why, event_type_id, user_ids, starts, ends
    FROM jsonb_to_recordset(%(facts)s::jsonb) AS fact (digest text, kind text, why text, event_type_id bigint,
                                                       user_ids bigint[], starts timestamptz[], ends timestamptz[])
    JOIN added ON encode(added.digest, 'hex') = fact.digest
)
SELECT digest FROM added"""

# Oldest first, and with them all others about the same bookings, which then are read once; so a long backlog costs no
# more calls than it names bookings. What another drain deals with is left to it, until its lease has ended.
CLAIM = """
WITH oldest AS (
    SELECT id, uid FROM webhook_inbox WHERE state = 'open' AND next_attempt_at <= %(now)s
    ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), same AS (
    SELECT id FROM webhook_inbox
    WHERE state = 'open' AND next_attempt_at <= %(now)s AND old_uid IS NULL
      AND uid = ANY(ARRAY(SELECT uid FROM oldest WHERE uid IS NOT NULL))
    ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE webhook_inbox SET claims = claims + 1, claim = %(claim)s, next_attempt_at = %(until)s
WHERE id IN (SELECT id FROM oldest UNION SELECT id FROM same)
RETURNING id, trigger, uid, old_uid, received_at, attempts, claims"""

# Only by whoever has the claim: a drain that was away for longer than its lease settles nothing.
CLOSE = """
UPDATE webhook_inbox SET state = %(state)s, reason = %(reason)s, finished_at = %(now)s, claim = NULL,
       body = CASE WHEN %(state)s = 'done' THEN ''::bytea ELSE body END
WHERE id = ANY(%(ids)s) AND claim = %(claim)s AND state = 'open'"""
POSTPONE = """
UPDATE webhook_inbox SET next_attempt_at = %(at)s, reason = %(reason)s, claim = NULL,
       attempts = attempts + %(counted)s::int
WHERE id = ANY(%(ids)s) AND claim = %(claim)s AND state = 'open'"""

# The last two say whether anything has to be done, and name the state of it for a run key.
BACKLOG = """
SELECT count(*), count(*) FILTER (WHERE next_attempt_at <= %(now)s),
       coalesce(max(id) FILTER (WHERE next_attempt_at <= %(now)s), 0),
       coalesce(sum(claims) FILTER (WHERE next_attempt_at <= %(now)s), 0)
FROM webhook_inbox WHERE state = 'open'"""
# A fact without a time is due at once.
NEXT_DUE = """
SELECT extract(epoch FROM least(
    (SELECT min(next_attempt_at) FROM webhook_inbox WHERE state = 'open'),
    (SELECT min(coalesce(next_attempt_at, %(now)s)) FROM invalidations WHERE state = 'pending')
) - %(now)s)::float8"""
COUNTS = "SELECT state, count(*) FROM webhook_inbox GROUP BY state"

# --- people ----------------------------------------------------------------------------------------------------------

EMPTY_BODIES = "UPDATE webhook_inbox SET body = ''::bytea WHERE body <> ''"
LOCK_BODIES = "LOCK TABLE webhook_inbox IN SHARE ROW EXCLUSIVE MODE"
BODIES = "SELECT id, body FROM webhook_inbox WHERE body <> '' AND id > %(after)s ORDER BY id LIMIT %(limit)s"
EMPTY = "UPDATE webhook_inbox SET body = ''::bytea WHERE id = ANY(%(ids)s)"
