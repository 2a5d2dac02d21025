"""Deliveries that have arrived, put straight into the inbox."""

import hashlib
import uuid
from datetime import datetime

from calcom_pipeline.adapters.postgres.database import Database

_ARRIVED = """
INSERT INTO webhook_inbox (digest, trigger, uid, old_uid, body, received_at, state, next_attempt_at)
VALUES (%(digest)s, 'BOOKING_CREATED', %(uid)s, %(old_uid)s, '', %(at)s, 'done', %(at)s)"""


def arrive(database: Database, uid: str | None, at: datetime, *, old_uid: str | None = None) -> None:
    """A delivery arrived then."""
    digest = hashlib.sha256(uuid.uuid4().bytes).digest()
    with database.transaction("Delivering") as cursor:
        cursor.execute(_ARRIVED, {"digest": digest, "uid": uid, "old_uid": old_uid, "at": at})
