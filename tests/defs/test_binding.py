"""Definitions of many accounts, made in less time."""

from unittest.mock import patch

import dagster as dg
from dagster._core.definitions import inference

from calcom_pipeline.defs.binding import docstrings_read_once


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
        with docstrings_read_once():
            made = [described(f"op_{n}") for n in range(5)]
        assert parse.call_count == 1
        described("later")
        assert parse.call_count > 1
    assert {op.input_dict["number"].description for op in made} == {"What is doubled."}
