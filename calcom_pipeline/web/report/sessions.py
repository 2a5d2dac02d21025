"""Who has signed in: a name and an end, signed with a key that the token makes. No token stands in a cookie.

Nothing is kept here, so that any of several processes knows a session; a token that is taken away ends its sessions.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping

_PURPOSE = b"calcom-pipeline session"
_FORM = re.compile(
    r"(?P<claim>(?P<name>[a-z][a-z0-9_-]{0,30})\.(?P<end>\d{1,12})\.[\w-]{1,40})\.(?P<mark>[\w-]{43})", re.ASCII
)


class Sessions:
    """Makes and knows the values of cookies. `clock` is seconds since 1970."""

    def __init__(self, tokens: Mapping[str, str], *, seconds: float, clock: Callable[[], float]) -> None:
        self._keys = {name: hmac.digest(token.encode(), _PURPOSE, "sha256") for name, token in tokens.items()}
        self._clock = clock
        self.seconds = seconds

    def begin(self, name: str) -> str:
        """A session of whoever has the token of this name."""
        claim = f"{name}.{int(self._clock() + self.seconds)}.{secrets.token_urlsafe(8)}"
        return f"{claim}.{_mark(self._keys[name], claim)}"

    def holder_of(self, value: str) -> str:
        """Whose session it is; empty if it is over or was not made here."""
        found = _FORM.fullmatch(value)
        if found is None:
            return ""
        key = self._keys.get(found["name"], b"")
        genuine = hmac.compare_digest(_mark(key, found["claim"]), found["mark"])
        return found["name"] if key and genuine and int(found["end"]) > self._clock() else ""


def _mark(key: bytes, claim: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, claim.encode(), hashlib.sha256)).decode().rstrip("=")
