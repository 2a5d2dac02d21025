"""Reasons: a code for programs, a sentence for people, the same thing after every trip."""

import copy
import json
import pickle
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from calcom_pipeline.domain.errors import OutcomeUnknown
from calcom_pipeline.domain.reasons import NO_REASON, SENTENCES, Reason

PACKAGE = Path(__file__).parents[3] / "calcom_pipeline"


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_every_sentence_is_used_by_somebody(code: str):
    texts = [path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "reasons.py"]
    assert any(f'"{code}"' in text for text in texts)


def test_every_code_that_is_made_has_a_sentence():
    made = {
        code for path in PACKAGE.rglob("*.py") for code in re.findall(r'\bReason\(\s*"([a-z_]+)"', path.read_text())
    }
    assert made <= set(SENTENCES)


def test_a_reason_reads_as_its_sentence_and_tells_its_code_and_parameters():
    reason = Reason("slug_taken", slug="x", service="7")
    assert reason == "its slug 'x' is taken by service 7"
    assert (reason.code, reason.params) == ("slug_taken", {"slug": "x", "service": "7"})


def test_no_reason_is_false_and_has_no_code():
    assert not NO_REASON
    assert NO_REASON.code == ""


@dataclass(frozen=True)
class _Holder:
    reason: Reason


_TRIPS = (copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r)), lambda r: asdict(_Holder(r))["reason"])


@pytest.mark.parametrize("trip", _TRIPS)
def test_a_copy_knows_its_code_too(trip):
    there = trip(Reason("gone"))
    assert (there, there.code) == ("its event type is gone", "gone")


def test_an_error_becomes_a_reason_whose_code_is_its_kind():
    reason = Reason.of(OutcomeUnknown("nobody knows", key="k"))
    assert (reason, reason.code) == ("nobody knows", "outcome_unknown")


def test_json_shows_the_sentence():
    assert json.loads(json.dumps({"reason": Reason("gone")})) == {"reason": "its event type is gone"}
