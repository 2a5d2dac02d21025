"""What may be believed of a listing that lacks event types: pure rules."""

from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.domain.event_types.absence import AbsenceRules, Absent, Evidence, judge, to_examine
from calcom_pipeline.domain.event_types.models import Owner

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
ME = Owner("user", 101)
RULES = AbsenceRules(proofs=2, looks=3, spread=timedelta(minutes=10))


def missing(*ids: int, looks: int = 1, minutes: float = 0) -> list[Absent]:
    return [Absent(number, ME, NOW - timedelta(minutes=minutes), looks) for number in ids]


REFUSED = frozenset({1})


@pytest.mark.parametrize(
    ("evidence", "looks", "minutes", "gone", "why"),
    [
        (Evidence(REFUSED, sibling=True), 1, 0, {1}, ""),
        (Evidence(REFUSED, sibling=False), 1, 0, set(), "what is listed cannot be read by its id either"),
        (Evidence(REFUSED, sibling=None), 1, 0, set(), "nothing else is listed to compare with"),
        (Evidence(failed="Cal.com is away"), 1, 0, set(), "Cal.com is away"),
        (
            Evidence(shown=frozenset({1})),
            1,
            0,
            set(),
            "event type 1 is missing from the listing, but can still be read",
        ),
        (Evidence(), 1, 0, set(), "only 2 are looked at"),
        # later looks confirm, given time
        (Evidence(REFUSED, sibling=False), 3, 10, {1}, ""),
        (Evidence(REFUSED, sibling=None), 3, 10, {1}, ""),
        (Evidence(failed="Cal.com is away"), 3, 10, {1}, ""),
        (Evidence(REFUSED, sibling=None), 2, 60, set(), "nothing else"),
        (Evidence(REFUSED, sibling=None), 99, 9.9, set(), "nothing else"),
        # never against an own read that works
        (Evidence(shown=frozenset({1})), 99, 9999, set(), "can still be read"),
    ],
)
def test_one_missing_event_type(evidence: Evidence, looks: int, minutes: float, gone: set[int], why: str):
    verdict = judge(missing(1, looks=looks, minutes=minutes), evidence, RULES, now=NOW)
    assert verdict.gone == gone
    assert why in verdict.why_not
    assert bool(verdict.why_not) == (not gone)


def test_while_one_of_them_can_be_read_time_confirms_nothing_and_proofs_still_count():
    absent = missing(1, 2, 3, looks=50, minutes=600)
    verdict = judge(absent, Evidence(frozenset({1}), frozenset({2})), RULES, now=NOW)
    assert verdict.gone == {1}, "2 can be read the same way, so the 404 of 1 is a proof"
    assert "event type 2" in verdict.why_not


def test_every_look_examines_another_part_until_all_were():
    seen: set[int] = set()
    for looks in range(1, 5):
        part = [one.event_type_id for one in to_examine(missing(*range(1, 8), looks=looks), 2)]
        assert len(part) == 2
        seen.update(part)
    assert seen == set(range(1, 8))
    assert to_examine([], 2) == []
