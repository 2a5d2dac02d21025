"""The pages for operators and for CI name what is there: every check, every job, every field of a launchpad."""

import re
from pathlib import Path

import pytest
import yaml

from calcom_pipeline.cli import cli, exit_codes
from calcom_pipeline.definitions import defs

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "dagster.md").read_text()
CHECKS = sorted(key.name for key in defs.resolve_asset_graph().asset_check_keys)
JOBS = sorted(job.name for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__"))


def cells(heading: str) -> set[str]:
    """What stands in the first column of a section's table, in code marks."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`(\w+)`", cell)}


def test_every_check_is_explained_and_no_other():
    assert cells("Checks") == set(CHECKS)


def test_every_job_is_explained_and_no_other():
    assert cells("Jobs and their launchpads") == set(JOBS)


@pytest.mark.parametrize("job", ["services_sync", "apply_plan", "retry_service", "resolve_conflict"])
def test_every_field_of_a_launchpad_is_named(job: str):
    mapping = defs.resolve_job_def(job).config_mapping
    assert mapping is not None
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{job}`")]
    for field in mapping.config_schema.config_type.fields:  # type: ignore[union-attr]
        assert f"`{field}`" in line


def test_the_commands_of_the_page_about_ci_are_there_and_so_are_its_exit_codes():
    page = (DOCS / "ci.md").read_text()
    commands = set(re.findall(r"calcom-pipeline ([a-z]+)", page))
    assert commands <= set(cli.commands)
    options = {option for parameter in cli.commands["materialize"].params for option in parameter.opts}
    assert set(re.findall(r"(--[a-z][a-z-]+)", page)) <= options
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} <= set(exit_codes.MEANING)


def test_the_example_workflow_is_yaml_and_calls_commands_that_are_there():
    workflow = yaml.safe_load((DOCS / "examples" / "sync.yml").read_text())
    steps = workflow["jobs"]["sync"]["steps"]
    called = [words for step in steps if (words := step.get("run", "").split()) and words[0] == "calcom-pipeline"]
    assert [words[1] for words in called] == ["doctor", "materialize"]
    assert {words[1] for words in called} <= set(cli.commands)
    assets = workflow[True]["workflow_dispatch"]["inputs"]["assets"]["default"].split()  # YAML reads `on` as true
    known = {key.path[-1] for key in defs.resolve_asset_graph().materializable_asset_keys}
    assert set(assets) <= known
