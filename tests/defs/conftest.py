"""A Dagster instance and a pipeline, for all tests of the Dagster layer."""

from tests.support.dagster_runs import container, instance
from tests.support.described_accounts import folder, two

__all__ = ["container", "folder", "instance", "two"]
