"""The table `webhook_scopes`."""

from collections.abc import Collection
from typing import Any

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.database import Database, tried_again
from calcom_pipeline.adapters.postgres.webhooks import subscription_statements as queries
from calcom_pipeline.app.webhooks.ports import KnownScope
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.models import WebhookScope


class PostgresSubscriptions:
    """Which subscriptions we keep, and what was last found of each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self) -> list[KnownScope]:
        """All of them, by scope."""
        with self._database.transaction("Reading webhook scopes", "read") as cursor:
            return [_known(row) for row in cursor.execute(queries.SCOPES).fetchall()]

    @tried_again
    def keep(self, found: KnownScope) -> None:
        """Note what was found of a scope."""
        values = {
            "scope": str(found.scope),
            "state": found.state,
            "reason": str(found.reason),
            "reason_code": found.reason.code,
            "reason_params": Jsonb(dict(found.reason.params)),
            "webhook_id": found.webhook_id,
            "since": found.since,
            "checked_at": found.checked_at,
        }
        with self._database.transaction("Noting a webhook scope") as cursor:
            cursor.execute(queries.KEEP_SCOPE, values)

    @tried_again
    def forget(self, scopes: Collection[WebhookScope]) -> None:
        """Scopes that are not wanted any more, and of which nothing of ours is left."""
        with self._database.transaction("Forgetting webhook scopes") as cursor:
            cursor.execute(queries.FORGET_SCOPES, {"scopes": [str(scope) for scope in scopes]})


def _known(row: tuple[Any, ...]) -> KnownScope:
    scope, state, reason, code, params, webhook_id, since, checked_at = row
    return KnownScope(
        WebhookScope.parse(scope), state, Reason.stored(reason, code, params), webhook_id, since, checked_at
    )
