"""The one place that tells Dagster what an error means: worth a retry, or not."""

import traceback
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
from calcom_pipeline.domain.redaction import redacted, without_secrets

_RETRIES = 3
_SECONDS_BETWEEN = 20.0
_LONGEST_TRACEBACK = 20_000


@contextmanager
def dagster_failures(doing: str) -> Generator[None]:
    """Translate our errors: a transient one asks for a retry, any other ends the step with its reason and advice.

    What nobody foresaw goes on as it is, unless a secret is in it: Dagster stores its text and shows it in the UI.
    """
    try:
        yield
    except (RateLimited, CircuitOpen) as error:
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=error.retry_after) from _fit_to_show(error)
    except (TransientError, StoreError, CacheError, AnotherApply) as error:
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=_SECONDS_BETWEEN) from _fit_to_show(error)
    except PipelineError as error:
        raise dg.Failure(
            f"{doing}: {error}. A retry cannot clear this. {error.advice}".strip(), allow_retries=False
        ) from _fit_to_show(error)
    except Exception as error:
        if _fit_to_show(error):
            raise
        text = redacted(_whole_text(error), longest=_LONGEST_TRACEBACK)
        raise dg.Failure(f"{doing}: an unexpected {type(error).__name__}.\n{text}") from None


def _fit_to_show(error: Exception) -> Exception | None:
    """The error, or None where its text, or that of what caused it, holds a secret."""
    text = _whole_text(error)
    return error if without_secrets(text) == text else None


def _whole_text(error: Exception) -> str:
    return "".join(traceback.format_exception(error))
