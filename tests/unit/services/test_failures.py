"""What becomes of a service whose write fails: retries, parking, and what nobody knows."""

from datetime import timedelta

import pytest

from calcom_pipeline.app.event_types.ports import Written
from calcom_pipeline.domain.errors import (
    CircuitOpen,
    Exchange,
    OutcomeUnknown,
    RateLimited,
    StoreError,
    TransientError,
    Unauthorized,
)
from calcom_pipeline.domain.models import Profile
from tests.support.apply_desk import SUPPORT, Desk, outcomes
from tests.support.reconciling import (
    TEAM,
    event_type,
    linked,
    service,
)


class TestFailures:
    def test_fields_that_cal_com_ignores_are_told_and_never_called_synced(self):
        desk = Desk([service(1, name="New", duration_minutes=45)], [event_type(1)], [linked(1)])
        desk.calcom.ignores = frozenset({"title"})
        result = desk.sync()["1"]
        assert (result.outcome, result.message) == ("failed", "Cal.com accepted but ignored: title")
        link = desk.services.stored["1"]
        assert link.base["duration_minutes"] == 45
        assert link.base["title"] == "Service 1"

    def test_what_is_ignored_again_and_again_is_parked_with_that_reason(self):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])
        desk.calcom.ignores = frozenset({"title"})
        for _ in range(5):
            desk.sync()
            desk.clock.advance(timedelta(hours=12))
        link = desk.services.stored["1"]
        assert (link.state, link.attempts, link.reason) == ("parked", 5, "Cal.com accepted but ignored: title")

    def test_the_distance_between_attempts_grows_and_the_fifth_failure_parks(self):
        desk = Desk([service(1)])
        desk.calcom.refuses = lambda fields: True
        waits = []
        for attempt in range(1, 6):
            assert outcomes(desk.sync()) == {"1": "failed"}
            link = desk.services.stored["1"]
            assert link.attempts == attempt
            assert desk.sync() == {}, "before its time it is not tried again"
            waits.append(link.next_attempt_at - desk.clock())
            desk.clock.advance(waits[-1])
        assert waits == sorted(waits)
        assert waits[0] == timedelta(minutes=1)
        assert desk.services.stored["1"].state == "parked"
        assert [a.kind for a in desk.plan().actions] == ["wait"]

    def test_an_edit_of_a_parked_service_is_tried_at_once(self):
        desk = Desk([service(1)])
        desk.calcom.refuses = lambda fields: fields["title"] == "Service 1"
        for _ in range(5):
            desk.sync()
            desk.clock.advance(timedelta(hours=12))
        desk.services.edit("1", name="Better")
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.stored["1"].attempts == 0

    @pytest.mark.parametrize(
        ("error", "kept"),
        [
            (TransientError("away", exchange=Exchange("update", in_doubt=True)), True),
            (OutcomeUnknown("?", key="k"), True),
            (TransientError("away before anything was sent"), False),
            (CircuitOpen("open", retry_after=60), False),
            (RateLimited("wait", retry_after=60), False),
            (Unauthorized("may not write"), False),
        ],
        ids=["away", "unknown", "unreached", "circuit", "limited", "key"],
    )
    def test_an_outage_parks_nothing_and_only_doubt_keeps_the_intent(self, error, kept):
        desk = Desk([service(1, name="New")], [event_type(1)], [linked(1)])

        def away(*_: object) -> Written:
            raise error

        desk.calcom.update_event_type = away  # type: ignore[method-assign]
        for _ in range(7):
            desk.sync()
            desk.clock.advance(timedelta(hours=12))
        link = desk.services.stored["1"]
        assert (link.state, link.attempts) == ("linked", 0)
        assert (link.intent is not None) == kept

    def test_a_create_whose_end_could_not_be_stored_is_found_again_and_not_repeated(self):
        desk = Desk([service(1)])
        finish, calls = desk.services.finish, []

        def breaks(*args) -> None:
            calls.append(args)
            if len(calls) == 1:
                raise StoreError("away for a moment")
            finish(*args)

        desk.services.finish = breaks  # type: ignore[method-assign]
        assert outcomes(desk.sync()) == {"1": "failed"}
        assert desk.services.stored["1"].intent is not None
        desk.clock.advance(timedelta(hours=12))
        desk.sync()
        assert len(desk.calcom.types) == 1
        assert desk.services.stored["1"].event_type_id == desk.calcom.created[0]

    def test_a_create_that_was_never_sent_lays_no_claim_to_what_appears_later(self):
        desk = Desk([service(1)])

        def closed(*_: object, **__: object) -> Written:
            raise CircuitOpen("open", retry_after=60)

        desk.calcom.create_event_type = closed  # type: ignore[method-assign]
        desk.sync()
        assert desk.services.stored["1"].intent is None

    def test_a_gone_event_type_is_proven_gone_and_parked(self):
        desk = Desk([service(1), service(2)], [event_type(2)], [linked(1), linked(2)])
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.stored["1"].state == "parked"
        assert len(desk.calcom.types) == 1, "it is never created again by itself"

    def test_a_key_that_lost_its_rights_proves_nothing(self):
        """Then every type answers 404, the missing one and those that are still listed."""
        desk = Desk([service(1), service(2)], [event_type(2)], [linked(1), linked(2)])
        desk.calcom.lost_scope = True
        result = desk.sync()["1"]
        assert (result.outcome, result.message) == (
            "stale",
            "not proven gone: event type 2 is listed and cannot be read either",
        )
        assert desk.services.stored["1"].state == "linked"

    def test_a_team_s_event_type_is_looked_for_by_the_team_s_route(self):
        team = [service(n, team_id=301) for n in (1, 2)]
        links = [linked(n, owner=TEAM) for n in (1, 2)]
        desk = Desk(team, [event_type(2, owner=TEAM)], links, teams=[SUPPORT])
        assert outcomes(desk.sync()) == {"1": "done"}
        assert desk.services.stored["1"].state == "parked"

    def test_where_no_sibling_is_left_the_key_still_has_to_be_its_owner_s(self):
        desk = Desk([service(1)], [], [linked(1)])
        assert [r.outcome for r in desk.apply(desk.plan(), approved=True).results] == ["done"]
        other = Desk([service(1)], [], [linked(1)])
        plan = other.plan()
        other.calcom.me = lambda: Profile(999, "somebody", "UTC")  # type: ignore[method-assign]
        assert [r.outcome for r in other.apply(plan, approved=True).results] == ["stale"]

    def test_one_that_is_missing_from_the_listing_but_can_be_read_is_not_parked(self):
        desk = Desk([service(1), service(2)], [event_type(2), event_type(1)], [linked(1), linked(2)])
        desk.calcom.half_listing = True
        plan = desk.plan()
        (result,) = desk.apply(plan).results
        assert (result.kind, result.outcome) == ("park", "stale")
