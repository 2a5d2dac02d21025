"""What is not to be believed of Cal.com's answers is not acted on: every event type here has a service linked to it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from calcom_pipeline.adapters.calcom.endpoint import EndpointGroup
from calcom_pipeline.adapters.calcom.event_types import endpoints
from calcom_pipeline.app.event_types.mirror import pull_event_types
from calcom_pipeline.app.services.apply import ApplyReport
from calcom_pipeline.app.services.ports import StoredPlan
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import ContractBroken, NotFound
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from tests.support.planning import apply_now, plan_now

PERSONAL, TEAMS = "GET /v2/event-types", "GET /v2/teams/{teamId}/event-types"
WRITES = ("POST", "PATCH", "DELETE")


@dataclass
class Account:
    """A pipeline over the sandbox, everything linked and mirrored."""

    container: Container
    sandbox: RunningSandbox

    def plan(self) -> StoredPlan:
        return plan_now(self.container, "test")

    def apply(self, plan: StoredPlan, *, approved: bool = False) -> ApplyReport:
        return apply_now(self.container, plan, approved=approved)

    def writes(self) -> int:
        endpoints = self.sandbox.control.counters()["endpoints"]
        return sum(sum(s.values()) for name, s in endpoints.items() if name.split()[0] in WRITES)

    def states(self) -> set[str]:
        return {link.state for link in self.container.services.store.links()}


@pytest.fixture
def account(in_environment: dict[str, str], sandbox: RunningSandbox, monkeypatch) -> Iterator[Account]:
    monkeypatch.setenv("CALCOM_IMPORT_POLICY", "propose")
    with ready_container(load_settings()) as container:
        made = Account(container, sandbox)
        pull_event_types(container.calcom, container.event_types.mirror, teams=container.event_types.teams, now=utc_now)
        imported = made.apply(made.plan(), approved=True)
        assert set(imported.counts) == {"done"}
        assert made.plan().actions == ()
        assert made.writes() == 0, "an import writes nothing to Cal.com"
        yield made
        sandbox.control.reset(account=True)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("empty_list", "lists no event type of user:"), ("half_list", "where there were")],
)
def test_an_empty_or_half_listing_stops_everything_destructive_with_the_reason(account: Account, fault: str, said: str):
    for endpoint in (PERSONAL, TEAMS):
        account.sandbox.control.add_fault(fault, endpoint)
    plan = account.plan()
    assert set(plan.held) == {"park"}
    assert said in plan.held["park"]
    assert set(account.apply(plan).counts) == {"held"}
    assert (account.writes(), account.states()) == (0, {"linked"})


@pytest.mark.parametrize("fault", ["empty_list", "half_list"])
def test_not_even_an_approved_plan_parks_what_can_still_be_read(account: Account, fault: str):
    for endpoint in (PERSONAL, TEAMS):
        account.sandbox.control.add_fault(fault, endpoint)
    report = account.apply(account.plan(), approved=True)
    assert set(report.counts) == {"stale"}
    assert all("can still be read" in result.message for result in report.results)
    assert (account.writes(), account.states()) == (0, {"linked"})


def test_a_key_that_gets_404_for_everything_proves_nothing_gone(account: Account):
    for endpoint in (PERSONAL, TEAMS):
        account.sandbox.control.add_fault("half_list", endpoint)
        account.sandbox.control.add_fault("error", f"{endpoint}/*", status=404)
    report = account.apply(account.plan(), approved=True)
    assert set(report.counts) == {"stale"}
    assert all("not proven gone" in result.message for result in report.results)
    assert account.states() == {"linked"}


def test_a_key_that_lost_its_team_leaves_the_team_s_services_alone_with_the_reason(account: Account):
    team = next(t for t in account.sandbox.control.account()["teams"] if not t["isOrganization"])
    me = account.container.calcom.me().user_id
    account.sandbox.control.mutate("set_membership", user_id=me, team_id=team["id"])
    plan = account.plan()
    concerned = [s for s in account.container.services.store.services() if s.team_id == team["id"]]
    assert concerned
    assert {a.service_id for a in plan.actions} == {s.id for s in concerned}
    assert {a.kind for a in plan.actions} == {"refuse"}
    assert all("cannot be read with this key" in a.reason for a in plan.actions)
    account.apply(plan, approved=True)
    assert (account.writes(), account.states()) == (0, {"linked"})


def test_a_key_that_is_somebody_else_s_by_now_does_nothing_to_what_was_linked(account: Account):
    control, me = account.sandbox.control, account.container.calcom.me().user_id
    other = next(u["id"] for u in control.account()["users"] if u["id"] != me)
    control.mutate("set_key", name="owner", user_id=other)
    plan = account.plan()
    assert {a.kind for a in plan.actions} <= {"refuse", "import"}
    personal = {s.id for s in account.container.services.store.services() if s.team_id is None}
    assert {a.service_id for a in plan.actions if "cannot move" in a.reason} == personal
    account.apply(plan)
    assert (account.writes(), account.states()) == (0, {"linked"})


@pytest.mark.parametrize("version", [None, "2024-04-15", "2024-08-13", "2024-09-04", "nonsense"])
def test_a_wrong_version_header_is_no_empty_account(account: Account, version: str | None, monkeypatch):
    """Cal.com answers another shape with 200, or 404, and neither is taken for a listing."""
    monkeypatch.setattr(endpoints, "EVENT_TYPES", EndpointGroup("event_types", version))  # what a release may break
    with pytest.raises((ContractBroken, NotFound)) as refused:
        account.plan()
    assert "cal-api-version" in refused.value.advice or "Cannot GET" in refused.value.exchange.body
    assert (account.writes(), account.states()) == (0, {"linked"})
    assert account.container.services.plans.latest_open() is None


def test_onboarding_a_new_account_is_all_creates_and_no_brake_stops_it(in_environment, sandbox: RunningSandbox):
    team = next(t["id"] for t in sandbox.control.account()["teams"] if not t["isOrganization"])
    with ready_container(load_settings()) as container:
        account = Account(container, sandbox)
        for number in range(30):
            columns = {"name": f"Service {number}", "slug": f"onboarded-{number}", "duration_minutes": 30}
            container.services.store.insert({**columns, "team_id": team if number % 10 == 0 else None})
        assert account.apply(account.plan()).counts == {"done": 30}
        assert account.plan().actions == ()
        hosted = container.calcom.list_owner(Owner("team", team))
        made = [e for e in hosted if e.slug.startswith("onboarded")]
        assert len(made) == 3
        assert all(e.host_ids and e.scheduling_type == "roundRobin" for e in made)


def test_a_price_is_a_note_of_the_plan_and_never_sent(in_environment, sandbox: RunningSandbox):
    with ready_container(load_settings()) as container:
        account = Account(container, sandbox)
        priced = {"name": "Massage", "slug": "priced", "duration_minutes": 30, "price_minor": 4990, "currency": "EUR"}
        container.services.store.insert(priced)
        plan = account.plan()
        assert ["price is kept here only" in note for action in plan.actions for note in action.notes] == [True]
        assert account.apply(plan).counts == {"done": 1}
        assert account.plan().actions == (), "a price that Cal.com has not is no difference"
