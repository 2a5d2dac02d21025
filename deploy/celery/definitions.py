"""The same code location with its steps run by Celery workers: an example, which needs `dagster-celery`.

Workers are started with `dagster-celery worker start -A deploy.celery.app -y celery.yaml`; each needs the variables of
the code location, and reaches the same PostgreSQL and Redis. The limiter in Redis holds for all of them together.
CELERY_CONFIG_YAML names another file than the one beside this.
"""

import os
from pathlib import Path

import yaml
from dagster_celery import celery_executor

from calcom_pipeline.definitions import build_definitions
from calcom_pipeline.defs.asked_once import asked_once
from calcom_pipeline.defs.heap import without_collection

_FILE = Path(os.environ.get("CELERY_CONFIG_YAML") or Path(__file__).with_name("celery.yaml"))
# Said here, not in each run's config: what schedules and sensors start has none.
_CONFIGURED = celery_executor.configured(yaml.safe_load(_FILE.read_text())["execution"]["config"])

# As `calcom_pipeline.definitions` makes its own: else many accounts take three times as long.
with without_collection(), asked_once():
    defs = build_definitions(executor=_CONFIGURED)
