"""How a page of bookings is asked for: the path of a listing, the parameters of a query. Facts: fact sheet 6.1, 6.3.

An unknown or misspelt parameter is answered with everything and a 200, so the names stand here once.
"""

from datetime import UTC, datetime
from typing import Any

from calcom_pipeline.domain.bookings.listing import BookingQuery, Listing

_SORTS = {"updatedAt": "sortUpdatedAt", "createdAt": "sortCreated", "start": "sortStart"}


def path_of(listing: Listing) -> str:
    """The route of a listing."""
    if listing.kind == "mine":
        return "/bookings"
    return f"/{'teams' if listing.kind == 'team' else 'organizations'}/{listing.id}/bookings"


def parameters_of(query: BookingQuery) -> dict[str, Any]:
    """The query string of one page; always sorted, since without a sort the order depends on the filters."""
    instants: dict[str, datetime | None] = {
        "afterUpdatedAt": query.after_updated_at,
        "beforeUpdatedAt": query.before_updated_at,
        "afterCreatedAt": query.after_created_at,
        "beforeCreatedAt": query.before_created_at,
        "afterStart": query.after_start,
        "beforeEnd": query.before_end,
    }
    parameters: dict[str, Any] = {name: instant(value) for name, value in instants.items() if value is not None}
    parameters[_SORTS[query.sort]] = "asc"
    parameters["take"] = query.take
    if query.skip:
        parameters["skip"] = query.skip
    if query.event_type_id is not None:
        parameters["eventTypeId"] = query.event_type_id
    if query.uid is not None:
        parameters["bookingUid"] = query.uid
    return parameters


def instant(moment: datetime) -> str:
    """Strict ISO 8601 with milliseconds, as the filters want it (fact sheet 6.1)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
