"""A client that holds every answer against what is known of all answers: shapes, clock, ETag, the limiter's headers.

The limiter is told again in a few lines of its own, so that each counted answer's numbers are known beforehand.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tests.contract.replaying import express_etag
from tests.sandbox.talking import Reply, Talker

_LIMITS = {"alice": (100_000, 60, 60), "bob": (120, 60, 60), None: (120, 60, 60)}  # hits, window and block in seconds
_DATABASE = "There was an error, please try again later."
_ENVELOPE = {"status", "timestamp", "path", "error"}
_WITHOUT_DETAILS = {"TRPCError", "BAD_REQUEST", "CONFLICT", "INTERNAL_SERVER_ERROR"}


@dataclass
class _Bucket:
    hits: int = 0
    ends: float = 0.0
    blocked: bool = False

    def hit(self, now: float, limit: tuple[int, int, int]) -> tuple[str, str, str]:
        """The three headers of one more request."""
        hits, window, block = limit
        if now >= self.ends:
            self.hits, self.ends, self.blocked = 0, now + window, False
        self.hits += 1
        if self.hits > hits and not self.blocked:
            self.ends, self.blocked = now + block, True
        left = 0 if self.blocked else max(hits - self.hits, 0)
        return str(hits), str(left), str(math.ceil(self.ends - now))


@dataclass
class Watcher(Talker):
    """Speaks as a Talker does. `now` is the sandbox's standing clock, `may_fail` that the database may refuse."""

    now: datetime = field(default_factory=lambda: datetime.fromisoformat("2026-11-22T08:00:00Z"))
    may_fail: bool = False
    _buckets: dict[str | None, _Bucket] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        reply = super().ask(method, path, body, **options)
        given = {name: value for name, value in options.items() if name not in {"key", "version", "headers"}}
        url = f"/v2{path}" + (f"?{urlencode(given)}" if given else "")
        what = f"{method} {url} {str(body)[:300]}: {reply.status} {reply.raw[:300]!r}"
        self._check_headers(reply, what)
        if reply.status >= 400:
            self._check_error(reply, url, what)
        else:
            assert reply.status == 204 or reply.body["status"] == "success", what
        self._check_limiter(reply, options.get("key", "") or ("alice" if "key" not in options else None), what)
        return reply

    def forget(self) -> None:
        """Forgets cached slots, and with them the limiter's hits."""
        self.control.reset()
        self._buckets.clear()

    def wait(self, seconds: float) -> None:
        """Moves the clock on."""
        self.control.advance(seconds)
        self.now = datetime.fromisoformat(self.control.clock()["now"])

    def _check_headers(self, reply: Reply, what: str) -> None:
        assert reply.headers["Date"] == self.now.strftime("%a, %d %b %Y %H:%M:%S GMT"), what
        assert reply.headers["X-Request-Id"] not in self._ids, what
        self._ids.add(reply.headers["X-Request-Id"])
        assert (reply.headers["ETag"], reply.headers["Content-Length"]) == (
            express_etag(reply.raw),
            str(len(reply.raw)),
        ), what

    def _check_error(self, reply: Reply, url: str, what: str) -> None:
        body = reply.body
        if reply.status >= 500:
            assert self.may_fail, what
            assert reply.message == _DATABASE or reply.is_bare, what
        if reply.is_bare:
            assert body["statusCode"] == reply.status, what
            return
        assert (set(body), body["status"], body["path"]) == (_ENVELOPE, "error", url), what
        assert datetime.fromisoformat(body["timestamp"]) == self.now, what
        error = body["error"]
        assert isinstance(error["message"], str), what
        assert ("details" in error) != (error["code"] in _WITHOUT_DETAILS), what
        assert error["code"] in _WITHOUT_DETAILS or error["code"].endswith("Exception"), what

    def _check_limiter(self, reply: Reply, key: str | None, what: str) -> None:
        names = [name for name in reply.headers if name.startswith("X-RateLimit-")]
        if not names:
            assert reply.status in {400, 404}, what
            assert reply.message.startswith("Cannot ") or "JSON" in reply.message, what
            return
        assert len(names) == 3, what
        if names[0].endswith("-Default"):
            expected = self._buckets.setdefault(key, _Bucket()).hit(self.now.timestamp(), _LIMITS[key])
            assert tuple(reply.headers[name] for name in names) == expected, what
