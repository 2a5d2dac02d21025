"""What Cal.com's shared core says about a new booking's answers: the checks behind those of the API, before any time.

Facts: fact sheet 10 11, 13 to 15, 18, 19. Guess, from the published source, where no row shows it: which fields
are looked at, in which order, and that a missing one ends the walk.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import internal_error, zod
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.event_types.fields import default_fields
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.validation.rules import is_email, is_phone

_PHONE: Final = "attendeePhoneNumber"
_REQUIRED: Final = "error_required_field"
_NO_ADDRESS: Final = "email_validation_error"


def check_core(event_type: SandboxEventType, attendee: Json, guests: list[str] | None, metadata: Json) -> None:
    """Raises 400 with everything that the core's schema finds wrong, 500 for what it stumbles over."""
    phone = attendee.get("phoneNumber")
    if phone and not isinstance(phone, str):
        raise internal_error()  # 15: a number has none of a text's methods
    issues = [
        (f"metadata.{key}", f"Expected string, received {_kind(value)}")
        for key, value in metadata.items()
        if not isinstance(value, str)
    ]
    given: Json = {"name": attendee["name"], "email": attendee.get("email"), _PHONE: phone, "guests": guests}
    for field in event_type.booking_fields or default_fields():
        name: str = field["name"]
        if name not in given:
            continue
        required = bool(field["required"]) and not field.get("hidden")
        if required and not given[name] and name != "email":  # whoever gives a number alone gets an address made of it
            issues.append(("responses", f"{{{name}}}{_REQUIRED}"))
            break
        wrong = _wrong(field, given[name])
        if wrong is not None:
            issues.append(("responses", f"{{{name}}}{wrong}"))
    if issues:
        raise zod(*issues)


def _kind(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "number"


def _wrong(field: Json, value: Any) -> str | None:
    """What is wrong with an answer to one of the system's fields."""
    if not value:
        return None
    if field["name"] == "name":
        return None if value.strip() else "Invalid string"
    if field["name"] == "email":
        return None if is_email(value) else _NO_ADDRESS
    if field["name"] == _PHONE:
        return "invalid_number" if not field.get("hidden") and value.strip() and not is_phone(value) else None
    return _wrong_guests(value)


def _wrong_guests(guests: list[str]) -> str | None:
    if not any(guests):  # nothing but empty inputs
        return None
    if not all(is_email(guest) for guest in guests):
        return _NO_ADDRESS
    return "duplicate_email" if len(set(guests)) < len(guests) else None
