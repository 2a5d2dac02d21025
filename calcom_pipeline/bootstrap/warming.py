"""Warming, which needs services, event types and free times together."""

from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now

if TYPE_CHECKING:
    from calcom_pipeline.app.availability.warm import WarmReport
    from calcom_pipeline.app.calls import Progress


def warm_free_times(container: Container, progress: "Progress | None" = None) -> "WarmReport":
    """Warm the coming days of active services in the warm lane. Raises what `warm` does."""
    from calcom_pipeline.app.availability.fetching import Stores
    from calcom_pipeline.app.availability.warm import warm

    container.require_schema()
    stores = Stores(container.event_types.mirror, container.availability.mirror)
    linked = [link for link in container.services.store.links() if link.state == "linked"]
    active = {link.event_type_id for link in linked if link.event_type_id is not None}
    return warm(
        container.availability.month_fetches(container.calcom.in_lane("warm"), lambda: stores),
        container.availability.cache,
        stores.event_types.bookable(),
        active,
        now=utc_now,
        rules=container.availability.warm_rules(container.maintenance.standing_calls.warm_calls),
        progress=progress,
    )
