"""The corrected OpenAPI document beside the checkout, as validators of answers. Without it nothing is validated."""

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.json_schemas import validator_of

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

DOCUMENT = Path(__file__).parents[2].parent / "shared" / "calcom-openapi-v2.json"
METHODS = ("get", "post", "patch", "delete", "put")


@cache
def document() -> dict[str, Any]:
    return _without_nullable(json.loads(DOCUMENT.read_text()))


def _without_nullable(schema: Any) -> Any:
    """OpenAPI 3.0 says `nullable`; JSON Schema adds null to the types."""
    if isinstance(schema, list):
        return [_without_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _without_nullable(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


def operations() -> list[tuple[str, str]]:
    """Every method and path of the document."""
    return [
        (method.upper(), path) for path, item in document()["paths"].items() for method in item if method in METHODS
    ]


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))), path) for path in paths]


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """The method and path template in the document that a request is about."""
    plain = path.partition("?")[0]
    for pattern, template in _patterns():
        if pattern.fullmatch(plain) and method.lower() in document()["paths"][template]:
            return method, template
    return None


@cache
def _validator(method: str, template: str, status: int) -> "Validator | None":
    answer = document()["paths"][template][method.lower()]["responses"].get(str(status), {})
    content = answer.get("content", {}).get("application/json")
    if content is None:
        return None
    schema = {**content["schema"], "components": document()["components"]}
    return validator_of(schema)


def complaints(method: str, path: str, status: int, body: Any) -> list[str]:
    """What an answer has that the document does not allow; nothing for paths and states that it does not know."""
    found = operation_of(method, path)
    validator = None if found is None else _validator(*found, status)
    if validator is None:
        return []
    errors = validator.iter_errors(_with_teams_of_children(body))
    return [f"{method} {path}: {error.json_path} {error.message[:200]}" for error in errors]


def _with_teams_of_children(body: Any) -> Any:
    """The children of a managed type name no team (recorded: `00-create-team-event-type-managed`), which the document
    demands: the one place where it and the recordings disagree."""
    family = body.get("data")
    if not isinstance(family, list) or not family or "parentEventTypeId" not in family[0]:
        return body
    team = {"teamId": 1, "team": {"id": 1}}
    return body | {"data": [one | team if one["teamId"] is None else one for one in family]}
