"""Text from outside on its way to a terminal."""

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout, suppress

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.cli.console import Output
from calcom_pipeline.domain.cleaning import printable
from calcom_pipeline.domain.errors import ConfigurationError, InvalidInput

RED, TITLE, LINK = "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;https://x.example\x1b\\link\x1b]8;;\x1b\\"
EIGHT_BIT, CLEAR, BELL, TURNED = "\x9b31m", "\x1bc", "\x07\x08\x7f", "\u202egpj.exe\u2066"
WHOLE = [RED, TITLE, LINK, EIGHT_BIT, CLEAR, BELL, TURNED]
ORDERS = [*WHOLE, "\x1b", "\x1b[", "\x1b]0;no end", "\x90q\x9c", "half \ud800"]
ALL_OF_THEM = "".join(WHOLE)
MARKUP = "[/bold] [link=https://x.example]y[/link] :bomb:"


def orders_in(text: str) -> list[str]:
    return [c for c in text if c not in "\n\t" and (c < " " or "\x7f" <= c <= "\x9f" or c in "\u202e\u2066\ud800")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Café · 漢字 · 👩‍👩‍👧 \u200d", "Café · 漢字 · 👩‍👩‍👧 \u200d"),
        ("  two\n\tlines \n", "  two\n\tlines \n"),
        (f"a {RED} b", "a red b"),
        (f"a{TITLE}b", "ab"),
        (f"a {LINK} b", "a link b"),
        (f"a{EIGHT_BIT}b{CLEAR}c{BELL}d", "abcd"),
        (TURNED, "gpj.exe"),
        ("half \ud800 a character", "half  a character"),
        ("over\rwritten", "overwritten"),
    ],
)
def test_an_order_to_the_terminal_goes_whole_and_the_rest_stays(text: str, shown: str):
    assert printable(text) == shown


@given(st.text() | st.lists(st.sampled_from([*ORDERS, "a", "[", "m", "\n", ";", "0"])).map("".join))
def test_nothing_that_a_terminal_obeys_is_left_of_any_text(text: str):
    shown = printable(text)
    assert all(
        c in "\n\t" or not ("\x00" <= c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff") for c in shown
    )
    assert printable(shown) == shown


def int_of(output: Output, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        output.traceback(error)
        raise


class TestCommands:
    """Everything that a command prints, as text: nothing of it is an order, and brackets are no markup."""

    def test_lines_tables_and_errors(self):
        out, err = io.StringIO(), io.StringIO()
        output = Output(as_json=False)
        with redirect_stdout(out), redirect_stderr(err):
            output.line(f"service {ALL_OF_THEM}")
            output.table(f"T{ALL_OF_THEM}", ("what",), [(ALL_OF_THEM,), (MARKUP,)])
            output.failure(InvalidInput([ALL_OF_THEM]))
            output.failure(ConfigurationError(["x"], advice=ALL_OF_THEM))
            output.misuse(click.UsageError(f"no {ALL_OF_THEM}"))
            with suppress(ValueError):
                int_of(output, ALL_OF_THEM)
            with output.warnings(all_of_them=True):
                event_logger("x").warning("read", reason=ALL_OF_THEM, name=ALL_OF_THEM)
                logging.getLogger("calcom_pipeline.y").warning("plain %s", ALL_OF_THEM)
        for said in (out.getvalue(), err.getvalue()):
            assert said
            assert not orders_in(said)
        assert MARKUP in out.getvalue()

    def test_json_says_the_same_in_ascii_escapes(self):
        out = io.StringIO()
        with redirect_stdout(out):
            Output(as_json=True).result("x", {"name": ALL_OF_THEM + "half \ud800 é"})
        assert not orders_in(out.getvalue())
        assert out.getvalue().encode()
        assert json.loads(out.getvalue())["name"] == ALL_OF_THEM + "half \ud800 é"


def test_a_line_of_the_log_is_no_order_either(caplog: pytest.LogCaptureFixture):
    with caplog.at_level("WARNING", "calcom_pipeline"):
        event_logger("x").warning("read", reason=ALL_OF_THEM, half="half \ud800")
    (line,) = caplog.messages
    assert line.isascii()
    assert line.isprintable()
