"""The process is killed at every single point of a sync that creates, adopts, pushes, pulls and hides."""

from datetime import timedelta

import pytest

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.domain.services.plans import Brakes
from tests.support.reconciling import ME, Crash, FakeCalcom, FakeClock, FakePlans, FakeServices, Fuse, service

RULES = PlanRules(brakes=Brakes(100, 1000), lifetime=timedelta(hours=1), create_grace=timedelta(0))
APPLY = ApplyRules(workers=1, batch=2, first_retry=timedelta(0), longest_retry=timedelta(0))
#: More than a sync of this scenario has; the last points are past its end.
POINTS = range(40)


class Scenario:
    """Four linked services edited in every way, one new, one that meets a stranger's event type."""

    def __init__(self) -> None:
        self.fuse, self.clock, self.plans = Fuse(), FakeClock(), FakePlans()
        self.calcom = FakeCalcom(fuse=self.fuse)
        self.services = FakeServices([service(n) for n in (1, 2, 3, 4)], fuse=self.fuse)
        self.sync()
        self.services.edit("1", name="Pushed")
        self.services.edit("2", is_active=False, duration_minutes=45)
        self.remote("3", title="Pulled")
        self.services.edit("4", slug="pushed-too")
        self.remote("4", duration_minutes=60)
        self.services.rows["5"] = service(5)
        self.services.rows["6"] = service(6)
        self.calcom.stranger(ME, slug="service-6", title="Service 6")

    def remote(self, service_id: str, **fields: object) -> None:
        number = self.services.stored[service_id].event_type_id
        assert number is not None
        self.calcom.edit(number, **fields)

    def sync(self) -> bool:
        """True when it ran to its end."""
        self.clock.advance(timedelta(minutes=1))
        choice = TeamChoice()
        try:
            plan, _ = make_plan(
                self.calcom, self.services, self.plans, PlanRequest("t", choice), rules=RULES, now=self.clock
            )
            apply_plan(plan, self.calcom, self.services, self.plans, rules=APPLY, now=self.clock)
        except Crash:
            return False
        return True

    def outcome(self) -> dict[str, tuple[object, ...]]:
        """Per service: local values, and those of its event type."""
        found: dict[str, tuple[object, ...]] = {}
        for row in self.services.rows.values():
            link = self.services.stored[row.id]
            there = self.calcom.types[link.event_type_id or 0]
            local = (row.name, row.slug, row.duration_minutes, row.is_active)
            found[row.id] = (*local, there.title, there.slug, there.duration_minutes, not there.hidden)
        return found


def expected() -> dict[str, tuple[object, ...]]:
    both = {
        "1": ("Pushed", "service-1", 30, True),
        "2": ("Service 2", "service-2", 45, False),
        "3": ("Pulled", "service-3", 30, True),
        "4": ("Service 4", "pushed-too", 60, True),
        "5": ("Service 5", "service-5", 30, True),
        "6": ("Service 6", "service-6", 30, True),
    }
    return {service_id: (*values, *values) for service_id, values in both.items()}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_changes_nothing_about_the_end(point: int):
    scenario = Scenario()
    scenario.fuse.left = point
    finished = scenario.sync()
    scenario.fuse.left = None
    assert finished or point < max(POINTS), "the scenario has more points than are tried"
    for _ in range(4):
        assert scenario.sync()
    assert scenario.outcome() == expected()
    assert len(scenario.calcom.types) == 6


@pytest.mark.parametrize("point", POINTS)
def test_two_kills_in_a_row_change_nothing_about_the_end(point: int):
    scenario = Scenario()
    for left in (point, 3):
        scenario.fuse.left = left
        scenario.sync()
    scenario.fuse.left = None
    for _ in range(4):
        assert scenario.sync()
    assert scenario.outcome() == expected()
    assert len(scenario.calcom.types) == 6


@pytest.mark.parametrize("point", POINTS)
def test_what_is_edited_right_after_a_kill_is_never_overwritten(point: int):
    scenario = Scenario()
    scenario.fuse.left = point
    scenario.sync()
    scenario.fuse.left = None
    scenario.remote("1", title="Edited after the kill")
    for _ in range(4):
        scenario.sync()
    assert scenario.outcome()["1"][4] == "Edited after the kill"
