"""What holds for every module of the package: names that mean one thing, files and functions that fit on a screen."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import calcom_pipeline

PACKAGE = Path(calcom_pipeline.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_COMPOSITION = 400, 50, 150
#: Of the repository: the package, what is beside it, and the tests.
FOLDERS = ("calcom_pipeline", "docs", "deploy", "bench", "tests")
#: Used by tests alone: they take any word for a secret and forget it; they ask for the addresses in one text.
FOR_TESTS = {"domain/redaction.py:forget_secrets", "domain/bookings/people.py:addresses_in"}
#: Functions that are one table.
TABLES = {"sandbox/validation/event_types.py:_base_fields"}
#: Words that name nothing in particular: a message, a header and a list of rows were all called so.
VAGUE = {"told", "said", "_told", "_said"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def by_kind() -> dict[type[ast.AST], list[tuple[str, ast.AST]]]:
    """All nodes of all modules, with the module's name: one walk for all tests."""
    found: dict[type[ast.AST], list[tuple[str, ast.AST]]] = {}
    for path in MODULES:
        name = name_of(path)
        for node in ast.walk(parsed(path)):
            found.setdefault(type(node), []).append((name, node))
    return found


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Nodes of these kinds in all modules, with the module's name."""
    return (each for kind, found in by_kind().items() if issubclass(kind, kinds) for each in found)


def test_no_two_classes_have_one_name():
    names = Counter(str(getattr(node, "name", "")) for _, node in nodes(ast.ClassDef))
    assert [name for name, number in names.items() if number > 1] == []


def test_no_file_is_longer_than_four_hundred_lines():
    files = [path for folder in FOLDERS for path in sorted((PACKAGE.parent / folder).rglob("*.py"))]
    lengths = {str(path.relative_to(PACKAGE.parent)): len(text_of(path).splitlines()) for path in files}
    assert len(lengths) > len(MODULES)
    assert [name for name, length in lengths.items() if length > LONGEST_FILE] == []


def test_no_file_of_the_composition_is_longer_than_a_hundred_and_fifty_lines():
    lengths = {path.name: len(text_of(path).splitlines()) for path in (PACKAGE / "bootstrap").rglob("*.py")}
    assert [name for name, length in lengths.items() if length > LONGEST_COMPOSITION] == []


def top_level_names(module: ast.Module) -> Iterator[str]:
    """What a module defines; what a decorator takes (a command, a fixture of a library) is used by that."""
    for node in module.body:
        if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not node.decorator_list):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_what_is_defined_is_used():
    words = Counter(word for path in MODULES for word in re.findall(r"\w+", text_of(path)))
    for entries in ("pyproject.toml", "README.md", "dagster_home/dagster.yaml"):
        words.update(re.findall(r"\w+", (PACKAGE.parent / entries).read_text()))
    defined = {f"{name_of(path)}:{name}" for path in MODULES for name in top_level_names(parsed(path))}
    unused = {one for one in defined if words[one.rpartition(":")[2]] == 1 and not one.endswith("__")}
    assert unused == FOR_TESTS


def test_every_function_fits_on_a_screen():
    functions = nodes(ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {f"{name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for name, node in functions}  # type: ignore[attr-defined]
    assert [name for name, length in lengths.items() if length > LONGEST_FUNCTION and name not in TABLES] == []


def test_why_a_fact_was_left_is_named_in_one_place():
    calls = ((name, node) for name, node in nodes(ast.Call) if isinstance(node, ast.Call))
    made = {
        name for name, call in calls if getattr(call.func, "id", "") == "Why" and isinstance(call.args[0], ast.Constant)
    }
    assert made == {"domain/availability/changes.py"}


NAMES = ("id", "arg", "attr", "name", "asname")
#: Kinds of nodes that can hold a name.
NAMING = tuple(
    kind
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and {*NAMES, "names"}.intersection(kind._fields)
)


def names_in(node: ast.AST) -> Iterator[str]:
    """The names that a node defines, reads or passes; a string that is a key of some output is none."""
    for field in NAMES:
        if isinstance(name := getattr(node, field, None), str):
            yield name
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def test_names_say_what_they_hold():
    assert {module for module, node in nodes(*NAMING) if VAGUE.intersection(names_in(node))} == set()


def test_the_names_of_a_module_are_found_wherever_they_stand():
    module = """
import told
def _told(said): call(said=1)
class _said: pass
text = f"{told}" + one.said
"""
    naming = [node for node in ast.walk(ast.parse(module)) if isinstance(node, NAMING)]
    found = Counter(name for node in naming for name in names_in(node))
    assert {name: found[name] for name in VAGUE} == {"told": 2, "said": 3, "_told": 1, "_said": 1}
