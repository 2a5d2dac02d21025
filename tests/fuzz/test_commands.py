"""Whatever is typed: a command does it, or says in a sentence why not. No traceback, no code that means a bug.

What it writes goes into a folder of the test's own.

`CORPUS` holds lines that went wrong once.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calcom_pipeline.cli import cli, exit_codes
from tests.support.commands import command

pytestmark = pytest.mark.timeout(1200)

#: Serve until they are stopped, start servers or other programs, or take minutes: their options alone are tried.
_NOT_STARTED = {"up", "serve", "demo", "exec", "local", "sandbox", "materialize", "doctor", "backfill"}
_WORDS = st.one_of(
    st.sampled_from(
        [
            "", " ", "0", "-1", "1", "2", "30", "999999999999999999999", "1e3", "NaN", "\x00x", "ü", "../no/such",
            "%s", "{0}", "' OR 1=1 --", "2026-12-01", "2026-02-30", "9999-12-31", "0001-01-01", "2026-12-01T08:00:00Z",
            "2026-12-01T08:00:00+99:00", "Europe/Berlin", "Mars/Olympus", "all", "local", "remote", "a@b", "--", "-",
            "*", "2026-12", "next week", "x" * 300, "abc,def", "key=value", "=", "8-4-4", "tomorrow",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
)  # fmt: skip
_SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
CORPUS: tuple[tuple[str, ...], ...] = (
    ("slots", "1", "--from", "0001-01-01"),
    ("slots", "1", "--to", "9999-12-31"),
    ("month", "1", "9999-12"),
    ("explain", "\x00x"),
    ("services", "attach", "\x00x"),
    ("resolve", "x" * 300, "--take", "local"),
)
_TRACEBACK = re.compile(r"Traceback|^  File \"|/calcom_pipeline/", re.MULTILINE)


def leaves(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, by its words."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    for name, inner in group.commands.items():
        if path or name not in _NOT_STARTED:
            yield from leaves(inner, (*path, name))


LEAVES = dict(leaves(cli))


@st.composite
def lines(draw: st.DrawFn, words: tuple[str, ...], one: click.Command) -> tuple[str, ...]:
    """A line that somebody might type: most of it as the command wants it, with odd values."""
    line = list(words)
    for parameter in one.params:
        if isinstance(parameter, click.Argument):
            line += [draw(_value(parameter)) for _ in range(draw(st.integers(0 if parameter.nargs == -1 else 1, 1)))]
        elif isinstance(parameter, click.Option) and not {"--help", "--watch"} & set(parameter.opts):
            if draw(st.integers(0, 2)):
                continue
            line += _given(draw, parameter)
    if not draw(st.integers(0, 9)):
        line.insert(draw(st.integers(len(words), len(line))), draw(_WORDS))
    return tuple(line)


def _given(draw: st.DrawFn, option: click.Option) -> list[str]:
    name = draw(st.sampled_from([*option.opts, *option.secondary_opts]))
    return [name] if option.is_flag or option.count else [name, draw(_value(option))]


def _value(parameter: click.Parameter) -> st.SearchStrategy[str]:
    if isinstance(parameter.type, click.Choice):
        return st.sampled_from([*map(str, parameter.type.choices), "neither"])
    return _WORDS


@pytest.mark.parametrize("line", CORPUS, ids=lambda line: line[0])
def test_what_went_wrong_once_goes_well(line: tuple[str, ...], environment: dict[str, str], tmp_path: Path):
    assert _problem(line, environment, tmp_path) is None


def test_whatever_is_typed_is_done_or_refused_in_a_sentence(environment: dict[str, str], tmp_path: Path):
    """Seeded, over all commands; `make proof` tries each of them."""

    @settings(max_examples=40, suppress_health_check=_SLOW)
    @given(st.sampled_from(sorted(LEAVES)).flatmap(lambda words: lines(words, LEAVES[words])))
    def type_it(line: tuple[str, ...]) -> None:
        assert _problem(line, environment, tmp_path) is None

    type_it()


@pytest.mark.proof
@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_whatever_is_typed_after_a_command_is_done_or_refused_in_a_sentence(
    words: tuple[str, ...], environment: dict[str, str], tmp_path: Path
):
    @settings(max_examples=100, suppress_health_check=_SLOW)
    @given(lines(words, LEAVES[words]))
    def type_it(line: tuple[str, ...]) -> None:
        assert _problem(line, environment, tmp_path) is None

    type_it()


def _problem(line: tuple[str, ...], environment: dict[str, str], folder: Path) -> Any:
    done = command(*line, environment=environment, cwd=folder)
    is_bug = done.returncode == exit_codes.UNEXPECTED and exit_codes.DETAILED not in line
    if is_bug or done.returncode not in exit_codes.MEANING:
        return line, done.returncode, done.stderr[-500:]
    if _TRACEBACK.search(done.stderr) and "--debug" not in line:
        return line, done.stderr[-500:]
    return None
