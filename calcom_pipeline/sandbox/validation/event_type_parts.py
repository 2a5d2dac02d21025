"""Rules for the parts of an event type that Cal.com checks with validators of its own: locations and booking fields.

Those validators throw a sentence instead of collecting errors.
"""

from collections.abc import Callable
from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.validation.rules import (
    ARRAY,
    BOOLEAN,
    STRING,
    URL,
    Rule,
    is_in,
    is_phone,
)

INTEGRATIONS: Final = (
    "cal-video", "google-meet", "zoom", "whereby-video", "whatsapp-video", "webex-video", "telegram-video", "tandem",
    "sylaps-video", "skype-video", "sirius-video", "signal-video", "shimmer-video", "salesroom-video", "roam-video",
    "riverside-video", "ping-video", "office365-video", "mirotalk-video", "jitsi", "jelly-video",
    "jelly-conferencing", "huddle", "facetime-video", "element-call-video", "eightxeight-video", "discord-video",
    "demodesk-video", "campfire-video",
)  # fmt: skip
_PHONE = Rule("isPhoneNumber", "{property} must be a valid phone number", is_phone)
_FILLED = Rule(
    "minLength",
    "{property} must be longer than or equal to 1 characters",
    lambda value: isinstance(value, str) and bool(value),
)
_PUBLIC = ("public", (BOOLEAN,))
_Members = tuple[tuple[str, tuple[Rule, ...]], ...]
_LOCATIONS: Final[dict[str, _Members]] = {
    "address": (("address", (_FILLED, STRING)), _PUBLIC),
    "link": (("link", (URL,)), _PUBLIC),
    "integration": (("integration", (is_in(INTEGRATIONS),)),),
    "phone": (("phone", (_PHONE,)), _PUBLIC),
    "attendeeAddress": (),
    "attendeePhone": (),
    "attendeeDefined": (),
    "organizersDefaultApp": (),
}
_SLUG: tuple[str, tuple[Rule, ...]] = ("slug", (STRING,))
_LABEL: tuple[str, tuple[Rule, ...]] = ("label", (STRING,))
_REQUIRED: tuple[str, tuple[Rule, ...]] = ("required", (BOOLEAN,))
_OPTIONS: tuple[str, tuple[Rule, ...]] = ("options", (ARRAY,))
_OWN: _Members = (_SLUG, _LABEL, _REQUIRED)
_FIELDS: Final[dict[str, _Members]] = {
    "name": (),
    "splitName": (),
    "email": (_REQUIRED,),
    **dict.fromkeys(("phone", "address", "text", "number", "textarea", "multiemail", "boolean", "url"), _OWN),
    **dict.fromkeys(("select", "multiselect", "checkbox", "radio"), (*_OWN, _OPTIONS)),
    **dict.fromkeys(("title", "location", "notes", "guests", "rescheduleReason"), (_SLUG,)),
}
_OPTIONAL: _Members = (
    ("placeholder", (STRING,)),
    ("disableOnPrefill", (BOOLEAN,)),
    ("hidden", (BOOLEAN,)),
)
_TYPELESS = frozenset({"title", "notes", "guests", "rescheduleReason", "location"})
_SLUGLESS = frozenset({"name", "splitName", "email"})


def _wrong(found: Json, members: _Members) -> str:
    texts = [rule.message(name) for name, rules in members for rule in rules if not rule.passes(found.get(name))]
    return ", ".join(texts)


def check_locations(value: Any, *, for_team: bool) -> None:
    """Raises 400 for locations that Cal.com refuses."""
    members = _filled_list(value, "locations", "location")
    for member in members:
        location = is_object(member)
        if location is None:
            raise bad_request("Each object in 'locations' must be an object.")
        kind = location.get("type")
        if not kind:
            raise bad_request("Each object in 'locations' must have a 'type' property.")
        rules = _LOCATIONS.get(kind) if isinstance(kind, str) else None
        if rules is None or (kind == "organizersDefaultApp" and not for_team):
            raise bad_request(
                f"Unsupported location type '{kind}'. Valid types are address, link, integration, and phone."
            )
        wrong = _wrong(location, rules)
        if wrong:
            raise bad_request(f"Validation failed for {kind} location: {wrong}")


def _filled_list(value: Any, plural: str, singular: str) -> list[Any]:
    members = is_list(value)
    if members is None:
        raise bad_request(f"'{plural}' must be an array.")
    if not members:
        raise bad_request(f"'{plural}' must contain at least 1 {singular}.")
    return members


def check_booking_fields(value: Any) -> None:
    """Raises 400 for booking fields that Cal.com refuses."""
    seen: list[Any] = []
    for member in _filled_list(value, "bookingFields", "booking field"):
        field = is_object(member) or {}
        kind, slug = field.get("type"), field.get("slug")
        needs_type, needs_slug = slug not in _TYPELESS, kind not in _SLUGLESS
        _check_names(kind, slug, needs_type=needs_type, needs_slug=needs_slug)
        if slug in seen:
            raise bad_request(f"Duplicate bookingFields slug '{slug}' found. All bookingFields slugs must be unique.")
        if needs_slug:
            seen.append(slug)
        _check_field(field, kind if needs_type else slug, what="type" if needs_type else "slug")


def _check_names(kind: Any, slug: Any, *, needs_type: bool, needs_slug: bool) -> None:
    if needs_type and not kind:
        raise bad_request(
            "All booking fields except ones with slug equal to title, notes, guests, rescheduleReason and location "
            "must have a 'type' property."
        )
    if needs_slug and not slug:
        raise bad_request(
            "Each booking field except ones with type equal to name, splitName, email must have a 'slug' property."
        )


def _check_field(field: Json, name: Any, *, what: str) -> None:
    members = _FIELDS.get(name) if isinstance(name, str) else None
    if members is None or (what == "type" and name in _TYPELESS):
        raise bad_request(f"Unsupported booking field {what} '{name}'.")
    optional = tuple((key, rules) for key, rules in _OPTIONAL if field.get(key) is not None)
    wrong = _wrong(field, (*members, *optional))
    if wrong:
        raise bad_request(f"Validation failed for {field.get('type') or field.get('slug')} booking field: {wrong}")


def throwing(check: Callable[[Any], None]) -> Rule:
    """A rule around a validator that throws; it never fails by itself."""

    def passes(value: Any) -> bool:
        check(value)
        return True

    return Rule("throws", "", passes)
