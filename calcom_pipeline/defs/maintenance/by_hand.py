"""Dagster's part of the upkeep without a run, for the command line: on the instance that DAGSTER_HOME names."""

import logging

import dagster as dg

from calcom_pipeline.app.maintenance.retention import Forgotten, keep_lifetimes
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.maintenance.retention import dagster_lifetimes
from calcom_pipeline.settings import Settings


def forget_now(settings: Settings) -> list[Forgotten]:
    """Delete what is past its lifetime; what came of each kind."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with dg.DagsterInstance.get() as instance, dagster_lifetimes(instance, settings) as lifetimes:
        return keep_lifetimes(lifetimes, now=utc_now(), batch=settings.retention_batch)
