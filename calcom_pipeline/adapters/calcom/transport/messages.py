"""What one call to Cal.com is, what an answer to it is, and what is known of an attempt while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson

from calcom_pipeline.app.calls import Lane
from calcom_pipeline.domain.errors import ContractBroken, Exchange

#: What may be done again: a read and a write that states an absolute value always, a create never blindly.
Kind = Literal["read", "absolute", "create"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its endpoint group and version, its lane, how long one attempt and all of it may take.

    `deadline_seconds` covers waiting for the limiter and all attempts; None leaves it to the settings.
    """

    operation: str
    method: str
    path: str
    group: str
    kind: Kind = "read"
    version: str | None = None
    params: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    lane: Lane = "sync"
    timeout_seconds: float = 15.0
    deadline_seconds: float | None = None


@dataclass(slots=True)
class Attempt:
    """One sending of a call, filled in on the way. `deadline` is an instant of the monotonic clock, in seconds.

    `sent_at` (UTC) is when it went out, its turn at the limiter waited for; None while it has not.
    """

    call: Call
    number: int
    deadline: float
    waited_seconds: float = 0.0
    sent_at: datetime | None = None
    status: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. `answered_at` is its Date header, `sent_at` our clock before it was sent; both UTC."""

    exchange: Exchange
    content: bytes = field(repr=False)
    answered_at: datetime
    sent_at: datetime

    def json(self) -> Any:
        """The parsed body. Raises ContractBroken when it is no JSON."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:
            raise ContractBroken(
                f"{self.exchange.operation} answered something that is no JSON", exchange=self.exchange
            ) from None

    def data(self) -> Any:
        """The `data` of the success envelope. Raises ContractBroken when there is none."""
        body = self.json()
        if not isinstance(body, dict) or "data" not in body:
            raise ContractBroken(f"{self.exchange.operation} answered without `data`", exchange=self.exchange)
        return body["data"]  # pyright: ignore[reportUnknownVariableType]  # typed by the caller's wire model
