"""What people are told of a failure, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.app.maintenance.alerts import AlertOutcome, AlertRules, send_alert
from calcom_pipeline.app.maintenance.ports import NotSent
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.maintenance.alerts import AlertMessage, Failure, message_about
from calcom_pipeline.domain.redaction import know_secrets

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
RULES = AlertRules("calcom", "https://dagster.example.com/", timedelta(hours=6))
FAILURE = Failure("unauthorized", "bookings_mirror", "run-1", "Cal.com refuses the key")


@dataclass
class FakeLog:
    away: bool = False
    told: dict[str, datetime] = field(default_factory=dict)
    untold: dict[str, int] = field(default_factory=dict)

    def claim(self, cause: str, *, now: datetime, repeat: timedelta) -> int | None:
        if self.away:
            raise StoreError("PostgreSQL is away")
        if cause in self.told and self.told[cause] > now - repeat:
            self.untold[cause] = self.untold.get(cause, 0) + 1
            return None
        self.told[cause] = now
        return self.untold.pop(cause, 0)

    def release(self, cause: str) -> None:
        if self.away:
            raise StoreError("PostgreSQL is away")
        del self.told[cause]

    def forget(self, causes: Sequence[str]) -> None:
        for cause in causes:
            self.told.pop(cause, None)


@dataclass
class FakeChannel:
    name: str = "webhook"
    broken: bool = False
    messages: list[AlertMessage] = field(default_factory=list)

    def send(self, message: AlertMessage) -> None:
        if self.broken:
            raise NotSent("it answered 500")
        self.messages.append(message)


def test_a_message_says_what_failed_what_to_do_and_where_to_look():
    message = message_about(FAILURE, account="calcom", ui_url=RULES.ui_url, before=3)
    assert message.title == "calcom-pipeline (calcom): bookings_mirror failed, unauthorized"
    assert message.text.splitlines() == [
        "Cal.com refuses the key",
        "What to do: Check CALCOM_API_KEY: is it right, not expired, and may it do that?",
        "The run: https://dagster.example.com/runs/run-1",
        "It had failed 3 times since the last message.",
    ]


def test_no_secret_no_address_and_no_order_to_a_terminal_is_told():
    know_secrets(["hunter2-and-more"])
    said = "refused hunter2-and-more for carol@example.org \x1b[2J with cal_abcdefghijklmnop"
    text = message_about(Failure("x", "j", "r", said), account="calcom", ui_url="https://x", before=0).text
    assert not any(word in text for word in ("hunter2", "carol", "\x1b", "cal_abc"))


@pytest.mark.parametrize(
    ("code", "job", "same"),
    [("unauthorized", "slots_refresh", True), ("rejected", "slots_refresh", False), ("key_error", "other", False)],
)
def test_what_every_job_meets_is_one_cause_and_all_else_is_each_jobs_own(code: str, job: str, same: bool):
    assert (Failure(code, "bookings_mirror", "1", "").cause == Failure(code, job, "2", "").cause) is same


def test_a_cause_is_told_once_and_again_when_it_lasts():
    log, channel = FakeLog(), FakeChannel()
    told = [send_alert(FAILURE, log, [channel], rules=RULES, now=NOW + timedelta(hours=h)) for h in (0, 1, 2, 7)]
    assert told == [AlertOutcome(("webhook",)), AlertOutcome(), AlertOutcome(), AlertOutcome(("webhook",))]
    assert "failed 2 times" in channel.messages[-1].text


def test_a_message_that_did_not_get_out_is_tried_at_the_next_failure():
    log, channel = FakeLog(), FakeChannel(broken=True)
    assert send_alert(FAILURE, log, [channel], rules=RULES, now=NOW) == AlertOutcome((), ("webhook: it answered 500",))
    channel.broken = False
    assert send_alert(FAILURE, log, [channel], rules=RULES, now=NOW).sent == ("webhook",)


def test_one_way_that_works_is_enough():
    log, broken, mail = FakeLog(), FakeChannel(broken=True), FakeChannel("mail")
    assert send_alert(FAILURE, log, [broken, mail], rules=RULES, now=NOW).sent == ("mail",)
    assert send_alert(FAILURE, log, [broken, mail], rules=RULES, now=NOW) == AlertOutcome()


@pytest.mark.parametrize("broken", [False, True])
def test_with_postgresql_away_people_are_told_all_the_same(broken: bool):
    told = send_alert(FAILURE, FakeLog(away=True), [FakeChannel(broken=broken)], rules=RULES, now=NOW)
    assert bool(told.sent) is not broken
