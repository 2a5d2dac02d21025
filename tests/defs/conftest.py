"""A Dagster instance and a pipeline, for all tests of the Dagster layer."""

from tests.support.dagster_runs import instance, pipeline

__all__ = ["instance", "pipeline"]
