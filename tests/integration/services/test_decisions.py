"""What a person decides about services waits for an apply: an apply works on a copy of the links."""

from dataclasses import replace

import click
import pytest
from click.testing import CliRunner

from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.bootstrap.services import ServiceGroup
from calcom_pipeline.cli.plans import resolve, revert
from calcom_pipeline.domain.errors import AnotherApply, PlanUnusable
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings


@pytest.mark.parametrize(
    ("command", "words"),
    [(resolve, ["1", "--retry"]), (resolve, ["1", "--take", "local"]), (revert, ["--service", "1"])],
    ids=["retry", "take", "revert"],
)
def test_nothing_is_decided_while_an_apply_is_running(
    in_environment: dict[str, str],
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    command: click.Command,
    words: list[str],
):
    rules = ServiceGroup.plan_rules.fget
    monkeypatch.setattr(ServiceGroup, "plan_rules", property(lambda self: replace(rules(self), wait_seconds=0)))
    with ready_container(load_settings()) as container, container.services.plans.exclusive():
        assert isinstance(CliRunner().invoke(command, words).exception, AnotherApply)
    assert isinstance(CliRunner().invoke(command, words).exception, PlanUnusable), "there is no such service"
