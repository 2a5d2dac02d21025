"""The one place that tells Dagster what an error means: worth a retry, or not."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from calcom_pipeline.domain.errors import (
    AnotherApply,
    CacheError,
    CircuitOpen,
    PipelineError,
    RateLimited,
    StoreError,
    TransientError,
)

_RETRIES = 3
_SECONDS_BETWEEN = 20.0


@contextmanager
def dagster_failures(doing: str) -> Generator[None]:
    """Translate our errors: a transient one asks for a retry, any other ends the step with its reason and advice."""
    try:
        yield
    except (RateLimited, CircuitOpen) as error:
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=error.retry_after) from error
    except (TransientError, StoreError, CacheError, AnotherApply) as error:
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=_SECONDS_BETWEEN) from error
    except PipelineError as error:
        raise dg.Failure(
            f"{doing}: {error}. A retry cannot clear this. {error.advice}".strip(), allow_retries=False
        ) from error
