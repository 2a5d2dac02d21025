"""Signed deliveries, a server of any ASGI app in a thread, and ways to post to it."""

import hashlib
import hmac
import http.client
import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

SECRET = b"a-webhook-secret"


def signature(raw: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, raw, hashlib.sha256).hexdigest()


def delivery_body(uid: str | None = "u1", trigger: str = "BOOKING_CREATED", **payload: Any) -> bytes:
    """As Cal.com sends one, of now; compact, since it is."""
    named = {
        "startTime": "2027-03-01T08:00:00Z",
        "endTime": "2027-03-01T09:00:00Z",
        "eventTypeId": 3,
        "organizer": {"id": 7},
        "attendees": [{"email": "carol@example.org", "name": "Carol"}],
    }
    body = {"uid": uid} if uid else {}
    sent = {"triggerEvent": trigger, "createdAt": datetime.now(UTC).isoformat()}
    envelope = {**sent, "payload": {**named, **body, **payload}}
    return json.dumps(envelope, separators=(",", ":")).encode()


def post(url: str, raw: bytes, sign: str | None = "", *, timeout: float = 20) -> int:
    """Deliver; the status. `sign` empty: with our secret."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    headers = {"Content-Type": "application/json"}
    proof = signature(raw) if sign == "" else sign
    try:
        connection.request("POST", parts.path, raw, headers | ({"X-Cal-Signature-256": proof} if proof else {}))
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def served(app: Starlette) -> Generator[str]:
    """The app on a free port, as long as the block; its root."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
