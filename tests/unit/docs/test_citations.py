"""Every citation in the code leads somewhere that a reader of this repository has."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CAPTURES = ROOT / "tests" / "contract" / "captures"
FOLDERS = ("calcom_pipeline", "sql", "tests", "bench")
_NUMBERS = re.compile(r"(?<![\w.])\d{1,2}(?:\.\d)?(?![\w-])")
_FACT_SHEET = re.compile(r"fact sheet(?:,? section)?\s+((?:\d{1,2}(?:\.\d)?(?:, | and )?)+)", re.IGNORECASE)
_CAPTURE = re.compile(r"\bcaptures? (\d\d[a-z]?)\b")
_DOCUMENT = re.compile(r"docs/[a-z-]+\.md")
_MODULE = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.py)`")


def sources() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".sql", ".lua") and path != Path(__file__):
                yield str(path.relative_to(ROOT)), " ".join(path.read_text().split())


def cited(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    return {(match, name) for name, text in sources() for match in pattern.findall(text)}


def test_every_number_of_the_fact_sheet_has_a_section():
    sections = set(re.findall(r"^#{2,3} (\d{1,2}(?:\.\d)?)", (ROOT / "docs/calcom-api.md").read_text(), re.MULTILINE))
    numbers = {(number, name) for group, name in cited(_FACT_SHEET) for number in _NUMBERS.findall(group)}
    assert len(numbers) > 50
    assert {(number, name) for number, name in numbers if number not in sections} == set()


def test_every_capture_that_is_named_is_there():
    names = {path.name for path in CAPTURES.glob("*.json")}
    missing = {(number, by) for number, by in cited(_CAPTURE) if not any(n.startswith(number) for n in names)}
    assert missing == set()


def test_every_document_that_is_named_is_there():
    assert {(path, by) for path, by in cited(_DOCUMENT) if not (ROOT / path).is_file()} == set()


def test_every_module_that_is_named_is_there():
    """From the root, the package's, or the folder of the file that names it."""
    named = {(path, by) for path, by in cited(_MODULE) if by.startswith("calcom_pipeline/")}
    assert len(named) > 5

    def is_there(path: str, by: str) -> bool:
        return any((root / path).exists() for root in (ROOT, ROOT / "calcom_pipeline", (ROOT / by).parent))

    assert {(path, by) for path, by in named if not is_there(path, by)} == set()


@pytest.mark.parametrize("phrase", ["design section", "design.md", "../shared", "walk-differences"])
def test_nothing_outside_the_repository_is_cited(phrase: str):
    assert [name for name, text in sources() if phrase in text.lower()] == []
