"""The key of hashed addresses, tombstones of erased people, and taking a person out of what is stored."""

import secrets

from calcom_pipeline.adapters.postgres import queries_bookings as queries
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.domain.attendees import Pseudonyms
from calcom_pipeline.domain.errors import ConfigurationError

_KEY_BYTES = 32


def load_pseudonyms(database: Database, given: bytes | None) -> Pseudonyms:
    """The key as given, else the one kept in the database, made at first use.

    Raises:
        ConfigurationError: the key is another one than before; hashes and tombstones would no longer match.
    """
    offered = given or secrets.token_bytes(_KEY_BYTES)
    values = {"secret": None if given else offered, "fingerprint": Pseudonyms(offered).fingerprint}
    with database.transaction("Reading the key of hashed addresses") as cursor:
        cursor.execute(queries.PRIVACY_KEY)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(queries.KEEP_PRIVACY_KEY, values)
            cursor.execute(queries.PRIVACY_KEY)
            row = cursor.fetchone()
    if row is None:
        raise AssertionError("the key was just kept")
    kept = bytes(row[0]) if row[0] is not None else None
    if given is None and kept is not None:
        return Pseudonyms(kept)
    if given is not None and bytes(row[1]) == Pseudonyms(given).fingerprint:
        return Pseudonyms(given)
    raise ConfigurationError(
        ["CALCOM_PRIVACY_KEY is another key than the one that addresses were hashed with before"],
        advice="Set the former key again; with another one, erased people would come back.",
    )
