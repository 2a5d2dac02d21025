"""Our own receiver from outside: a signed test delivery to its public address, as Cal.com would send one."""

import hashlib
import hmac
import json
from datetime import datetime

import requests

from calcom_pipeline.domain.webhooks.models import PAYLOAD_VERSION

_OK, _REDIRECTS = 200, 300
# Several processes may listen there, and each connection meets one of them: all of a few are met by so many.
_CONNECTIONS = 10


class HttpReceiver:
    """The receiver at an address. `seconds` is the longest wait for connecting and for each part of the answer."""

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url = url
        self._seconds = seconds

    def takes(self, secret: str, *, now: datetime) -> bool:
        """Whether test deliveries (`PING`) signed with the secret are all answered 2xx; redirects are not followed.

        False where nobody answers, too. Fact sheet 7.3; the body is compact JSON and names no booking.
        """
        created = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sample = {"triggerEvent": "PING", "createdAt": created, "payload": {"type": "Test"}}
        body = json.dumps(sample, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Cal-Signature-256": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
            "X-Cal-Webhook-Version": PAYLOAD_VERSION,
        }
        return all(self._is_taken(body, headers) for _ in range(_CONNECTIONS))

    def _is_taken(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            with requests.post(
                self._url, data=body, headers=headers, timeout=self._seconds, allow_redirects=False, stream=True
            ) as answer:  # streamed: what it says beside the status is not read
                return _OK <= answer.status_code < _REDIRECTS
        except requests.RequestException:
            return False
