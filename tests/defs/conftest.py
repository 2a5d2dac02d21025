"""A Dagster instance and a pipeline, for all tests of the Dagster layer."""

from tests.support.dagster_runs import container, instance

__all__ = ["container", "instance"]
