"""What `dagster-celery worker start -A deploy.celery.app` loads; an example, which needs `dagster-celery`."""

from dagster_celery.app import app

__all__ = ["app"]
