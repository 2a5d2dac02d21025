"""A receiver of deliveries as small as one can be: it takes what one of its secrets has signed, and remembers."""

import hashlib
import hmac
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class HookReceiver:
    """`taken` and `refused` are bodies in the order of their arrival."""

    secrets: set[str] = field(default_factory=set)
    url: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)

    def deliver(self, body: bytes, signature: str) -> int:
        """The status that a delivery is answered with."""
        right = any(
            hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), signature)
            for secret in self.secrets
        )
        (self.taken if right else self.refused).append(json.loads(body))
        return 200 if right else 401


@contextmanager
def hook_receiver(*secrets: str) -> Generator[HookReceiver]:
    """One that listens as long as the block."""
    receiver = HookReceiver(set(secrets))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.deliver(body, self.headers.get("X-Cal-Signature-256", "")))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
