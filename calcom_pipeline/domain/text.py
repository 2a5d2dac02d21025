"""Small rules about text: what a hash covers, how a number of things is called."""

import hashlib
import json
import re
from typing import Any


def content_hash(value: Any) -> str:
    """A hash of a JSON value that does not depend on the order of keys. Hex, 32 characters."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(canonical.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def short_hash(secret: str) -> str:
    """A name for a secret that tells nothing about it: 12 hex characters of SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def snake_case(name: str) -> str:
    """`OutcomeUnknown` as `outcome_unknown`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def counted(number: int, one: str, several: str = "") -> str:
    """`1 service`, `1,200 services`; `several` is `one` and an s unless it is given."""
    return f"1 {one}" if number == 1 else f"{number:,} {several or one + 's'}"
