"""A setting that a text names is a setting: a rename that forgets a text fails here."""

import re
from pathlib import Path

import pytest

from calcom_pipeline.settings import Settings, variable_of
from calcom_pipeline.settings.model import SECRET_FIELDS

ROOT = Path(__file__).parents[3]
VARIABLES = {variable_of(name) for name in Settings.model_fields}
FILES = {f"{variable_of(name)}_FILE" for name in SECRET_FIELDS}
#: Names that begin like settings and are none, with what they are.
OTHERS = {"CALCOM_CLOUD": "a constant: the address of Cal.com's own API"}
FOLDERS = ("calcom_pipeline", "docs", "deploy", "bench", "sql")
ENDINGS = {".py", ".md", ".html", ".j2", ".yaml", ".yml", ".sql", ".lua", ".service", ".socket", ".mjs", ".js", ""}


def texts() -> list[Path]:
    """Sources and docs. Not the tests, which name settings that do not exist, nor the changes, where some did once."""
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    beside = [*ROOT.glob("*.md"), *ROOT.glob("*.yaml"), *ROOT.glob("*.yml"), ROOT / "Makefile"]
    return [
        path for path in (*below, *beside) if path.suffix in ENDINGS and path.is_file() and path.name != "CHANGELOG.md"
    ]


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\bCALCOM_[A-Z0-9_]+", text))


def is_known(name: str) -> bool:
    """A setting, the file of a secret, or the beginning of several: `CALCOM_SLOT_*`."""
    if name in VARIABLES | FILES | OTHERS.keys():
        return True
    return name.endswith("_") and any(variable.startswith(name) for variable in VARIABLES)


def test_every_setting_that_a_text_names_exists():
    found = {
        str(path.relative_to(ROOT)): sorted(name for name in named_in(path.read_text()) if not is_known(name))
        for path in texts()
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_every_exception_is_still_named_somewhere():
    named = {name for path in texts() for name in named_in(path.read_text())}
    assert OTHERS.keys() <= named


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("CALCOM_SLOT_HORIZON_DAYS", True),
        ("CALCOM_SLOT_", True),
        ("CALCOM_API_KEY_FILE", True),
        ("CALCOM_SLOT_HORIZON", False),
        ("CALCOM_SLOTS_", False),
        ("CALCOM_ACCOUNT_FILE", False),
    ],
)
def test_only_a_whole_name_or_a_beginning_with_its_line_is_known(name: str, known: bool):
    assert is_known(name) is known
