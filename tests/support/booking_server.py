"""A Cal.com of a few lines whose bookings are bytes, so that rows can be wrong in ways that no program would write."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from tests.support.raw_server import GOOD, answer, raw_server

_NOT_FOUND = b'{"status":"error","error":{"code":"NotFoundException","message":"Not found"}}'


@dataclass
class BookingServer:
    """Serves `rows`, all on one page whatever is asked for, and by uid those in `by_uid`."""

    url: str = ""
    rows: Sequence[bytes] = ()
    by_uid: dict[str, bytes] = field(default_factory=dict)

    def behave(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        asked = urlsplit(handler.path)
        path = asked.path.removeprefix("/v2")
        if path == "/me":
            answer(handler, GOOD)
        elif path == "/teams":
            answer(handler, b'{"status":"success","data":[]}')
        elif path == "/bookings":
            answer(handler, self._page(parse_qs(asked.query)))
        elif (found := self.by_uid.get(unquote(path.removeprefix("/bookings/")))) is not None:
            answer(handler, b'{"status":"success","data":' + found + b"}")
        else:
            answer(handler, _NOT_FOUND, status=404)

    def _page(self, query: dict[str, list[str]]) -> bytes:
        skip = int(query.get("skip", ["0"])[0])
        pagination = orjson.dumps({"totalItems": len(self.rows), "hasNextPage": False})
        rows = b",".join(self.rows[skip:])
        return b'{"status":"success","data":[' + rows + b'],"pagination":' + pagination + b"}"


@contextmanager
def booking_server(*rows: bytes) -> Generator[BookingServer]:
    """Serves as long as the block; what it serves may be changed meanwhile."""
    server = BookingServer(rows=rows)
    with raw_server(server.behave) as (url, _):
        server.url = url
        yield server
