"""The runbooks say what to do about everything that can be wrong: checks, exit codes, alerts, reasons."""

import re
from pathlib import Path

import pytest

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.stopped import CHECK
from calcom_pipeline.domain.maintenance.alerts import OF_ALL_JOBS, OF_ONE_CHECK, OF_ONE_JOB
from calcom_pipeline.domain.reasons import SENTENCES

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "how-to" / "runbooks.md").read_text()
CHECKS = {key.name for key in defs.resolve_asset_graph().asset_check_keys} | {CHECK}
_LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")


def section(heading: str) -> str:
    """A part of the page."""
    found = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert found, f"no part {heading}"
    return found


def entries(heading: str) -> dict[str, str]:
    """What stands below each heading of a part."""
    _, *parts = re.split(r"^### ", section(heading), flags=re.MULTILINE)
    return {head.strip("`"): text.strip() for head, _, text in (part.partition("\n") for part in parts)}


def anchors(text: str) -> set[str]:
    """Names by which places can be linked to: of headings, as Markdown's renderers make them, and given ones."""
    heads = re.finditer(r"^#+ (.+)$", text, re.MULTILINE)
    given = set(re.findall(r'<a id="([^"]+)">', text))
    return given | {re.sub(r"[^\w -]", "", head[1].lower()).replace(" ", "-") for head in heads}


def test_every_check_has_its_entry_and_no_other():
    assert entries("Checks").keys() == CHECKS


def test_every_exit_code_has_its_entry_and_no_other():
    assert entries("Exit codes").keys() == {f"Exit {code}" for code in exit_codes.MEANING}


def test_every_kind_of_alert_has_its_entry_and_no_other():
    assert entries("Alerts").keys() == {*OF_ALL_JOBS, *OF_ONE_JOB, "Any other alert"}


def test_an_alert_about_a_check_says_what_to_do_whichever_check_it_is():
    """An account that is stopped has no sensor, so its check alerts nobody."""
    assert OF_ONE_CHECK.keys() == CHECKS - {CHECK}


def test_every_code_of_a_reason_is_named_and_no_other():
    named = {code for text in entries("Reasons").values() for code in re.findall(r"`([a-z]+(?:_[a-z]+)*)`", text)}
    assert SENTENCES.keys() - named == set()
    assert named - SENTENCES.keys() == {"team_id"}


@pytest.mark.parametrize("part", ["Checks", "Exit codes", "Alerts"])
def test_an_entry_says_what_it_means_how_to_see_more_and_what_mends_it(part: str):
    wanted = ("**Means:**", "**See more:**", "**Mend:**")
    short = {"Exit 0", "Exit 130", "Exit 141", "Any other alert"}  # nothing is wrong, or nobody knows
    lacking = {
        head
        for head, text in entries(part).items()
        if head not in short and not text.startswith("As [") and not all(word in text for word in wanted)
    }
    assert lacking == set()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_every_link_into_a_page_finds_its_heading(page: Path):
    for place, anchor in _LINK.findall(page.read_text()):
        if not place.startswith("http"):
            target = (page.parent / place).resolve() if place else page
            assert anchor in anchors(target.read_text()), f"{place}#{anchor}"
