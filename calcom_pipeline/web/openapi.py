"""`/openapi.json`: the OpenAPI 3.1 document, made of the declarations that requests are checked by."""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from calcom_pipeline import __version__
from calcom_pipeline.web import answers
from calcom_pipeline.web.operations import Operation
from calcom_pipeline.web.problems import KEY_HEADER, MEDIA_TYPE

_REF = "#/components/schemas/{model}"
#: What any operation may answer: token, parameters, limits, Cal.com, a bound.
_ALWAYS = (401, 422, 429, 431, 502, 503, 504)
_OF_BODIES = (400, 413, 415)
#: An encoded slash is a slash, so that what was meant for a uid may be another address, or none.
_OF_ADDRESSES = (404, 405)
_SAID = {
    400: "The request cannot be read.",
    401: "A valid bearer token is needed.",
    404: "There is no such thing.",
    405: "This address does not take this method.",
    409: "Something else holds this time.",
    413: "The body is too large.",
    415: "The body has to be JSON.",
    422: "All that is wrong with the request.",
    429: "No request left for now; see Retry-After.",
    431: "The headers are too large.",
    502: "Cal.com refuses the key or answers oddly.",
    503: "Away for now; see Retry-After.",
    504: "Not in time. With a key: nobody knows yet, ask again with it.",
}
_KEY_PATTERN = "^[A-Za-z0-9_.:-]{8,200}$"


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of these operations."""
    used: list[type[BaseModel]] = [answers.Problem]
    for operation in operations:
        used += [model for model in (operation.answer, operation.query, operation.body) if model is not None]
        used += [operation.addressed] if operation.addressed is not None else []
    _, found = models_json_schema([(model, "validation") for model in dict.fromkeys(used)], ref_template=_REF)
    schemas = cast("dict[str, dict[str, Any]]", found["$defs"])
    taken_apart = {m.__name__ for o in operations for m in (o.query, o.addressed) if m is not None}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "calcom_pipeline",
            "version": __version__,
            "description": "Free times and bookings, cached and guarded. Names are Cal.com's where it has them.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in taken_apart},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(operation: Operation, schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    parameters = [*_parameters(operation.addressed, "path", schemas), *_parameters(operation.query, "query", schemas)]
    if operation.keyed:
        parameters.append(
            {
                "name": KEY_HEADER,
                "in": "header",
                "required": False,
                "description": "Names this request, so that it may come twice and is done once.",
                "schema": {"type": "string", "pattern": _KEY_PATTERN},
            }
        )
    entry: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.part],
        "parameters": parameters,
        "responses": _responses(operation),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(model=operation.body.__name__)}}}
        entry["requestBody"] = {"required": True, "content": content}
    return entry


def _parameters(model: type[BaseModel] | None, where: str, schemas: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = schemas[model.__name__]
    found: list[dict[str, Any]] = []
    for name, given in cast("dict[str, dict[str, Any]]", schema.get("properties", {})).items():
        described = {key: value for key, value in given.items() if key not in ("title", "description")}
        parameter: dict[str, Any] = {
            "name": name,
            "in": where,
            "required": name in schema.get("required", []),
            "description": given.get("description", ""),
            "schema": described,
        }
        if described.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        found.append(parameter)
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": _REF.format(model=operation.answer.__name__)}}}
    responses: dict[str, Any] = {str(operation.status): {"description": operation.summary, "content": answer}}
    if operation.aged:
        responses[str(operation.status)]["headers"] = {
            "ETag": _header("Tells two answers apart; send it as If-None-Match."),
            "Age": _header("Seconds since the oldest part was read from Cal.com."),
            "Calcom-Stale": _header("`true` where Cal.com could not be asked and older knowledge had to do."),
        }
        responses["304"] = {"description": "Nothing has changed since the answer with this ETag."}
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=answers.Problem.__name__)}}}
    codes = {*_ALWAYS, *operation.problems}
    codes |= set(_OF_BODIES if operation.body is not None else ())
    codes |= set(_OF_ADDRESSES if operation.addressed is not None else ())
    return responses | {str(code): {"description": _SAID[code], "content": problem} for code in sorted(codes)}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
