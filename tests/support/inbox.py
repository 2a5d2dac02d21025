"""Deliveries that have arrived, put straight into the inbox."""

import hashlib
import uuid
from datetime import datetime

from calcom_pipeline.adapters.postgres.database import Database

# As the receiver's migration makes it, as far as it is asked here.
_INBOX = """
CREATE TABLE IF NOT EXISTS webhook_inbox (
    digest bytea NOT NULL, trigger text NOT NULL, uid text, old_uid text, body bytea NOT NULL,
    received_at timestamptz NOT NULL, state text NOT NULL, next_attempt_at timestamptz NOT NULL)"""
_ARRIVED = """
INSERT INTO webhook_inbox (digest, trigger, uid, old_uid, body, received_at, state, next_attempt_at)
VALUES (%(digest)s, 'BOOKING_CREATED', %(uid)s, %(old_uid)s, '', %(at)s, 'done', %(at)s)"""


def make_inbox(database: Database) -> None:
    """The inbox, if it is not there."""
    with database.transaction("Making an inbox") as cursor:
        cursor.execute(_INBOX)


def arrive(database: Database, uid: str | None, at: datetime, *, old_uid: str | None = None) -> None:
    """A delivery arrived then."""
    digest = hashlib.sha256(uuid.uuid4().bytes).digest()
    with database.transaction("Delivering") as cursor:
        cursor.execute(_ARRIVED, {"digest": digest, "uid": uid, "old_uid": old_uid, "at": at})
