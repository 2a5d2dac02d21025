"""Optional signatures of our requests, for deployments that put a verifying gateway before Cal.com.

`X-Pipeline-Timestamp` holds Unix seconds, `X-Pipeline-Signature-256` the lower-case hex HMAC-SHA256 of
`<timestamp>.<method>.<path with query>.<body bytes>` with the shared secret. A gateway should refuse old timestamps.
"""

import hashlib
import hmac

from calcom_pipeline.domain.redaction import know_secrets

TIMESTAMP_HEADER = "X-Pipeline-Timestamp"
SIGNATURE_HEADER = "X-Pipeline-Signature-256"


class Signer:
    """Signs with one secret, which is never shown."""

    def __init__(self, secret: str) -> None:
        know_secrets([secret])
        self._secret = secret.encode()

    def headers(self, method: str, path: str, body: bytes, *, unix_seconds: int) -> dict[str, str]:
        """The two headers of a request. `path` is what the server sees, its query included."""
        message = f"{unix_seconds}.{method}.{path}.".encode() + body
        signature = hmac.new(self._secret, message, hashlib.sha256).hexdigest()
        return {TIMESTAMP_HEADER: str(unix_seconds), SIGNATURE_HEADER: signature}
