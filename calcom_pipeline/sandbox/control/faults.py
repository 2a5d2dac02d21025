"""Faults on demand: what goes wrong, where, how often. Every rule draws from its own seeded generator.

Before the work: `latency` (at most as long as its rule is in force), `rate_limited`, `error`, `html` (a page of
something in between), `echo_key` (an error that repeats the caller's key), `reset_before`.
After it, the connection: `reset_after`, `truncate`, `drip_headers`, `drip_body` (one byte every `seconds`).
After it, the body: `malformed`, `content_type`, `empty_body`, `fail_after_create`, `huge_body` and `gzip_bomb` (padded
with blanks to `megabytes`), `gzip_truncated`, `bent_body` (`set` is merged into it), `time_zone` (every `timeZone`
becomes `text`).
After it, the rows of a complete answer: `half_list`, `empty_list`, `repeated_row`, `malformed_row` (`set` is merged
into it, or takes its place).
After it, the headers: `date_header` (`seconds` off, or `text`), `headers` (any).
`change_inside_page` changes bookings of a page between its two queries, the one for their order and the one for their
rows: they come with their new values at their old places (fact sheet section 11).
Webhook faults: `webhook_lost`, `webhook_doubled`, `webhook_late`, `webhook_reordered`, `webhook_unsigned`.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeVar, get_args

from calcom_pipeline.sandbox.core.json_types import Json

_T = TypeVar("_T")
RequestFault = Literal[
    "latency",
    "rate_limited",
    "error",
    "reset_before",
    "reset_after",
    "truncate",
    "malformed",
    "content_type",
    "empty_body",
    "fail_after_create",
    "half_list",
    "empty_list",
    "repeated_row",
    "malformed_row",
    "bent_body",
    "time_zone",
    "date_header",
    "headers",
    "html",
    "echo_key",
    "huge_body",
    "gzip_bomb",
    "gzip_truncated",
    "drip_headers",
    "drip_body",
]
WebhookFault = Literal["webhook_lost", "webhook_doubled", "webhook_late", "webhook_reordered", "webhook_unsigned"]
PageFault = Literal["change_inside_page"]
REQUEST_FAULTS: Final[tuple[str, ...]] = get_args(RequestFault)
PAGE_FAULTS: Final[tuple[str, ...]] = get_args(PageFault)
WEBHOOK_FAULTS: Final[tuple[str, ...]] = get_args(WebhookFault)
_KINDS: Final = (*REQUEST_FAULTS, *PAGE_FAULTS, *WEBHOOK_FAULTS)
_CHANGES_OF_BOOKINGS: Final = frozenset({"update_bookings", "delete_bookings"})
_DEFAULT_ERROR_STATUS = 503
_DEFAULT_MEGABYTES = 64
_FIELDS: Final = (
    "kind", "endpoint", "share", "count", "after", "key", "seconds", "status", "seed", "text", "headers", "set", "row",
    "where", "megabytes", "rows", "mutation",
)  # fmt: skip


@dataclass(slots=True)
class Fault:
    """One rule. `endpoint` is a route's name or a pattern (`POST /v2/bookings*`), for webhooks the trigger.

    It strikes a share (0 to 1) of what matches, after the first `after`, at most `count` times, for one key only
    if `key` names its fingerprint. `seconds` is the delay, `status` the error's status, `text` what an error or a
    value says. `headers` replace those of the answer (None takes one away) with every kind of request fault. A row is
    chosen by `where` (all rows with these members), else by its place `row`.
    `rows` of a page's bookings are changed by `mutation`, an `update_bookings` or `delete_bookings` of the control
    surface that names no bookings; without one they get a new `updatedAt`.
    """

    id: int
    kind: str
    endpoint: str = "*"
    share: float = 1.0
    count: int | None = None
    after: int = 0
    key: str | None = None
    seconds: float = 0.0
    status: int = _DEFAULT_ERROR_STATUS
    seed: int = 1
    rows: int = 1
    mutation: Json | None = None
    text: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    set: Any = None
    row: int = 0
    where: Json = field(default_factory=dict[str, Any])
    megabytes: int = _DEFAULT_MEGABYTES
    seen: int = 0
    struck: int = 0
    withdrawn: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"fault-{self.seed}-{self.id}-{self.kind}")

    def strikes(self, endpoint: str, who: str) -> bool:
        """Whether this rule hits now; counts the look."""
        if not fnmatchcase(endpoint, _as_pattern(self.endpoint)) or self.key not in {None, who}:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.count is not None and self.struck >= self.count):
            return False
        if self.share < 1.0 and self._random.random() >= self.share:
            return False
        self.struck += 1
        return True

    def pick(self, members: Sequence[_T]) -> list[_T]:
        """Up to `rows` of them, by this rule's own generator."""
        return self._random.sample(members, min(self.rows, len(members)))

    def as_json(self) -> Json:
        """The rule and what came of it."""
        return {name: getattr(self, name) for name in ("id", *_FIELDS, "seen", "struck")}


def _as_pattern(endpoint: str) -> str:
    """Square brackets are no part of our patterns, and a bare path stands for every method."""
    escaped = endpoint.replace("[", "[[]")
    return f"* {escaped}" if escaped.startswith("/") else escaped


class Faults:
    """The rules in force, in the order in which they were added."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._next_id = 1

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, values: Json) -> Fault:
        """Adds a rule from its JSON. Raises ValueError for an unknown kind or field."""
        kind = values.get("kind")
        if kind not in _KINDS:
            raise ValueError(f"Unknown fault {kind!r}; there are {', '.join(_KINDS)}")
        unknown = sorted(set(values) - set(_FIELDS))
        if unknown:
            raise ValueError(f"Unknown fields of a fault: {', '.join(unknown)}")
        mutation = values.get("mutation")
        if mutation is not None and mutation.get("do") not in _CHANGES_OF_BOOKINGS:
            raise ValueError(f"A mutation inside a page is one of {', '.join(sorted(_CHANGES_OF_BOOKINGS))}")
        fault = Fault(id=self._next_id, **values)
        self._next_id += 1
        self._rules.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """Takes a rule out of force; whether there was one."""
        removed = [rule for rule in self._rules if rule.id == fault_id]
        self._withdraw(removed)
        return bool(removed)

    def clear(self) -> None:
        """Takes every rule out of force."""
        self._withdraw(self._rules)

    def forget(self) -> None:
        """The same, but what is being delayed stays so: its work would be done in an account that was just reset."""
        self._rules = []

    def _withdraw(self, rules: Sequence[Fault]) -> None:
        for rule in rules:
            rule.withdrawn.set()
        self._rules = [rule for rule in self._rules if not rule.withdrawn.is_set()]

    def as_json(self) -> list[Json]:
        """All rules."""
        return [rule.as_json() for rule in self._rules]

    def for_request(self, endpoint: str, who: str) -> list[Fault]:
        """The rules that strike this request."""
        return [r for r in self._rules if r.kind in REQUEST_FAULTS and r.strikes(endpoint, who)]

    def for_page(self, endpoint: str, who: str) -> list[Fault]:
        """The rules that strike between the two queries of a page that holds rows."""
        return [r for r in self._rules if r.kind in PAGE_FAULTS and r.strikes(endpoint, who)]

    def for_webhook(self, trigger: str) -> list[Fault]:
        """The rules that strike this delivery."""
        return [r for r in self._rules if r.kind in WEBHOOK_FAULTS and r.strikes(trigger, "")]
