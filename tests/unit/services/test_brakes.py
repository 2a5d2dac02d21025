"""Brakes: a large destructive share waits until somebody approves it."""

import pytest

from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.plans import BRAKED, Action, Brakes


class TestBrakes:
    brakes = Brakes(share_percent=10, minimum=3)

    def actions(self, kind, number):
        return [Action(kind, str(n), "") for n in range(number)]

    @pytest.mark.parametrize(
        ("kind", "number", "linked", "held"),
        [
            ("hide", 3, 5, False),
            ("hide", 4, 5, True),
            ("hide", 10, 100, False),
            ("park", 11, 100, True),
            ("pull", 11, 100, True),
            ("create", 1000, 0, False),
            ("push", 1000, 1000, False),
        ],
    )
    def test_a_large_destructive_share_waits_for_approval_and_creates_do_not(self, kind, number, linked, held):
        assert (kind in self.brakes.held(self.actions(kind, number), linked=linked)) is held

    @pytest.mark.parametrize("kind", sorted(BRAKED))
    def test_each_braked_kind_waits_for_a_reason_of_its_own(self, kind):
        held = self.brakes.held(self.actions(kind, 4), linked=5)
        assert {kind: (why.code, why.params["limit"]) for kind, why in held.items()} == {kind: (BRAKED[kind], 3)}

    def test_an_untrusted_listing_holds_everything_destructive(self):
        mixed = [*self.actions("hide", 1), *self.actions("push", 1), *self.actions("pull", 1)]
        assert set(self.brakes.held(mixed, linked=100, suspicious=Reason("listing_empty", owner="user:101"))) == {
            "hide",
            "pull",
        }
