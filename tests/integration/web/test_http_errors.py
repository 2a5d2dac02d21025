"""Errors of the HTTP API: told by what the caller may do."""

import http.client
import json

import pytest

from calcom_pipeline.domain import errors
from calcom_pipeline.web.problems import KINDS
from tests.support.http_rules import WEEK, booking, open_api, service
from tests.support.web_service import KeptService

__all__ = ["service"]  # fixtures


_ERRORS: list[tuple[errors.PipelineError, int, str, str | None]] = [
    (errors.InvalidInput(["start: is in the past"]), 422, "invalid-input", None),
    (errors.NotFound("no such event type"), 404, "not-found", None),
    (errors.RateLimited("too many", retry_after=12.2), 429, "rate-limited", "13"),
    (errors.CircuitOpen("failing", retry_after=0.2), 503, "calcom-failing", "1"),
    (errors.TransientError("no answer"), 503, "calcom-away", "2"),
    (errors.Unauthorized("the key"), 502, "calcom-refuses-key", None),
    (errors.Rejected("no"), 422, "rejected", None),
    (errors.ContractBroken("odd"), 502, "calcom-answers-oddly", None),
    (errors.CertificateRefused("expired"), 502, "calcom-answers-oddly", None),
    (errors.StoreTimeout("slow"), 503, "store-away", "2"),
    (errors.SchemaOutdated("old"), 503, "store-away", "2"),
    (errors.CacheError("away"), 503, "cache-away", "2"),
    (errors.ConfigurationError(["CALCOM_X is wrong"]), 503, "not-ready", "2"),
]


@pytest.mark.parametrize(("error", "status", "kind", "retry"), _ERRORS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_each_error_is_told_by_what_the_caller_may_do(
    service: KeptService, error: errors.PipelineError, status: int, kind: str, retry: str | None
):
    service.failing = error
    with open_api(service) as asker:
        answer = asker.get("/v2/slots", **WEEK)
    assert (answer.status, answer.kind, answer.headers.get("retry-after")) == (status, kind, retry)
    assert (answer.json["status"], answer.json["error"]["code"]) == (status, kind)
    assert answer.headers["cache-control"] == "no-store"


def test_every_error_of_ours_has_a_row():
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PipelineError)]
    assert all(any(issubclass(one, cause) for cause, _ in KINDS) for one in kinds)


def test_a_taken_time_is_a_conflict_and_an_unknown_outcome_names_its_key(service: KeptService):
    with open_api(service) as asker:
        assert asker.post("/v2/bookings", booking()).status == 201
        assert asker.post("/v2/bookings", booking()).kind == "conflict"
        service.failing = errors.OutcomeUnknown("nobody knows", key="order-4711")
        answer = asker.post("/v2/bookings", booking(11), headers={"Idempotency-Key": "order-4711"})
    assert (answer.status, answer.kind, answer.json["key"]) == (504, "outcome-unknown", "order-4711")


def test_a_bug_is_told_in_one_line_without_its_text(service: KeptService, caplog: pytest.LogCaptureFixture):
    service.failing = RuntimeError("secret things")
    with open_api(service) as asker:
        connection = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=20)
        connection.request("GET", "/v2/slots?eventTypeId=1&start=2026-12-01&end=2026-12-02")
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
    assert (answer.status, told["error"]["code"]) == (500, "unexpected")
    assert "secret things" not in json.dumps(told) + caplog.text
    assert "RuntimeError" in caplog.text
