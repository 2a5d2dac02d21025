"""Definitions of many accounts, made in less time and no other ones."""

import sys
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.definitions import inference
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from calcom_pipeline.definitions import build_definitions
from calcom_pipeline.defs.asked_once import (
    ASKED_BEFORE,
    ASKED_OF_CLASSES,
    ASKED_OFTEN,
    answers_of_classes,
    asked_once,
    places_of,
)
from tests.support.described import describe

ACCOUNTS = ("agency_a", "agency_b")


@pytest.fixture
def described_accounts(tmp_path: Path, in_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALCOM_ACCOUNTS_DIR", str(tmp_path / "accounts"))
    for name in ACCOUNTS:
        describe(tmp_path / "accounts", name, key=f"cal_key_of_{name}", database_schema=name)


def made() -> tuple[str, set[str]]:
    """The location as Dagster tells its UI and its daemon of it, and its jobs."""
    repository = build_definitions().get_repository_def()
    snap = RepositorySnap.from_def(repository)
    return serialize_value(snap), {job.name for job in repository.get_all_jobs()}


def test_the_definitions_are_those_that_dagster_makes_without_it(described_accounts: None):
    with asked_once():
        shown, jobs = made()
    assert {f"{name}_full_sync" for name in ACCOUNTS} <= jobs
    assert (shown, jobs) == made()


@pytest.mark.parametrize(("module", "name"), ASKED_OFTEN)
def test_dagster_has_what_is_asked_once_and_has_it_back_afterwards(module: str, name: str):
    before = [(place, name, vars(place)[name]) for place, name in places_of(module, name)]
    assert before
    with asked_once():
        assert all(vars(place)[name] is not answer for place, name, answer in before)
    assert all(vars(place)[name] is answer for place, name, answer in before)


@pytest.mark.parametrize(("module", "name"), ASKED_BEFORE)
def test_what_was_asked_before_is_asked_again_afterwards(module: str, name: str):
    place = import_module(module)
    before = vars(place)[name]
    with asked_once():
        assert vars(place)[name] is not before
    assert vars(place)[name] is before


@pytest.mark.parametrize(("module", "name"), ASKED_OF_CLASSES)
def test_classes_of_dagster_have_such_a_property_and_have_it_back_afterwards(module: str, name: str):
    before = [(place, vars(place)[name], answer) for place, answer in answers_of_classes(module, name)]
    assert before
    with asked_once():
        assert all(vars(place)[name] is answer for place, _, answer in before)
    assert all(vars(place)[name] is asked for place, asked, _ in before)


def test_a_release_of_dagster_without_such_a_module_is_borne(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dagster._core.of_another_release", None)
    assert places_of("dagster._core.of_another_release", "answer") == []
    assert answers_of_classes("dagster._core.of_another_release", "answer") == []


def test_a_property_that_looks_at_its_instance_is_left(monkeypatch: pytest.MonkeyPatch):
    class Asking:
        @property
        def expected_type(self) -> type:
            return self.kind

    ((module, name),) = ASKED_OF_CLASSES
    monkeypatch.setattr(f"{module}.Asking", Asking, raising=False)
    assert Asking not in [place for place, _ in answers_of_classes(module, name)]


def test_a_job_whose_assets_lack_a_resource_is_still_refused():
    @dg.asset(required_resource_keys={"missing"})
    def lacking() -> None: ...

    with asked_once(), pytest.raises(dg.DagsterInvalidDefinitionError, match="missing"):
        dg.Definitions(
            assets=[lacking], jobs=[dg.define_asset_job("a_job", [lacking])]
        ).get_repository_def().load_all_definitions()


def test_assets_of_one_job_that_bring_different_resources_of_one_name_are_still_refused():
    """Else one of them would get the other's."""

    def bringing(name: str) -> dg.AssetsDefinition:
        resource = dg.ResourceDefinition.hardcoded_resource(name)
        return dg.asset(name=name, required_resource_keys={"same"}, resource_defs={"same": resource})(lambda: None)

    with asked_once(), pytest.raises(dg.DagsterInvalidDefinitionError, match="Conflicting versions of resource"):
        both = [bringing("one"), bringing("another")]
        dg.Definitions(both, jobs=[dg.define_asset_job("a_job", both)]).get_repository_def().load_all_definitions()


def described(name: str) -> dg.OpDefinition:
    def function(context: dg.OpExecutionContext, number: int) -> int:
        """Doubles.

        Args:
            number: What is doubled.
        """
        return number * 2

    return dg.op(name=name)(function)


def test_the_docstring_that_functions_have_in_common_is_read_once_and_tells_each_of_them():
    with patch.object(inference, "parse", wraps=inference.parse) as parse:
        with patch("docstring_parser.parse", parse), asked_once():
            ops = [described(f"op_{n}") for n in range(5)]
        assert parse.call_count == 1
        described("later")
        assert parse.call_count > 1
    assert {op.input_dict["number"].description for op in ops} == {"What is doubled."}


def test_what_somebody_has_kept_of_it_asks_each_time_afterwards():
    with patch.object(inference, "parse", wraps=inference.parse) as parse, patch("docstring_parser.parse", parse):
        with asked_once():
            kept = inference.parse
            kept("Doubles.")
            kept("Doubles.")
            assert parse.call_count == 1
        kept("Doubles.")
        assert parse.call_count == 2


def test_what_fails_is_told_each_time():
    with asked_once():
        for _ in range(2):
            with pytest.raises(dg.DagsterInvalidDefinitionError):
                dg.op(name="wrong", out=dg.Out({}))(lambda: None)
