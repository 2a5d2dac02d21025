"""Who calls: reading credentials, naming the bucket they are counted in, and the guards of the routes.

Facts: fact sheet section 1.2, recordings `07*` and `12*`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calcom_pipeline.sandbox.core.errors import forbidden, unauthorized
from calcom_pipeline.sandbox.core.times import moment_of
from calcom_pipeline.sandbox.http.call import Guard, SandboxCall
from calcom_pipeline.sandbox.http.limiter import ADDRESS_LIMIT, KEY_LIMIT, TOKEN_LIMIT, Limit
from calcom_pipeline.sandbox.state.model import ApiKey, User
from calcom_pipeline.sandbox.state.world import World, fingerprint, is_expired

KEY_PREFIX = "cal_"
_NO_METHOD = (
    "ApiAuthStrategy - No authentication method provided. Either pass an API key as 'Bearer' header or OAuth client "
    "credentials as 'x-cal-secret-key' and 'x-cal-client-id' headers"
)
_NO_PERMISSION = (
    "PermissionsGuard - no authentication provided. Provide either authorization bearer token containing managed "
    "user access token or oAuth client id in 'x-cal-client-id' header."
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings: a key (`cal_…`), another bearer, a platform client's id, or nothing but its address."""

    kind: Literal["key", "token", "client", "address"]
    text: str

    @property
    def who(self) -> str:
        """The bucket's owner, without the secret."""
        return f"{self.kind}:{fingerprint(self.text)}"


def read_credentials(call: SandboxCall) -> Credentials:
    """First match wins: the Authorization header, the client id, the address."""
    bearer = call.headers.get("authorization", "").replace("Bearer ", "", 1)
    if bearer:
        return Credentials("key" if bearer.startswith(KEY_PREFIX) else "token", bearer)
    client_id = call.headers.get("x-cal-client-id")
    if client_id:
        return Credentials("client", client_id)
    return Credentials("address", call.headers.get("cf-connecting-ip") or call.client)


def limits_for(world: World, credentials: Credentials, fallback: Limit | None) -> Sequence[Limit]:
    """The limits that count a caller. `fallback` replaces the default of keys; raises 401 for an unknown key."""
    if credentials.kind == "key":
        key = world.key_of(credentials.text)
        if key is None:
            raise unauthorized("CustomThrottlerGuard - Invalid API Key")
        return key.limits or [fallback or Limit(hits=KEY_LIMIT)]
    if credentials.kind in {"token", "client"}:
        return [Limit(hits=TOKEN_LIMIT)]
    return [Limit(hits=ADDRESS_LIMIT)]


def guard(call: SandboxCall, kind: Guard, credentials: Credentials) -> User | None:
    """Lets a call pass as a user or as nobody; raises 401 or 403."""
    if kind is Guard.NONE:
        return _user_of(call, credentials, lenient=True)
    if kind is Guard.PERMISSION and credentials.kind == "address":
        raise forbidden(_NO_PERMISSION)
    if kind is Guard.PERMISSION and credentials.kind == "token":
        raise forbidden(f"PermissionsGuard - no oAuth client found for access token={credentials.text}")
    if credentials.kind == "address":
        if kind is Guard.OPTIONAL:
            return None
        raise unauthorized(_NO_METHOD)
    return _user_of(call, credentials)


def _user_of(call: SandboxCall, credentials: Credentials, *, lenient: bool = False) -> User | None:
    key = call.world.key_of(credentials.text) if credentials.kind == "key" else None
    if key is not None and not is_expired(key, moment_of(call.now).date()):
        return call.world.users[key.user_id]
    if lenient:
        return None
    raise unauthorized(_complaint(credentials, key))


def _complaint(credentials: Credentials, key: ApiKey | None) -> str:
    if credentials.kind == "client":
        return f"ApiAuthStrategy - oauth client - Client with ID {credentials.text} not found"
    if credentials.kind == "token":
        return "Invalid Access Token."
    expired = "expired" if key is not None else "not valid"
    return f"ApiAuthStrategy - api key - Your api key is {expired}"
