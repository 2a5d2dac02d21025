"""Booking fields: how Cal.com stores them, how version 2024-06-14 shows them, and what a client may send.

Facts: fact sheet 4.5, recordings `00-create-event-type-*` and `08-version-event-types-none`.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.json_types import Json, as_stored, is_list

_WITH_OPTIONS: Final = frozenset({"select", "multiselect", "checkbox", "radio"})
_CHOICES: Final = frozenset({"multiselect", "checkbox", "radio"})
DEFAULT_SLUGS: Final = frozenset({"title", "location", "notes", "guests", "rescheduleReason"})
_SYSTEM_SOURCES: Final = [{"id": "default", "type": "default", "label": "Default"}]
_USER_SOURCES: Final = [{"id": "user", "type": "user", "label": "User", "fieldRequired": True}]


def _text_field(name: str, *, required: bool, label: str | None = None) -> Json:
    field: Json = {"name": name, "type": "text", "required": required, "placeholder": ""}
    return field | {"label": label or ""}


def _stored(**values: Any) -> Json:
    return as_stored(values)


def _system_field(name: str, kind: str, label: str, **more: Any) -> Json:
    base = {"name": name, "type": kind, "defaultLabel": label, "sources": _SYSTEM_SOURCES}
    return _stored(**({"editable": "system-but-optional", "required": False} | base | more))


def name_field() -> Json:
    """The booker's name, in one input or split in two."""
    full = {"name": "fullName", "type": "text", "label": "your_name", "required": True}
    split = [_text_field("firstName", required=True), _text_field("lastName", required=False)]
    variants = {"fullName": {"fields": [full]}, "firstAndLastName": {"fields": split}}
    return _system_field(
        "name", "name", "your_name", editable="system", required=True, variant="fullName",
        variantsConfig={"variants": variants},
    )  # fmt: skip


def email_field() -> Json:
    """The booker's address."""
    return _system_field("email", "email", "email_address", required=True)


def location_field() -> Json:
    """Where it takes place, if there is a choice."""
    inputs = {
        "phone": {"type": "phone", "required": True, "placeholder": ""},
        "somewhereElse": {"type": "text", "required": True, "placeholder": ""},
        "attendeeInPerson": {"type": "address", "required": True, "placeholder": ""},
    }
    return _system_field(
        "location", "radioInput", "location", editable="system", getOptionsAt="locations", optionsInputs=inputs,
        hideWhenJustOneOption=True,
    )  # fmt: skip


def _trailing_fields() -> list[Json]:
    views = [{"id": "reschedule", "label": "Reschedule View"}]
    return [
        _system_field(
            "title", "text", "what_is_this_meeting_about", hidden=True, required=True, defaultPlaceholder=""
        ),
        _system_field("notes", "textarea", "additional_notes", defaultPlaceholder="share_additional_notes"),
        _system_field("guests", "multiemail", "additional_guests", hidden=False, defaultPlaceholder="email"),
        _system_field(
            "rescheduleReason", "textarea", "reason_for_reschedule", views=views,
            defaultPlaceholder="reschedule_placeholder",
        ),
    ]  # fmt: skip


def default_fields() -> list[Json]:
    """The fields of a type for which none were sent."""
    return [name_field(), email_field(), location_field(), *_trailing_fields()]


def stored_fields(given: list[Json] | None, *, hide_guests: bool | None = None) -> list[Json]:
    """The stored list for what a client sent: its fields between and instead of the default ones."""
    sent = [dict(field) for field in given or []]
    if hide_guests is not None:
        guests = next((field for field in sent if field.get("slug") == "guests"), None)
        if guests is None:
            sent.append({"slug": "guests", "hidden": hide_guests})
        else:
            guests["hidden"] = hide_guests
    system: dict[str, Json] = {}
    own: list[Json] = []
    for field in sent:
        stored, is_system = _store(field)
        if is_system:
            system[stored["name"]] = stored
        else:
            own.append(stored)
    before = [system.get(field["name"], field) for field in (name_field(), email_field(), location_field())]
    after = [system.get(field["name"], field) for field in _trailing_fields()]
    phone = [system["attendeePhoneNumber"]] if "attendeePhoneNumber" in system else []
    fields = [*before, *phone, *own, *after]
    _demand_contact(fields)
    return fields


def _demand_contact(fields: list[Json]) -> None:
    by_name = {field["name"]: field for field in fields}
    email, phone = by_name["email"], by_name.get("attendeePhoneNumber")
    if any(field is not None and field["required"] and not field.get("hidden") for field in (email, phone)):
        return
    raise bad_request(
        "Booking fields validation failed: visible and required email or visible and required attendee phone field "
        "is needed."
    )


def check_email_visible(fields: list[Json]) -> None:
    """A personal type's e-mail field must be required and visible; raises 400."""
    email = next((field for field in fields if field["name"] == "email"), None)
    if email is None or not email["required"] or email.get("hidden"):
        raise bad_request("checkIsEmailUserAccessible - Email booking field must be required and visible")


def _given(field: Json, *names: str) -> Json:
    return {name: field[name] for name in names if field.get(name) is not None}


def _store(field: Json) -> tuple[Json, bool]:
    kind, slug = field.get("type"), field.get("slug")
    shared = _given(field, "label", "placeholder") | {"disableOnPrefill": bool(field.get("disableOnPrefill"))}
    if kind in {"name", "splitName"}:
        return _store_name(field), True
    if kind == "email":
        more = {"required": bool(field.get("required")), "hidden": bool(field.get("hidden"))}
        return as_stored(email_field() | shared | more), True
    if kind == "phone" and slug == "attendeePhoneNumber":
        more = {"required": bool(field.get("required")), "hidden": bool(field.get("hidden"))}
        return as_stored(_system_field("attendeePhoneNumber", "phone", "phone_number") | shared | more), True
    if slug in DEFAULT_SLUGS and kind is None:
        return _store_default(field, shared), True
    return _store_own(field), False


def _store_name(field: Json) -> Json:
    stored = name_field()
    variants: Json = stored["variantsConfig"]["variants"]
    if field["type"] == "splitName":
        first, last = variants["firstAndLastName"]["fields"]
        first |= {"label": field.get("firstNameLabel") or "", "placeholder": field.get("firstNamePlaceholder") or ""}
        last |= {"label": field.get("lastNameLabel") or "", "placeholder": field.get("lastNamePlaceholder") or ""}
        last["required"] = bool(field.get("lastNameRequired"))
        stored["variant"] = "firstAndLastName"
    else:
        variants["fullName"]["fields"][0] |= _given(field, "label", "placeholder")
        stored |= _given(field, "label", "placeholder")
    return as_stored(stored | {"disableOnPrefill": bool(field.get("disableOnPrefill"))})


def _store_default(field: Json, shared: Json) -> Json:
    if field["slug"] == "location":
        return as_stored(location_field() | _given(field, "label"))
    base = next(one for one in _trailing_fields() if one["name"] == field["slug"])
    more = {"required": bool(field.get("required")), "hidden": bool(field.get("hidden"))}
    return as_stored(base | shared | more)


def _store_own(field: Json) -> Json:
    kind = field["type"]
    stored: Json = {
        "name": field["slug"],
        "type": kind,
        "label": field.get("label") or "",
        "sources": _USER_SOURCES,
        "editable": "user",
        "required": bool(field.get("required")),
        "disableOnPrefill": bool(field.get("disableOnPrefill")),
        "hidden": bool(field.get("hidden")),
    }
    if kind not in _CHOICES and kind != "boolean" and field.get("placeholder") is not None:
        stored["placeholder"] = field["placeholder"]
    if kind in _WITH_OPTIONS:
        stored["options"] = [{"label": option, "value": option} for option in is_list(field.get("options")) or []]
    if kind in {"boolean", "url"}:
        stored["labelAsSafeHtml"] = f"<p>{stored['label']}</p>\n"
    return as_stored(stored)


def shown_fields(fields: list[Json], *, with_hidden: bool) -> list[Json]:
    """The fields as version 2024-06-14 answers them; lists leave hidden ones out, a read by id does not."""
    shown = [_shown(field) for field in fields]
    return shown if with_hidden else [field for field in shown if field.get("hidden") is not True]


def _shown(field: Json) -> Json:
    if not field["editable"].startswith("system"):
        return _shown_own(field)
    name = field["name"]
    if name == "name":
        return _shown_name(field)
    shown: Json = {"isDefault": True, "type": field["type"], "slug": name, "required": field["required"]}
    if name == "location":
        return shown | {"hidden": bool(field.get("hidden"))} | _given(field, "label")
    return shown | _tail(field)


def _tail(field: Json) -> Json:
    flags = {"disableOnPrefill": bool(field.get("disableOnPrefill")), "hidden": bool(field.get("hidden"))}
    return _given(field, "label", "placeholder") | flags


def _shown_name(field: Json) -> Json:
    variants: Json = field["variantsConfig"]["variants"]
    if field["variant"] == "fullName":
        full = variants["fullName"]["fields"][0]
        shown: Json = {"isDefault": True, "type": "name", "slug": "name", "required": field["required"]}
        shown |= _given(full, "label", "placeholder")
        return shown | {"disableOnPrefill": bool(field.get("disableOnPrefill"))}
    first, last = variants["firstAndLastName"]["fields"]
    return {
        "isDefault": True,
        "type": "splitName",
        "slug": "splitName",
        "firstNameLabel": first["label"],
        "firstNamePlaceholder": first["placeholder"],
        "lastNameLabel": last["label"],
        "lastNamePlaceholder": last["placeholder"],
        "lastNameRequired": last["required"],
        "disableOnPrefill": bool(field.get("disableOnPrefill")),
    }


def _shown_own(field: Json) -> Json:
    kind = field["type"]
    shown: Json = {"isDefault": False, "type": kind, "slug": field["name"], "label": field["label"]}
    shown["required"] = field["required"]
    options = [option["value"] for option in is_list(field.get("options")) or []]
    if kind == "radio":
        shown["options"] = options
    shown |= _given(field, "placeholder") | {"disableOnPrefill": bool(field.get("disableOnPrefill"))}
    if kind in _WITH_OPTIONS and kind != "radio":
        shown["options"] = options
    return shown | {"hidden": bool(field.get("hidden"))}
