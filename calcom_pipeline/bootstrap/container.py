"""Everything a face needs, opened when first asked for and closed with the block of `open_container`.

What belongs to one capability stands in a group of that name.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.availability import AvailabilityGroup, RedisAccess
from calcom_pipeline.bootstrap.bookings import BookingGroup
from calcom_pipeline.bootstrap.deliveries import DeliveryGroup
from calcom_pipeline.bootstrap.event_types import EventTypeGroup
from calcom_pipeline.bootstrap.locations import open_endpoints, resolved
from calcom_pipeline.bootstrap.maintenance import MaintenanceGroup
from calcom_pipeline.bootstrap.open_servers import OpenServers
from calcom_pipeline.bootstrap.reports import ReportGroup
from calcom_pipeline.bootstrap.services import ServiceGroup
from calcom_pipeline.bootstrap.subscriptions import SubscriptionGroup
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.pool import SessionPools


class Container(OpenServers):
    """The open collaborators of one account."""

    @cached_property
    def event_types(self) -> EventTypeGroup:
        """Event types and whose they are."""
        return EventTypeGroup(self.settings, self.database)

    @cached_property
    def bookings(self) -> BookingGroup:
        """Bookings, their people, their doubts."""
        return BookingGroup(self.settings, self.database)

    @cached_property
    def availability(self) -> AvailabilityGroup:
        """Slots, cached days, the outbox of changes."""
        access = RedisAccess(self.redis, self.soon_redis)
        return AvailabilityGroup(self.settings, self.database, access, self._stack)

    @cached_property
    def services(self) -> ServiceGroup:
        """Services, plans and the rules that they are made and applied by."""
        return ServiceGroup(self.settings, self.database, is_sandbox=self.endpoints.is_sandbox)

    @cached_property
    def deliveries(self) -> DeliveryGroup:
        """Deliveries of webhooks: the inbox, the spool, who takes them in."""
        return DeliveryGroup(self.settings, self.endpoints, self.database, self.pools)

    @cached_property
    def subscriptions(self) -> SubscriptionGroup:
        """Webhook subscriptions at Cal.com, and whether their deliveries arrive."""
        return SubscriptionGroup(self.settings, self.database, is_sandbox=self.endpoints.is_sandbox)

    @cached_property
    def reports(self) -> ReportGroup:
        """What people ask about everything."""
        return ReportGroup(self.database)

    @cached_property
    def maintenance(self) -> MaintenanceGroup:
        """Our own records and how long they are kept."""
        return MaintenanceGroup(self.settings, self.database)


@contextmanager
def open_container(settings: Settings, *, pools: "SessionPools | None" = None) -> Generator[Container]:
    """Everything, open as long as the block; given `pools` of connections outlast it. No schema is looked for."""
    with open_endpoints(settings) as endpoints, ExitStack() as stack:
        yield Container(settings, endpoints, stack, pools)


@contextmanager
def open_beside(first: Container, settings: Settings) -> Generator[Container]:
    """Those of a further account, which shares embedded servers and connections with the first, open for longer.

    Nothing is connected before it is needed.
    """
    with ExitStack() as stack:
        yield Container(settings, resolved(settings, first.endpoints.servers), stack, first.pools)


@contextmanager
def ready_container(settings: Settings, *, pools: "SessionPools | None" = None) -> Generator[Container]:
    """The same, with the schema of this release in place. Raises what `Container.require_schema` does."""
    with open_container(settings, pools=pools) as container:
        container.require_schema()
        yield container
