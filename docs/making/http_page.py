"""`reference/http-operations.md`: every operation of the HTTP API, out of its own OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from calcom_pipeline.facade import CalcomService
from calcom_pipeline.web.app import operations_of
from calcom_pipeline.web.openapi import document
from calcom_pipeline.web.options import WebOptions
from docs.making.markdown import code, page, prose, table

_INTRODUCTION = """Out of the OpenAPI 3.1 document that `calcom-pipeline serve` answers at `/openapi.json`. How tokens,
ages, idempotency and errors work is explained in [the HTTP API](../http-api.md). Beside these there are `GET /health`,
`GET /openapi.json`, `GET /metrics`, the report at `GET /`, and `POST /webhooks/calcom` for Cal.com's webhooks (with
`serve --all` also `/webhooks/calcom/NAME` for each described account)."""
_Schema = Mapping[str, Any]


def http_page() -> str:
    """The page."""
    told = openapi()
    operations = [
        _operation(method, path, operation)
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    ]
    models = [_model(name, schema) for name, schema in sorted(told["components"]["schemas"].items())]
    return page("Operations of the HTTP API", _INTRODUCTION, *operations, "## Bodies", *models)


def openapi() -> dict[str, Any]:
    """The document with all parts on. Nothing is asked of the service, so it is not opened."""
    return document(operations_of(object.__new__(CalcomService), WebOptions()))


def _operation(method: str, path: str, operation: _Schema) -> str:
    parts = [f"## {method.upper()} {path}", prose(operation["summary"]) + f" Part {code(operation['tags'][0])}."]
    if rows := [_parameter(each) for each in operation["parameters"]]:
        parts.append(table(["parameter", "value", "what it is"], rows))
    if "requestBody" in operation:
        parts.append(f"Body: {_kind(operation['requestBody']['content']['application/json']['schema'])}.")
    rows = [
        [status, _bodies(answer), prose(answer["description"])] for status, answer in operation["responses"].items()
    ]
    parts.append(table(["status", "body", "when"], rows))
    return "\n\n".join(parts)


def _parameter(given: _Schema) -> list[str]:
    place = "" if given["in"] == "query" else f" ({given['in']})"
    return [
        code(given["name"]) + place,
        _value(given["schema"], required=given["required"]),
        prose(given["description"]),
    ]


def _bodies(answer: _Schema) -> str:
    return ", ".join(_kind(content["schema"]) for content in answer.get("content", {}).values())


def _model(name: str, schema: _Schema) -> str:
    parts = [f"### {name}"]
    if about := schema.get("description"):
        parts.append(prose(" ".join(about.split())))
    properties = cast("Mapping[str, _Schema]", schema.get("properties", {}))
    required = schema.get("required", ())
    rows = [
        [code(field), _value(given, required=field in required), prose(given.get("description", ""))]
        for field, given in properties.items()
    ]
    parts.append(table(["field", "value", "what it is"], rows) if rows else f"Value: {_kind(schema)}.")
    return "\n\n".join(parts)


def _value(schema: _Schema, *, required: bool) -> str:
    words = [_kind(schema), *_bounds(schema)]
    if required:
        words.append("**required**")
    elif schema.get("default") is not None:
        words.append(f"default {code(str(schema['default']))}")
    return ", ".join(words)


def _kind(schema: _Schema) -> str:
    """What kind of value it is, in words; a link where it is a body of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(code(str(one)) for one in choices)
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _bounds(schema: _Schema) -> Iterator[str]:
    named = {"minimum": "at least", "maximum": "at most", "minLength": "from", "maxLength": "up to"}
    for name, words in named.items():
        if name in schema:
            yield f"{words} {schema[name]:,}" + (" characters" if "Length" in name else "")
