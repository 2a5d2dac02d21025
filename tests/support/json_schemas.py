"""JSON schemas, by the library that Dagster brings along."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def validator_of(schema: dict[str, Any], draft: str = "Draft202012Validator") -> "Validator":
    """A validator of a schema; `draft`: the library's class for its dialect."""
    # Here, since importing it compiles grammars for a second: half of what collecting all tests takes.
    import jsonschema

    return getattr(jsonschema, draft)(schema)
