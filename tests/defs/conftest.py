"""A Dagster instance and a pipeline, for all tests of the Dagster layer."""

from tests.support.dagster_runs import container, instance, pictures_blank
from tests.support.described_accounts import folder, two

__all__ = ["container", "folder", "instance", "pictures_blank", "two"]
