"""Every statement about webhook subscriptions and about what deliveries are measured against, named and explained."""

# --- subscriptions ---------------------------------------------------------------------------------------------------

SCOPES = """
SELECT scope, state, reason, reason_code, reason_params, webhook_id, since, checked_at FROM webhook_scopes
ORDER BY scope"""

# What an older look found must not overwrite what a newer one did.
KEEP_SCOPE = """
INSERT INTO webhook_scopes AS kept (scope, state, reason, reason_code, reason_params, webhook_id, since, checked_at)
VALUES (%(scope)s, %(state)s, %(reason)s, %(reason_code)s, %(reason_params)s, %(webhook_id)s, %(since)s, %(checked_at)s)
ON CONFLICT (scope) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, reason_code = excluded.reason_code,
    reason_params = excluded.reason_params, webhook_id = excluded.webhook_id, since = excluded.since,
    checked_at = excluded.checked_at
WHERE kept.checked_at <= excluded.checked_at"""

FORGET_SCOPES = "DELETE FROM webhook_scopes WHERE scope = ANY(%(scopes)s)"

# --- do deliveries arrive? -------------------------------------------------------------------------------------------

# What always fires: a booking that is new, one that was cancelled or rejected. Not: an occurrence of a series that was
# cancelled as a whole (one delivery names one of them), or a booking that was moved (the delivery names the new one).
# Only where a subscription was right before it happened: the event type's own for a team's, else the user's.
NOTE_FINDINGS = """
WITH changed AS (
    SELECT b.uid, b.status, b.created_at, b.updated_at, scopes.since,
           b.recurring_uid IS NULL AND b.rescheduled_to_uid IS NULL AS alone
    FROM bookings b
    JOIN event_types e ON e.id = b.event_type_id AND e.deleted_at IS NULL
    JOIN webhook_scopes scopes ON scopes.state = 'right' AND scopes.since IS NOT NULL AND scopes.scope =
         CASE WHEN e.owner LIKE 'team:%%' THEN e.owner || '/event-type:' || e.id ELSE 'user' END
    WHERE b.updated_at > %(since)s AND b.updated_at <= %(now)s AND b.deleted_at IS NULL
)
INSERT INTO webhook_findings (uid, kind, happened_at, found_at)
SELECT uid, kind, happened_at, %(now)s FROM (
    SELECT uid, 'created' AS kind, created_at AS happened_at, since FROM changed
    UNION ALL
    SELECT uid, status, updated_at, since FROM changed WHERE status IN ('cancelled', 'rejected') AND alone
) happened
WHERE happened_at > greatest(since, %(since)s) AND happened_at <= %(now)s
ON CONFLICT (uid, kind) DO NOTHING"""

UNNAMED_FINDINGS = """
SELECT uid, kind, happened_at FROM webhook_findings
WHERE happened_at > %(since)s AND happened_at <= %(before)s AND named_at IS NULL
ORDER BY happened_at DESC LIMIT %(limit)s"""

NAME_FINDING = """
UPDATE webhook_findings SET named_at = %(at)s WHERE uid = %(uid)s AND kind = %(kind)s AND named_at IS NULL"""

ARRIVALS = """
WITH judged AS (
    SELECT happened_at, named_at FROM webhook_findings
    WHERE happened_at > %(since)s AND happened_at <= %(before)s
), last_lost AS (
    SELECT max(happened_at) AS at FROM judged WHERE named_at IS NULL
)
SELECT count(named_at), count(*) - count(named_at),
       count(named_at) FILTER (WHERE last_lost.at IS NULL OR happened_at > last_lost.at), max(last_lost.at)
FROM judged CROSS JOIN last_lost"""

# The first delivery since then that names a booking, or the one that took its place.
SEEN = """
SELECT min(received_at) FROM webhook_inbox WHERE received_at >= %(since)s AND (uid = %(uid)s OR old_uid = %(uid)s)"""

LOOKED_AT = "SELECT looked_at FROM webhook_sweep"
LOOKED = """
INSERT INTO webhook_sweep (looked_at) VALUES (%(at)s)
ON CONFLICT (one) DO UPDATE SET looked_at = excluded.looked_at"""
