"""Signing webhooks and sending them inside the request, once, to every subscriber at the same time.

A receiver that answers an error gets no second attempt, redirects are not followed, and a slow receiver makes the
request slow (fact sheet 7.3, 7.5 and 11). Faults: lost, doubled, late, reordered, unsigned.
"""

import asyncio
import hashlib
import hmac
import random
import re
import ssl
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson

from calcom_pipeline.sandbox.control.faults import Fault, Faults
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.state.model import SandboxWebhook

NO_SECRET: Final = "no-secret-provided"  # noqa: S105 - what stands in place of a signature
PATIENCE_SECONDS: Final = (
    120.0  # Cal.com sets no time limit; ours only keeps a dead receiver from holding a test for ever
)
_REORDER_SECONDS: Final = 0.5  # the longest delay of a reordering that names none
_KEPT_DELIVERIES: Final = 1_000
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_PLACEHOLDER = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Message:
    """One body for one subscriber."""

    webhook: SandboxWebhook
    trigger: str
    body: bytes
    content_type: str = _JSON


def signature(secret: str | None, body: bytes) -> str:
    """The value of `X-Cal-Signature-256`: lower-case hex over the raw body."""
    if not secret:
        return NO_SECRET
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def compose(webhook: SandboxWebhook, trigger: str, created_at: str, payload: Json) -> Message:
    """The message for a subscriber: the envelope, or its own template filled in."""
    envelope: Json = {"triggerEvent": trigger, "createdAt": created_at, "payload": payload}
    if not webhook.template:
        return Message(webhook, trigger, orjson.dumps(envelope))
    text = _fill(webhook.template, payload | {"triggerEvent": trigger, "createdAt": created_at})
    try:
        return Message(webhook, trigger, orjson.dumps(orjson.loads(text)))
    except orjson.JSONDecodeError:
        return Message(webhook, trigger, text.encode(), _FORM)


def _fill(template: str, values: Json) -> str:
    return _PLACEHOLDER.sub(lambda match: _text(_at(values, match[1].split("."))), template)


def _at(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = cast("Json", value).get(part)
        elif isinstance(value, list) and part.isdigit():
            members = cast("list[Any]", value)
            value = members[int(part)] if int(part) < len(members) else None
        else:
            return None
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Deliveries:
    """Sends messages and remembers what became of each."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._random = random.Random(f"deliveries-{seed}")
        self._log: deque[Json] = deque(maxlen=_KEPT_DELIVERIES)
        self._late: set[asyncio.Task[None]] = set()

    async def send(self, messages: Sequence[Message]) -> None:
        """Sends all messages at once and waits for every receiver."""
        attempts = [one for message in messages for one in self._attempts(message)]
        await asyncio.gather(*attempts)

    def _attempts(self, message: Message) -> list[Coroutine[Any, Any, None]]:
        """What is sent within the request; what comes later is under way when this returns."""
        faults = self._faults.for_webhook(message.trigger) if self._faults else []
        kinds = {fault.kind for fault in faults}
        if "webhook_lost" in kinds:
            self._note(message, "lost")
            return []
        signed = "webhook_unsigned" not in kinds
        late = next((fault for fault in faults if fault.kind in {"webhook_late", "webhook_reordered"}), None)
        copies = 2 if "webhook_doubled" in kinds else 1
        if late is not None:
            for _ in range(copies):
                self._later(message, late, signed=signed)
            return []
        return [self._post(message, signed=signed) for _ in range(copies)]

    def _later(self, message: Message, fault: Fault, *, signed: bool) -> None:
        """Sends after the request; reordering draws each delay anew, up to the fault's seconds."""
        delay = fault.seconds
        if fault.kind == "webhook_reordered":
            delay = (fault.seconds or _REORDER_SECONDS) * self._random.random()

        async def wait_and_post() -> None:
            await asyncio.sleep(delay)
            await self._post(message, signed=signed)

        task = asyncio.create_task(wait_and_post())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _post(self, message: Message, *, signed: bool) -> None:
        proof = signature(message.webhook.secret if signed else None, message.body)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await _post(message, proof)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            self._note(message, type(error).__name__)  # logged and swallowed, as Cal.com does
        else:
            self._note(message, str(status))

    def _note(self, message: Message, outcome: str) -> None:
        self._log.append(
            {"trigger": message.trigger, "url": message.webhook.url, "webhook": message.webhook.id, "outcome": outcome}
        )

    def as_json(self) -> list[Json]:
        """What became of the newest deliveries, oldest first."""
        return list(self._log)


async def _post(message: Message, proof: str) -> int:
    """One HTTP POST; the answer's status. Raises OSError or ValueError if there is none."""
    target = urlsplit(message.webhook.url)
    if target.scheme not in {"http", "https"} or not target.hostname:
        raise ValueError("not a URL")
    tls = ssl.create_default_context() if target.scheme == "https" else None
    port = target.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(target.hostname, port, ssl=tls)
    try:
        path = target.path or "/"
        path += f"?{target.query}" if target.query else ""
        host = target.netloc.rpartition("@")[2]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"Content-Type: {message.content_type}\r\nX-Cal-Signature-256: {proof}\r\n"
            f"X-Cal-Webhook-Version: {message.webhook.version}\r\nUser-Agent: node\r\n"
            f"Content-Length: {len(message.body)}\r\n\r\n"
        )
        writer.write(head.encode("latin-1", "replace") + message.body)
        await writer.drain()
        status_line = await reader.readline()
        return int(status_line.split()[1]) if len(status_line.split()) > 1 else 0
    finally:
        writer.close()
