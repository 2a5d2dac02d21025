"""What a person wants to see of a read of bookings, of either asset."""

from typing import Any

from calcom_pipeline.app.bookings.deletions import Proven
from calcom_pipeline.app.bookings.ports import Stored
from calcom_pipeline.defs.markdown import table
from calcom_pipeline.defs.metadata import change_metadata


def stored_metadata(stored: Stored, proven: Proven) -> dict[str, Any]:
    """What was written and what was proven."""
    return {
        **change_metadata(stored.changes),
        "facts for caches": stored.facts,
        "bookings no longer listed": stored.unlisted,
        "bookings proven deleted": proven.gone,
        "bookings out of scope": proven.out_of_scope,
        **({"bookings not settled": f"{proven.open} or more: {proven.why_open}"} if proven.open else {}),
    }


def unknown_fields(fields: Any) -> dict[str, Any]:
    """Fields of Cal.com's that nothing here reads, and in how many bookings they stood."""
    return {"fields we do not know": table(("field", "bookings"), fields.items())} if fields else {}
