"""JSON schemas, by the library that Dagster brings along."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def validator_of(schema: dict[str, Any], draft: str = "https://json-schema.org/draft/2020-12/schema") -> "Validator":
    """A validator of a schema; `draft` counts where the schema names none."""
    # Here, since importing it compiles grammars for a second: half of what collecting all tests takes.
    from jsonschema.validators import validator_for

    return validator_for({"$schema": draft, **schema})(schema)
