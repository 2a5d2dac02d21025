"""How a variable's text becomes a value, and what is refused. No message quotes what was given."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from calcom_pipeline.domain.services.fields import FIELD_NAMES
from calcom_pipeline.domain.zones import canonical_zone


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def comma_list(value: object) -> object:
    """`a,b` as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _api_root(value: object) -> object:
    """`https://host`, `https://host/` and `https://host/v2/` all mean the same API."""
    if not isinstance(value, str):
        return value
    root = value.strip().rstrip("/")
    return root if root.endswith("/v2") else f"{root}/v2"


def _without_userinfo(value: str) -> str:
    """A user and a password there would be sent in the place of the key."""
    if "@" in value.split("/")[2]:
        raise ValueError("must not hold a user or a password; Cal.com knows you by CALCOM_API_KEY")
    return value


def known_zone(value: str) -> str:
    """The zone by the name that IANA gives it now."""
    known = canonical_zone(value)
    if known is None:
        raise ValueError("is no IANA time zone, such as Europe/Berlin")
    return known


def pairs(value: object) -> object:
    """`a=b,c=d` as a mapping."""
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): side.strip() for name, _, side in parts}
    return value


def fields_only(value: dict[str, Literal["local", "remote"]]) -> dict[str, Literal["local", "remote"]]:
    """Refuse what is no field of a service."""
    unknown = sorted(set(value) - set(FIELD_NAMES))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among the fields {', '.join(FIELD_NAMES)}")
    return value


def address_of(server: str, schemes: str) -> AfterValidator:
    """Accepts the address of such a server; what was given is not quoted, it may hold a password."""

    def checked(value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(rf"({schemes})://", value.get_secret_value()):
            raise ValueError(f"is no address of {server}, such as {schemes.split('|', maxsplit=1)[0]}://user@host")
        return value

    return AfterValidator(checked)


Optional_ = BeforeValidator(_blank_is_unset)
PostgresUrl = Annotated[SecretStr | None, address_of("PostgreSQL", r"postgresql|postgres|postgresql\+\w+"), Optional_]
RedisUrl = Annotated[SecretStr | None, address_of("Redis", "redis|rediss|unix"), Optional_]
Url = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/]+(/\S*)?$"),
    AfterValidator(_without_userinfo),
    BeforeValidator(_api_root),
]


def sentence(name: str, message: str) -> str:
    """What pydantic says about a setting, for a person; `name` is empty where it is about several."""
    message = re.sub(r"^(Value error|Assertion failed), ", "", message)
    return f"{name}: {message}" if name else message
