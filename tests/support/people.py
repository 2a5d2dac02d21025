"""People in the mirror, as tests look for them."""

from calcom_pipeline.adapters.postgres.database import Database
from tests.support.tables import fetch


def everything(database: Database) -> str:
    """Every value of every table that may hold something about people."""
    tables = ("bookings", "booking_attendees", "quarantine", "erasures", "invalidations", "booking_listings")
    dumped = [fetch(database, f"SELECT to_jsonb(t)::text FROM {table} t") for table in tables]
    raw = fetch(database, "SELECT convert_from(raw, 'UTF8') FROM quarantine")
    return repr(dumped) + repr(raw)
