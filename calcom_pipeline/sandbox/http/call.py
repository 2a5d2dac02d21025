"""One request on its way to a handler, and the shape of handlers and routes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from calcom_pipeline.sandbox.core.errors import unauthorized
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.http.answers import SandboxAnswer
from calcom_pipeline.sandbox.state.model import User

if TYPE_CHECKING:
    from calcom_pipeline.sandbox.runtime import Sandbox
    from calcom_pipeline.sandbox.state.world import World


class Guard(Enum):
    """Which of Cal.com's guards stands before a route, and so which error a caller without credentials sees."""

    NONE = auto()  # nobody asks who you are
    OPTIONAL = auto()  # without credentials fine, with wrong ones 401
    REQUIRED = auto()  # ApiAuthGuard first: 401
    PERMISSION = auto()  # PermissionsGuard first: 403 for anything but an API key (`07d`, `07f`)


@dataclass(slots=True)
class SandboxCall:
    """A request with everything a handler may ask. `url` is the path with its query, as errors show it.

    `endpoint` is the name of the route, once there is one.
    """

    sandbox: "Sandbox"
    method: str
    path: str
    url: str
    query: Json
    headers: dict[str, str]
    version: str
    client: str
    body: Any = field(default_factory=dict[str, object])
    params: dict[str, str] = field(default_factory=dict[str, str])
    user: User | None = None
    who: str = ""
    endpoint: str = ""

    @property
    def world(self) -> "World":
        """The account."""
        return self.sandbox.world

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.sandbox.clock.now()

    @property
    def caller(self) -> User:
        """The user who calls; for routes whose guard demands one."""
        if self.user is None:
            raise unauthorized("ApiAuthStrategy - No authentication method provided.")
        return self.user


Handler = Callable[[SandboxCall], Awaitable[SandboxAnswer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One handler: `pattern` has `{name}` for parameters, `versions` the header values it is registered for."""

    method: str
    pattern: str
    handler: Handler
    versions: frozenset[str]
    guard: Guard = Guard.REQUIRED
    limit_name: str | None = None

    @property
    def name(self) -> str:
        """How counters and faults call it: `GET /v2/bookings/{uid}`."""
        return f"{self.method} {self.pattern}"
