"""The page on capacity says what the schedules are planned to cost."""

import re

import pytest

from calcom_pipeline.domain.maintenance.standing_calls import StandingCalls, standing_calls
from tests.support.commands import CHECKOUT
from tests.support.standing import REAL, account, rules

PAGE = (CHECKOUT / "docs" / "capacity.md").read_text()
LOOKS = ("bookings look", "event types look")


def rows() -> dict[int, list[str]]:
    """The table's cells by the number of event types."""
    block = re.search(r"<!-- standing calls -->\n(.*?)<!-- / -->", PAGE, re.DOTALL)
    assert block is not None
    lines = block[1].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {int(first.replace(",", "")): others for first, *others in cells}


def shown(found: StandingCalls) -> list[str]:
    looks = sum(found.work(name).per_minute for name in LOOKS)
    slots = found.work("slots")
    warming = found.warm_calls / found.rules.warm_minutes
    syncs = found.per_minute - looks - slots.per_minute - warming
    figures = [f"{each:.1f}" for each in (looks, syncs, slots.per_minute, warming, found.per_minute)]
    return [*figures, f"every {slots.minutes * slots.factor:g} min"]


@pytest.mark.parametrize("event_types", [10, 100, 1_000, 10_000])
def test_the_calls_of_an_account_are_those_that_are_planned(event_types: int):
    assert rows()[event_types] == shown(standing_calls(account(event_types), rules(REAL)))
