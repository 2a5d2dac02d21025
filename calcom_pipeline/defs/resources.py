"""From settings to the ports that assets ask for, open exactly as long as a step.

`container` opens everything that a step touches; the other resources are single ports of it, so that an asset names
what it needs and a test replaces just that (`build_definitions(resource_overrides=...)`).
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from operator import attrgetter

import dagster as dg

from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.defs.maintenance.leases import held
from calcom_pipeline.settings import load_settings


class ContainerResource(dg.ConfigurableResource[Container]):
    """Everything, as the environment says; see .env.example. Nothing is connected before a step asks for it."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Container]:
        """Open for one step, whose process holds a lease on the run as long."""
        with ExitStack() as stack:
            if context.instance is not None and context.run is not None:
                stack.enter_context(held(context.instance, context.run.run_id))
            yield stack.enter_context(ready_container(load_settings()))


#: Single ports by the name that assets ask for them, and where they stand in the container.
PORTS: dict[str, str] = {
    "calcom": "calcom",
    "event_type_mirror": "event_types.mirror",
    "booking_mirror": "bookings.mirror",
    "slot_mirror": "availability.mirror",
    "slot_cache": "availability.cache",
    "outbox": "availability.outbox",
    "service_store": "services.store",
    "plan_store": "services.plans",
}


def _port(path: str) -> dg.ResourceDefinition:
    def opened(context: dg.InitResourceContext) -> object:
        container: Container = context.resources.container
        return attrgetter(path)(container)

    return dg.ResourceDefinition(
        resource_fn=opened, required_resource_keys={"container"}, description=f"{path} of the container."
    )


ALL: dict[str, object] = {"container": ContainerResource(), **{name: _port(path) for name, path in PORTS.items()}}
