"""The HTTP API as its callers meet it: a real server on loopback, and a client that checks answers by the document."""

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from calcom_pipeline.settings import Settings
from calcom_pipeline.web.app import build_app
from calcom_pipeline.web.options import WebOptions
from calcom_pipeline.web.serving import listening, server_config
from tests.support.json_schemas import validator_of

_START_SECONDS = 20.0
_REQUEST_SECONDS = 60.0


@dataclass(frozen=True)
class Heard:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def kind(self) -> str:
        """The last word of a problem's type."""
        assert self.headers["content-type"] == "application/problem+json"
        return self.json["type"].rpartition(":")[2]


class Asker:
    """Asks a server; every answer has to fit the document, or the test fails."""

    def __init__(self, port: int, *, token: str = "") -> None:
        self.port = port
        self._token = token
        self.document = json.loads(self._sent("GET", "/openapi.json", None, {}).raw)
        self.heard: list[Heard] = []

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Heard:
        """`body`: a value to be sent as JSON, or bytes to be sent as they are."""
        address = f"{path}?{urlencode(query)}" if query else path
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if method == "POST":
            given["Content-Type"] = "application/json"
        answer = self._sent(method, address, content, {**given, **(headers or {})})
        self.heard.append(answer)
        assert complaints(self.document, method, path.partition("?")[0], answer) == []
        return answer

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, **query: Any) -> Heard:
        return self.ask("GET", path, headers=headers, **query)

    def post(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any) -> Heard:
        return self.ask("POST", path, {} if body is None else body, headers=headers, **query)

    def _sent(self, method: str, address: str, content: bytes | None, headers: Mapping[str, str]) -> Heard:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_REQUEST_SECONDS)
        try:
            connection.request(method, address, body=content, headers=dict(headers))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Heard(answer.status, told, answer.read())
        finally:
            connection.close()


def complaints(document: Mapping[str, Any], method: str, path: str, answer: Heard) -> list[str]:
    """What an answer has that the document does not allow. Addresses that the document lacks have none."""
    template = next((t for t in sorted(document["paths"]) if _pattern(t).fullmatch(path)), None)
    operation = None if template is None else document["paths"][template].get(method.lower())
    if operation is None:
        return []
    declared = operation["responses"].get(str(answer.status))
    if declared is None:
        return [f"{method} {template}: {answer.status} is not declared"]
    media = answer.headers.get("content-type", "")
    if "content" not in declared:
        return [] if answer.raw == b"" else [f"{method} {template}: {answer.status} has a body"]
    if media not in declared["content"]:
        return [f"{method} {template}: {answer.status} is {media}"]
    schema = {**declared["content"][media]["schema"], "components": document["components"]}
    errors = validator_of(schema).iter_errors(answer.json)
    return [f"{method} {template}: {error.json_path} {error.message[:200]}" for error in errors]


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template)))


@contextmanager
def served(app: Starlette, settings: Settings | None = None) -> Iterator[int]:
    """The port of a server with the bounds of the settings, as long as the block."""
    listener = listening("127.0.0.1", free_port())
    server = uvicorn.Server(server_config(app, settings or Settings()))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + _START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until, "the server did not start in time"
        time.sleep(0.005)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
        assert not thread.is_alive(), "the server did not stop"


@contextmanager
def asking(service: object, *, token: str = "", now: Any = None, **options: Any) -> Iterator[Asker]:
    """An asker of a server before this service."""
    extra = {} if now is None else {"now": now}
    with served(build_app(service, WebOptions(**options), **extra)) as port:
        yield Asker(port, token=token)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
