"""What an answer of Cal.com lacks is not deleted before that is proven or seen again: over the sandbox, end to end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.app.availability.refresh import SlotsReport, canonical_queries, refresh_slots
from calcom_pipeline.app.event_types.mirror import EventTypesReport, TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotKey
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.event_types.absence import AbsenceRules
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.models import Team
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from tests.support.commands import command
from tests.support.reconciling import ME, FakeCalcom
from tests.support.tables import fetch

PERSONAL, TEAMS_OWN = "GET /v2/event-types", "GET /v2/teams/*/event-types"
RULES = AbsenceRules()


@dataclass
class Account:
    """A pipeline over the sandbox, and a clock that is set by hand."""

    container: Container
    sandbox: RunningSandbox
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def pull(self, teams: TeamChoice | None = None, rules: AbsenceRules = RULES) -> EventTypesReport:
        mirror, chosen = self.container.event_types.mirror, teams or self.container.event_types.teams
        return pull_event_types(self.container.calcom, mirror, teams=chosen, rules=rules, now=self.now)

    def slots(self) -> SlotsReport:
        p = self.container
        return refresh_slots(
            p.calcom,
            p.event_types.mirror,
            p.availability.mirror,
            p.availability.cache,
            now=self.now(),
            options=p.availability.options,
        )

    def kept(self) -> tuple[list[int], int, int]:
        """Event types, slot days, cached days."""
        days = fetch(self.container.database, "SELECT event_type_id, duration_minutes, zone, day FROM slots")
        cached = self.container.availability.cache.get([SlotKey(*row) for row in days])
        return [e.id for e in self.container.event_types.mirror.present()], len(days), len(cached)

    def of(self, kind: str) -> list[EventType]:
        return [e for e in self.container.event_types.mirror.present() if e.owner.kind == kind]

    def fault(self, kind: str, endpoint: str, **fields: object) -> None:
        self.sandbox.control.add_fault(kind, endpoint, **fields)

    def pending(self) -> int:
        return self.container.availability.outbox.backlog().pending


@pytest.fixture
def account(in_environment: dict[str, str], sandbox: RunningSandbox) -> Iterator[Account]:
    """Its event types are mirrored."""
    with ready_container(load_settings()) as container:
        made = Account(container, sandbox)
        made.pull()
        assert made.of("user")
        assert made.of("team")
        assert made.pending() == 0
        yield made
        sandbox.control.reset(account=True)


@pytest.fixture
def slots_there(account: Account) -> None:
    """The slots of its event types are mirrored and cached too."""
    account.slots()
    _, days, cached = account.kept()
    assert days == cached > 0


@pytest.mark.parametrize("fault", ["empty_list", "half_list"])
@pytest.mark.usefixtures("slots_there")
def test_one_empty_or_half_listing_deletes_nothing_and_is_told(account: Account, fault: str):
    before = account.kept()
    account.fault(fault, PERSONAL, count=1)
    account.fault(fault, TEAMS_OWN, count=1)
    report = account.pull()
    account.slots()
    assert account.kept() == before
    assert (report.changes.written, account.pending()) == (0, 0)
    assert report.missing >= len(before[0]) // 2
    assert {"can still be read" in note for note in report.notes} == {True}
    assert (account.pull().missing, account.pull().notes) == (0, ())
    assert account.container.reports.overview.missing_event_types() == []


def test_a_listing_that_lies_for_hours_deletes_nothing_either(account: Account):
    before = account.kept()
    account.fault("empty_list", PERSONAL)
    for _ in range(5):
        account.ahead += timedelta(hours=1)
        account.pull(rules=AbsenceRules(proofs=1))
    assert account.kept()[0] == before[0]


def test_commands_and_status_tell_of_it(account: Account, environment: dict[str, str]):
    account.fault("empty_list", PERSONAL, count=1, after=1)  # the first listing is the plan's
    done = command("sync", "all", "--json", environment=environment)
    assert done.returncode == exit_codes.OK
    result = json.loads(done.stdout)["results"]["event_types"]
    assert result["missing"] == len(account.of("user"))
    assert result["changes"]["gone"] == 0
    status = command("status", "--json", environment=environment)
    (told,) = json.loads(status.stdout)["missing_event_types"]
    assert (told["owner"], told["event_types"]) == (str(account.of("user")[0].owner), len(account.of("user")))
    assert "can still be read" in told["why"]
    assert "missing and kept" in command("status", environment=environment).stdout


@pytest.mark.usefixtures("slots_there")
def test_what_was_deleted_is_proven_gone_at_once_with_its_facts_and_its_slots(account: Account):
    victim = account.of("user")[0]
    account.sandbox.control.mutate("delete_event_type", id=victim.id)
    report = account.pull()
    assert (report.changes.gone, report.missing, report.notes) == (1, 0, ())
    assert victim.id not in account.kept()[0]
    assert fetch(account.container.database, "SELECT event_type_id, why FROM invalidations") == [
        (victim.id, "gone from Cal.com")
    ]
    account.slots()
    assert fetch(account.container.database, f"SELECT 1 FROM slots WHERE event_type_id = {victim.id}") == []


def test_what_many_were_deleted_is_proven_part_by_part(account: Account):
    victims = [e.id for e in account.of("user")[1:4]]
    for number in victims:
        account.sandbox.control.mutate("delete_event_type", id=number)
    gone = [account.pull(rules=AbsenceRules(proofs=1)).changes.gone for _ in range(6)]
    assert sum(gone) == len(victims)
    assert max(gone) == 1
    assert not set(victims) & set(account.kept()[0])


def test_a_404_for_everything_proves_nothing_until_later_looks_have_confirmed_it(account: Account):
    before = account.kept()
    account.fault("half_list", PERSONAL)
    account.fault("error", "GET /v2/event-types/*", status=404)
    report = account.pull()
    assert "cannot be read by its id either" in report.notes[0]
    account.pull()
    account.pull()
    assert account.kept()[0] == before[0], "three looks, but no ten minutes"
    account.ahead = timedelta(minutes=11)
    report = account.pull()
    assert report.changes.gone == len(before[0]) - len(account.kept()[0]) > 0
    assert report.missing == 0


def test_the_last_one_of_an_owner_goes_after_later_looks(account: Account):
    """Nothing is left to compare its 404 with."""
    team = account.of("team")
    for event_type in team:
        account.sandbox.control.mutate("delete_event_type", id=event_type.id)
    for minutes in (0, 6):
        account.ahead = timedelta(minutes=minutes)
        report = account.pull()
        assert report.missing == len(team)
        assert any("nothing else is listed" in note for note in report.notes)
    account.ahead = timedelta(minutes=12)
    assert account.pull().changes.gone == len(team)
    assert account.of("team") == []


def two_teams() -> FakeCalcom:
    """An account in two teams, with three event types each."""
    teams = [Team(number, f"team-{number}", "T", "UTC") for number in (301, 302)]
    plain = EventType(0, ME, "t", "T", 30, schedule_zone="UTC")
    types = [replace(plain, id=n, owner=Owner("team", 301 + n % 2), content_hash=f"{n}") for n in range(6)]
    return FakeCalcom(types, teams=teams)


class TestTeams:
    @pytest.mark.usefixtures("slots_there")
    def test_a_team_that_the_list_of_teams_lacks_keeps_its_event_types_and_is_told(self, account: Account):
        before = account.kept()
        account.fault("empty_list", "GET /v2/teams", count=1)
        report = account.pull()
        assert account.kept() == before
        assert report.missing == len(account.of("team"))
        assert "the list of teams lacks it, but its members can still be listed" in report.notes[0]
        assert account.pull().missing == 0

    def test_the_only_team_that_was_left_loses_its_event_types_after_later_looks(self, account: Account):
        team, me = account.of("team")[0].owner, account.container.calcom.me().user_id
        number = len(account.of("team"))
        account.sandbox.control.mutate("set_membership", user_id=me, team_id=team.id)
        for minutes in (0, 6):
            account.ahead = timedelta(minutes=minutes)
            report = account.pull()
            assert (report.changes.gone, report.missing) == (0, number)
            assert "no other team is, to compare with" in report.notes[0]
        account.ahead = timedelta(minutes=12)
        assert account.pull().changes.gone == number
        assert account.of("team") == []

    def test_one_of_several_that_was_left_loses_them_at_once_unless_everything_is_refused(self, database: Database):
        calcom, mirror = two_teams(), PostgresEventTypeMirror(database)

        def pull() -> tuple[int, int]:
            report = pull_event_types(calcom, mirror, teams=TeamChoice(), now=utc_now)
            return report.changes.gone, report.missing

        assert pull() == (0, 0)
        calcom.visible_teams.pop()
        calcom.refuses_members = True
        assert pull() == (0, 3)
        calcom.refuses_members = False
        assert pull() == (3, 0)

    def test_a_team_that_is_left_out_by_choice_is_dropped_and_one_that_is_named_but_missing_is_an_error(
        self, database: Database
    ):
        calcom, mirror = two_teams(), PostgresEventTypeMirror(database)

        def pull(choice: TeamChoice) -> tuple[int, int]:
            report = pull_event_types(calcom, mirror, teams=choice, now=utc_now)
            return report.changes.gone, report.missing

        assert pull(TeamChoice()) == (0, 0)
        assert pull(TeamChoice((302,))) == (3, 0)
        assert pull(TeamChoice(slug="team-301")) == (3, 0)
        calcom.visible_teams.pop()
        with pytest.raises(ConfigurationError, match="names team 302"):
            pull(TeamChoice((301, 302)))

    def test_a_key_that_is_somebody_elses_by_now_deletes_nothing_at_once(self, account: Account):
        control, before = account.sandbox.control, account.of("user")
        me = account.container.calcom.me().user_id
        other = next(u["id"] for u in control.account()["users"] if u["id"] != me)
        control.mutate("set_key", name="owner", user_id=other)
        report = account.pull()
        assert [note for note in report.notes if "the key is another user's now; that is not confirmed yet" in note]
        assert {e.id for e in before} <= {e.id for e in account.of("user")}


def test_a_schedule_that_the_list_lacks_moves_no_event_type_to_another_zone(account: Account):
    before = account.container.event_types.mirror.present()
    account.fault("empty_list", "GET /v2/schedules", count=1)
    account.fault("time_zone", "GET /v2/me", text="Pacific/Auckland")
    assert account.pull().changes.written == 0
    assert account.container.event_types.mirror.present() == before


@pytest.mark.usefixtures("slots_there")
def test_a_calendar_that_is_suddenly_empty_is_asked_for_again_before_it_is_believed(account: Account):
    (free,) = fetch(account.container.database, "SELECT sum(cardinality(starts)) FROM slots")[0]
    queries = [
        q
        for e in account.container.event_types.mirror.bookable()
        for q in canonical_queries(e, now=utc_now(), horizon_days=28)
    ]
    account.ahead = timedelta(minutes=6)  # what was fetched is fresh no more
    account.fault("empty_list", "GET /v2/slots", count=1)
    report = account.slots()
    assert report.asked_again == 1
    assert report.queries == len(queries)
    assert fetch(account.container.database, "SELECT sum(cardinality(starts)) FROM slots") == [(free,)]
