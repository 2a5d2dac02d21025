"""The watch over the run must be able to see a leak."""

import logging

import pytest

from calcom_pipeline.domain.errors import Exchange, Rejected
from tests.support import leaks


@pytest.mark.parametrize(
    "text",
    [
        "Bearer cal_0123456789abcdef",
        "cal_live_0123456789abcdef",
        "to jo.doe+x@example.org!",
        "attendeeEmail=jo%40example.org",
    ],
)
def test_a_key_or_an_address_is_seen_and_not_shown(text: str):
    (shown,) = leaks.leaks_of([("somewhere", text)])
    assert shown.startswith("somewhere: ")
    assert not any(part in shown for part in ("0123456789", "example"))


@pytest.mark.parametrize("text", ["__repository__@calcom_pipeline", "calcom_pipeline.calls", "3 @ 5"])
def test_what_only_looks_alike_is_not(text: str):
    assert leaks.leaks_of([("somewhere", text)]) == []


def test_logs_and_errors_are_heard():
    logging.getLogger("calcom_pipeline.testing").debug("sent to %s", "jo@example.org")
    Rejected("no", exchange=Exchange("Testing", body="key cal_0123456789abcdef"))
    seen = leaks.leaks_of(leaks._written)
    leaks._written.clear()  # made on purpose
    assert [one.split(":")[0] for one in seen] == ["log of calcom_pipeline.testing", "body of Rejected"]
