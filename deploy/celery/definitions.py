"""The same code location with its steps run by Celery workers: an example, which needs `dagster-celery[redis]`.

Workers are started with `dagster-celery worker start -A deploy.celery.app -y celery.yaml`; each needs the variables of
the code location, and reaches the same PostgreSQL and Redis. The limiter in Redis holds for all of them together.
"""

from dagster_celery import celery_executor

from calcom_pipeline.definitions import build_definitions

#: The broker and the result store are named in celery.yaml, by `execution.config` of a run or of the instance.
defs = build_definitions(executor=celery_executor)
