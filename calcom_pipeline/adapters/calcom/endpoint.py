"""What all endpoint groups share: how a call is put together, and a few facts about the account, asked for once.

The version belongs to the endpoint group; a wrong one is answered with another shape and 200 (fact sheet 1.3).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar, TypeVar

from calcom_pipeline.adapters.calcom.idempotent_create import GraceRules
from calcom_pipeline.adapters.calcom.transport.messages import Answer, Call, Kind
from calcom_pipeline.adapters.calcom.transport.session import Transport
from calcom_pipeline.app.calls import Lane

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EndpointGroup:
    """Endpoints that share a version header, a circuit and the place in every count of calls.

    `version` is their `cal-api-version`; None where they answer to any.
    """

    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Time-outs in seconds, versions and the patience after a doubtful create; see the settings of the same names."""

    read_timeout_seconds: float
    create_timeout_seconds: float
    bookings_version: str
    grace: GraceRules


class Remembered:
    """Answers that do not change while a client is open: who the key is, its teams, its schedules."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: dict[str, Any] = {}

    def get(self, name: str, ask: Callable[[], T]) -> T:
        """The remembered answer, asked for the first time. Two threads may both ask; the first answer stays."""
        with self._lock:
            if name in self._values:
                return self._values[name]
        answer = ask()
        with self._lock:
            return self._values.setdefault(name, answer)


@dataclass(frozen=True, slots=True)
class Context:
    """What a client is made of; clients of other lanes or deadlines share all but those."""

    transport: Transport
    options: ClientOptions
    remembered: Remembered
    lane: Lane = "sync"
    deadline_seconds: float | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class ApiEndpoints:
    """Endpoints of some `groups` over one transport. Safe to use from several threads."""

    groups: ClassVar[tuple[EndpointGroup, ...]] = ()

    def __init__(self, context: Context) -> None:
        self._context = context

    def _get(
        self, operation: str, path: str, *, group: EndpointGroup, params: Mapping[str, Any] | None = None
    ) -> Answer:
        return self._send(operation, "GET", path, group=group, kind="read", params=params)

    def _send(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        group: EndpointGroup,
        kind: Kind,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        slow: bool = False,
    ) -> Answer:
        """`slow` is for what sends webhooks inside the request: a third party's receiver may take 20 s."""
        context, options = self._context, self._context.options
        call = Call(
            operation=operation,
            method=method,
            path=path,
            group=group.name,
            kind=kind,
            version=group.version,
            params=params,
            body=body,
            lane=context.lane,
            timeout_seconds=options.create_timeout_seconds if slow else options.read_timeout_seconds,
            deadline_seconds=context.deadline_seconds,
        )
        return context.transport.send(call)
