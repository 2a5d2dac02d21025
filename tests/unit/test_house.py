"""What holds for every module of the package: names that mean one thing, files and functions that fit on a screen."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import calcom_pipeline

PACKAGE = Path(calcom_pipeline.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
#: Longer than that, and about to be taken apart.
TOO_LONG_YET = {"settings.py", "domain/bookings/requests.py"}

#: Functions that are one table.
TABLES = {"sandbox/validation/event_types.py:_base_fields"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Nodes of these kinds in all modules, with the module's name."""
    for path in MODULES:
        yield from ((name_of(path), node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))


def test_no_two_classes_have_one_name():
    names = Counter(str(getattr(node, "name", "")) for _, node in nodes(ast.ClassDef))
    assert [name for name, number in names.items() if number > 1] == []


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name for name, length in lengths.items() if length > LONGEST_FILE} <= TOO_LONG_YET


def test_every_function_fits_on_a_screen():
    functions = nodes(ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {f"{name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for name, node in functions}  # type: ignore[attr-defined]
    assert [name for name, length in lengths.items() if length > LONGEST_FUNCTION and name not in TABLES] == []
