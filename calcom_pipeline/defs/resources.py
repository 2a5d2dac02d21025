"""From an account to the ports that assets ask for, open exactly as long as a step.

`container` opens everything that a step touches; the other resources are single ports of it, so that an asset names
what it needs and a test replaces just that (`build_definitions(resource_overrides=...)`).
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from operator import attrgetter

import dagster as dg
from pydantic import Field

from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.maintenance.leases import held
from calcom_pipeline.domain.errors import ConfigurationError

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


def resources(account: Account) -> dict[str, object]:
    """An account's, by name."""
    container = account.named("container")
    return {
        container: container_resource(account),
        **{account.named(name): _port(container, path) for name, path in PORTS.items()},
    }


def container_resource(account: Account) -> "dg.ConfigurableResource[Container]":
    """The one that opens this account. Settings are no config of Dagster's: its UI would show their secrets."""

    class ContainerResource(dg.ConfigurableResource[Container]):
        """Everything of an account; see .env.example. Nothing is connected before a step asks for it."""

        account: str = Field(
            description="Name of the account (CALCOM_ACCOUNT) that asset keys were made of. A run whose settings name "
            "another one fails: it would fill that one's tables under these keys."
        )
        schema_name: str = Field(
            description="Schema of its tables, as it was when the code location was loaded (CALCOM_DATABASE_SCHEMA)."
        )

        @contextmanager
        def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Container]:
            """Open for one step, whose process holds a lease on the run as long."""
            settings = account.settings()
            if settings.account != self.account:
                raise ConfigurationError(
                    [f"The code location was loaded for the account {self.account}, the settings name another"],
                    advice="Reload the code location.",
                )
            with ExitStack() as stack:
                if context.instance is not None and context.run is not None:
                    stack.enter_context(held(context.instance, context.run.run_id))
                yield stack.enter_context(ready_container(settings))

    return ContainerResource(account=account.name, schema_name=account.at_load.schema_name)


def _port(container: str, path: str) -> dg.ResourceDefinition:
    def opened(context: dg.InitResourceContext) -> object:
        return attrgetter(path)(getattr(context.resources, container))

    return dg.ResourceDefinition(
        resource_fn=opened, required_resource_keys={container}, description=f"{path} of the container."
    )
