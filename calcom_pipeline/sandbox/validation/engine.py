"""class-validator's walk over an object: strip what is unknown, collect what is wrong, in its order and shape.

Two pipes use it. The global one answers a list of errors; the pipes of bookings and slots refuse unknown
properties and answer one sentence (fact sheet section 2.3, recordings `03t` to `03v`, `06c`, `07i` to `07l`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from calcom_pipeline.sandbox.core.errors import Enveloped, bad_request
from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.validation.rules import Rule

_MISSING: Any = object()
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class BodyField:
    """One property. `rules` stand in the order in which the answer lists them.

    A property that is marked as nested twice in Cal.com's source (`looks` 2) is walked twice, and every error inside
    it is listed twice.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    optional: bool = False
    convert: Convert | None = None
    nested: "Schema | None" = None
    each: bool = False
    looks: int = 1


@dataclass(frozen=True, slots=True)
class Schema:
    """One body or query: its properties in order, rules about the object as a whole, defaults it fills in."""

    fields: tuple[BodyField, ...]
    whole: tuple[tuple[str, Rule], ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()

    def names(self) -> frozenset[str]:
        """The properties that it knows."""
        return frozenset(field.name for field in self.fields)


def check(schema: Schema, raw: Json, *, forbid_unknown: bool = False) -> tuple[Json, list[Json]]:
    """The converted, stripped object, and class-validator's errors about it."""
    known = schema.names()
    unknown = [name for name in raw if name not in known]
    target: Json = dict(schema.defaults) | {name: value for name, value in raw.items() if name in known}
    for field in schema.fields:
        if field.convert is not None and field.name in target:
            target[field.name] = field.convert(target[field.name])
    shown = raw | target if forbid_unknown else target
    errors: list[Json] = []
    if forbid_unknown:
        errors = [_unknown_error(shown, name) for name in unknown]
    for field in schema.fields:
        error = _field_error(field, target, shown, forbid_unknown=forbid_unknown)
        if error is not None:
            errors.append(error)
    errors += [_error(shown, name, _MISSING, [rule], []) for name, rule in schema.whole if not rule.check(target)]
    return target, errors


def _unknown_error(target: Json, name: str) -> Json:
    rule = Rule("whitelistValidation", f"property {name} should not exist", lambda _: False)
    return _error(target, name, target.get(name), [rule], [])


def _field_error(field: BodyField, target: Json, shown: Json, *, forbid_unknown: bool) -> Json | None:
    value = target.get(field.name, _MISSING)
    if field.optional and (value is _MISSING or value is None):
        return None
    plain = None if value is _MISSING else value
    failed = [rule for rule in field.rules if not rule.passes(plain)]
    children: list[Json] = []
    if field.nested is not None and plain is not None:
        clean, children, wrong = _nested(field, field.nested, plain, forbid_unknown=forbid_unknown)
        target[field.name] = value = clean
        failed += wrong
    if not failed and not children:
        return None
    return _error(shown, field.name, value, failed, children)


def _nested(
    field: BodyField, schema: Schema, value: Any, *, forbid_unknown: bool
) -> tuple[Any, list[Json], list[Rule]]:
    """The member cleaned, the errors inside it, and the rule that it breaks itself if nothing can be inside."""
    found = is_object(value)
    if found is not None:
        clean, children = check(schema, found, forbid_unknown=forbid_unknown)
        return clean, children * field.looks, []
    members = is_list(value)
    if members is None:
        return value, [], [_not_nested(field)]
    cleaned: list[Any] = []
    children: list[Json] = []
    for index, member in enumerate(members):
        clean, wrong, failed = _nested(field, schema, member, forbid_unknown=forbid_unknown)
        cleaned.append(clean)
        if wrong or failed:
            children.append(_error(members, str(index), clean, failed, wrong))
    return cleaned, children, []


def _not_nested(field: BodyField) -> Rule:
    prefix = "each value in " if field.each else ""
    text = f"{prefix}nested property {field.name} must be either object or array"
    return Rule("nestedValidation", text, lambda _: False)


def _error(target: Any, name: str, value: Any, failed: list[Rule], children: list[Json]) -> Json:
    error: Json = {"target": target}
    if value is not _MISSING:
        error["value"] = value
    error |= {"property": name, "children": children}
    if failed:
        error["constraints"] = {rule.name: rule.message(name) for rule in failed}
    return error


def clean(schema: Schema, raw: Any) -> Json:
    """The global pipe: unknown properties vanish; raises 400 with `details.errors` if something is wrong."""
    found, errors = check(schema, is_object(raw) or {})
    if errors:
        raise Enveloped(400, "Bad Request Exception", details={"errors": errors})
    return found


def clean_strictly(schema: Schema, raw: Any) -> Json:
    """The pipes of bookings and slots: an unknown property is an error; raises 400 with one sentence."""
    if not isinstance(raw, dict):
        if isinstance(raw, list):  # an array is an object to JavaScript, with no known property
            raw = {}
        else:
            raise bad_request("Body should be an object" if raw else "Body is required")
    found, errors = check(schema, cast("Json", raw), forbid_unknown=True)
    if errors:
        raise bad_request(sentence(errors))
    return found


def sentence(errors: list[Json]) -> str:
    """`<property> property is wrong,<texts> ` of every error, joined with `, `."""
    parts: list[str] = []
    for error in errors:
        texts = ", ".join(error.get("constraints", {}).values())
        children: list[Json] = error["children"]
        parts.append(f"{error['property']} property is wrong,{texts} {sentence(children) if children else ''}")
    return ", ".join(parts)
