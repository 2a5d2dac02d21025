"""What Dagster is told of an error: wait and try again, or stop and say why."""

import dagster as dg
import pytest

from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.domain import errors


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.RateLimited("spent", retry_after=41.5), 41.5),
        (errors.CircuitOpen("open", retry_after=7), 7),
        (errors.TransientError("away"), 20),
        (errors.StoreError("away"), 20),
        (errors.CacheError("away"), 20),
        (errors.AnotherApply("busy"), 20),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_is_tried_again_when_it_may_have_passed(error: errors.PipelineError, seconds: float):
    with pytest.raises(dg.RetryRequested) as asked, dagster_failures("Reading"):
        raise error
    assert (asked.value.max_retries, asked.value.seconds_to_wait) == (3, seconds)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigurationError(["wrong"], advice="Correct it."),
        errors.Unauthorized("wrong", advice="Correct it."),
        errors.ContractBroken("wrong", advice="Correct it."),
        errors.OutcomeUnknown("wrong", key="k"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_retry_cannot_clear_ends_the_step_with_its_reason(error: errors.PipelineError):
    with pytest.raises(dg.Failure) as failed, dagster_failures("Reading"):
        raise error
    assert failed.value.allow_retries is False
    assert failed.value.description.startswith("Reading: wrong. A retry cannot clear this.")
    assert failed.value.description.endswith(error.advice)


def test_a_bug_stays_a_bug():
    with pytest.raises(ZeroDivisionError), dagster_failures("Reading"):
        raise ZeroDivisionError
