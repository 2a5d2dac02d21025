"""From settings to the ports that assets ask for, open exactly as long as a step.

`pipeline` opens everything that a step touches; the other resources are single ports of it, so that an asset names
what it needs and a test replaces just that (`build_definitions(resource_overrides=...)`).
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import dagster as dg

from calcom_pipeline.defs.leases import held
from calcom_pipeline.settings import load_settings
from calcom_pipeline.wiring import Pipeline, open_pipeline


class PipelineResource(dg.ConfigurableResource[Pipeline]):
    """Everything, as the environment says; see .env.example. Nothing is connected before a step asks for it."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Pipeline]:
        """Open for one step, whose process holds a lease on the run as long."""
        with ExitStack() as stack:
            if context.instance is not None and context.run is not None:
                stack.enter_context(held(context.instance, context.run.run_id))
            yield stack.enter_context(open_pipeline(load_settings()))


def _port(name: str) -> dg.ResourceDefinition:
    def opened(context: dg.InitResourceContext) -> object:
        pipeline: Pipeline = context.resources.pipeline
        return getattr(pipeline, name)

    return dg.ResourceDefinition(
        resource_fn=opened, required_resource_keys={"pipeline"}, description=getattr(Pipeline, name).__doc__
    )


PORTS = (
    "calcom",
    "event_type_mirror",
    "booking_mirror",
    "slot_mirror",
    "slot_cache",
    "service_store",
    "plan_store",
    "outbox",
)

ALL: dict[str, object] = {"pipeline": PipelineResource(), **{name: _port(name) for name in PORTS}}
