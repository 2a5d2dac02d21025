"""The reference is as the code says, and every setting, check, alert, reason and exit code stands in the docs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.cli import cli, exit_codes
from calcom_pipeline.definitions import defs
from calcom_pipeline.domain import reasons
from calcom_pipeline.domain.maintenance.alerts import WHAT_TO_DO
from calcom_pipeline.settings import Settings, variable_of
from docs.making.codes_pages import reason_groups
from docs.making.commands_page import leaves
from docs.making.http_page import openapi
from docs.making.markdown import code, prose, table
from docs.making.pages import FOLDER, PAGES, TABLES_PAGE
from docs.making.tables_page import stored_columns, tables_page

ROOT = Path(__file__).parents[3]
AGAIN = "Not as the code says: run `make docs`."
CHECKS = sorted(key.name for key in defs.resolve_asset_graph().asset_check_keys)


def first_cells(page: str) -> set[str]:
    """What stands in the first column of a page's tables."""
    lines = (FOLDER / page).read_text().splitlines()
    return {line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_what_the_code_makes_of_it(name: str):
    assert (FOLDER / name).read_text() == PAGES[name](), AGAIN


def test_the_page_of_tables_is_what_the_migrated_schema_makes_of_it(database: Database):
    assert (FOLDER / TABLES_PAGE).read_text() == tables_page(stored_columns(database)), AGAIN


def test_no_page_of_the_reference_is_left_over():
    assert {path.name for path in FOLDER.iterdir()} == {*PAGES, TABLES_PAGE}


@pytest.mark.proof
def test_pages_do_not_depend_on_how_python_orders_sets():
    """Dagster's is the one that holds sets; here in a process with a known order, above in one of each run's own."""
    ask = "from docs.making.pages import PAGES; import sys; sys.stdout.write(PAGES['dagster.md']())"
    deaf = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    told = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env={**deaf, "PYTHONHASHSEED": "4711"}, capture_output=True, check=True
    )
    assert told.stdout.decode() == (FOLDER / "dagster.md").read_text()


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_is_in_the_reference(field: str):
    variable = variable_of(field)
    (cell,) = [cell for cell in first_cells("settings.md") if f"`{variable}`" in cell]
    assert f'id="{variable.lower()}"' in cell


@pytest.mark.parametrize("command", leaves())
def test_every_command_is_in_the_reference(command: str):
    assert re.search(rf"^#+ {command}$", (FOLDER / "commands.md").read_text(), re.MULTILINE)


def test_the_reference_walks_into_groups_of_commands():
    assert {"calcom-pipeline sync bookings", "calcom-pipeline up"} <= set(leaves())
    assert {name.split()[1] for name in leaves()} == set(cli.commands)


def test_every_check_is_in_the_reference():
    assert {f"`{name}`" for name in CHECKS} <= first_cells("dagster.md")


def test_every_exit_code_is_in_the_reference():
    assert {str(number) for number in exit_codes.MEANING} <= first_cells("exit-codes.md")


def test_every_kind_of_alert_is_in_the_reference():
    assert {f"`{kind}`" for kind in WHAT_TO_DO} <= first_cells("alerts.md")


def test_every_reason_stands_under_a_heading():
    assert [code for _, codes in reason_groups() for code in codes] == list(reasons.SENTENCES)


def test_every_operation_of_the_http_api_is_in_the_reference():
    page = (FOLDER / "http-operations.md").read_text()
    asked = {f"## {method.upper()} {path}" for path, methods in openapi()["paths"].items() for method in methods}
    assert len(asked) >= 10
    assert asked <= set(page.splitlines())


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("as CALCOM_APPLY=auto says", "as `CALCOM_APPLY=auto` says"),
        ("run `sync all` | or *not*", "run `sync all` &#124; or \\*not\\*"),
        ("user:<id>, event_type", "user:&lt;id&gt;, event_type"),
        ("[default: 7]", "\\[default: 7\\]"),
        ("(CALCOM_*_RETENTION_DAYS)", "(`CALCOM_*_RETENTION_DAYS`)"),
    ],
)
def test_a_sentence_of_the_code_is_text_and_no_markup(sentence: str, told: str):
    assert prose(sentence) == told


def test_a_bar_or_a_line_break_does_not_end_a_cell():
    assert code("local|remote") == "<code>local&#124;remote</code>"
    assert table(["a"], [["one\ntwo"]]).splitlines() == ["| a |", "| --- |", "| one two |"]
