"""A Dagster instance and a pipeline, for all tests of the Dagster layer."""

from tests.defs.test_loop import instance, pipeline

__all__ = ["instance", "pipeline"]
