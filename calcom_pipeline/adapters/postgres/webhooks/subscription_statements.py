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
