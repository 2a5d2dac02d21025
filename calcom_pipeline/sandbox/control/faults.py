"""Faults on demand: what goes wrong, where, how often. Every rule draws from its own seeded generator.

Request faults: `latency`, `rate_limited`, `error`, `reset_before`, `reset_after`, `truncate`, `malformed`,
`content_type`, `empty_body`. `fail_after_create` is an error after the work was done; `half_list` and `empty_list` are
complete answers that leave out half of the rows, or all.
`change_inside_page` changes bookings of a page between its two queries, the one for their order and the one for their
rows: they come with their new values at their old places (fact sheet section 11).
Webhook faults: `webhook_lost`, `webhook_doubled`, `webhook_late`, `webhook_reordered`, `webhook_unsigned`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeVar, get_args

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
]
WebhookFault = Literal["webhook_lost", "webhook_doubled", "webhook_late", "webhook_reordered", "webhook_unsigned"]
PageFault = Literal["change_inside_page"]
REQUEST_FAULTS: Final[tuple[str, ...]] = get_args(RequestFault)
PAGE_FAULTS: Final[tuple[str, ...]] = get_args(PageFault)
WEBHOOK_FAULTS: Final[tuple[str, ...]] = get_args(WebhookFault)
_KINDS: Final = (*REQUEST_FAULTS, *PAGE_FAULTS, *WEBHOOK_FAULTS)
_FIELDS: Final = (
    "kind", "endpoint", "share", "count", "after", "key", "seconds", "status", "seed", "rows", "mutation",
)  # fmt: skip
_CHANGES_OF_BOOKINGS: Final = frozenset({"update_bookings", "delete_bookings"})
_DEFAULT_ERROR_STATUS = 503


@dataclass(slots=True)
class Fault:
    """One rule. `endpoint` is a route's name or a pattern (`POST /v2/bookings*`), for webhooks the trigger.

    It strikes a share (0 to 1) of what matches, after the first `after`, at most `count` times, for one key only
    if `key` names its fingerprint. `seconds` is the delay, `status` the error's status. `rows` of a page's bookings are
    changed by `mutation`, an `update_bookings` or `delete_bookings` of the control surface that names no bookings;
    without one they get a new `updatedAt`.
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
    seen: int = 0
    struck: int = 0
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
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule.id != fault_id]
        return len(self._rules) < before

    def clear(self) -> None:
        """Takes every rule out of force."""
        self._rules.clear()

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
