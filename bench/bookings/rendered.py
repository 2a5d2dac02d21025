"""A server of bookings that has rendered every row beforehand, so that it is not what is measured.

    python -m bench.bookings.rendered       (CALCOM_BASE_URL and CALCOM_API_KEY: the sandbox that it copies)

It takes all bookings from a sandbox, gives each a second attendee, and answers pages as slices of bytes: by creation
or update, from a key on or by offset. What it has no answer to (the user, the teams, other filters) it asks the
sandbox, once. Its first line on standard output is its address. It knows no limit and no wrong totals.
"""

import asyncio
import email.utils
import http.client
import os
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import uvloop

PAGE = 250
_LIST = "/v2/bookings"
_SORTS = {"sortCreated": ("createdAt", "afterCreatedAt"), "sortUpdatedAt": ("updatedAt", "afterUpdatedAt")}
# Upper bounds lie behind every row here: rows are older than the first request.
_WITHOUT_EFFECT = {"beforeUpdatedAt", "beforeCreatedAt"}
_GUEST = {"absent": False, "language": "en", "timeZone": "Europe/Berlin"}

Row = dict[str, Any]


class Origin:
    """The sandbox behind it."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._host = address.netloc
        self._headers = {"Authorization": f"Bearer {key}", "cal-api-version": "2024-08-13"}

    def get(self, target: str) -> tuple[int, bytes]:
        """Status and body."""
        with closing(http.client.HTTPConnection(self._host)) as connection:
            connection.request("GET", target, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def bookings(self) -> Iterator[Row]:
        """Every booking, oldest first. One may come twice."""
        query: dict[str, Any] = {"sortCreated": "asc", "take": PAGE}
        while True:
            rows = orjson.loads(self.get(f"{_LIST}?{urlencode(query)}")[1])["data"]
            yield from rows
            if len(rows) < PAGE:
                return
            query["afterCreatedAt"] = rows[-1]["createdAt"]


def with_a_guest(row: Row) -> Row:
    """The row with two attendees at least."""
    if len(row["attendees"]) < 2:
        address = f"guest-of-{row['id']}@example.net"
        guest = {"name": f"Guest of {row['id']}", "email": address, "displayEmail": address, **_GUEST}
        row["attendees"].append(guest)
    return row


@dataclass
class Sorted:
    """All rows that have a key, in its order."""

    keys: list[str]
    rows: list[bytes]

    @classmethod
    def by(cls, name: str, rows: list[Row], rendered: list[bytes]) -> "Sorted":
        """Sorted by a key; rows without one are left out."""
        places = sorted((i for i, row in enumerate(rows) if row[name]), key=lambda i: (rows[i][name], rows[i]["id"]))
        return cls([rows[i][name] for i in places], [rendered[i] for i in places])


@dataclass
class Pages:
    """What is answered."""

    origin: Origin
    requests: int = 0
    orders: dict[str, Sorted] = field(default_factory=dict[str, Sorted])
    total: int = 0
    asked_before: dict[str, tuple[int, bytes]] = field(default_factory=dict[str, tuple[int, bytes]])

    def render(self) -> None:
        """Copy the account."""
        rows = [with_a_guest(row) for row in {row["uid"]: row for row in self.origin.bookings()}.values()]
        rendered = [orjson.dumps(row) for row in rows]
        self.total = len(rows)
        self.orders = {sort: Sorted.by(key, rows, rendered) for sort, (key, _) in _SORTS.items()}

    def answer(self, target: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        path, _, query = target.partition("?")
        if path == "/__sandbox/counters":
            return 200, orjson.dumps({"keys": {"owner": {"requests": self.requests}}})
        if path == "/__sandbox/forget-counters":
            self.requests = 0
            return 200, b"{}"
        self.requests += 1
        if path == _LIST and (page := self.page(dict(parse_qsl(query)))) is not None:
            return 200, page
        if target not in self.asked_before:
            self.asked_before[target] = self.origin.get(target)
        return self.asked_before[target]

    def page(self, query: dict[str, str]) -> bytes | None:
        """A page of bookings; None for a question that only the sandbox understands."""
        sort = next((name for name in _SORTS if query.get(name) == "asc"), "")
        after = _SORTS[sort][1] if sort else ""
        if not sort or query.keys() - {sort, after, "take", "skip"} - _WITHOUT_EFFECT:
            return None
        order, take = self.orders[sort], int(query.get("take", PAGE))
        first = bisect_left(order.keys, query.get(after, "")) + int(query.get("skip", 0))
        data = order.rows[first : first + take]
        more = first + take < len(order.rows)
        pagination = {"returnedItems": len(data), "totalItems": self.total, "itemsPerPage": take, "hasNextPage": more}
        return b'{"status":"success","data":[%b],"pagination":%b}' % (b",".join(data), orjson.dumps(pagination))


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are GETs without a body, one after the other."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Answer every whole head."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0 and self._transport is not None:
            line, self._read = self._read[: self._read.index(b"\r\n")], self._read[end + 4 :]
            status, body = self._pages.answer(line.split(b" ")[1].decode())
            head = (
                f"HTTP/1.1 {status} OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}"
                f"\r\nDate: {email.utils.formatdate(time.time(), usegmt=True)}\r\n\r\n"
            )
            self._transport.write(head.encode() + body)


async def serve(pages: Pages) -> None:
    """Until somebody ends the process."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(pages), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2", flush=True)
    await server.serve_forever()


def main() -> None:
    pages = Pages(Origin(os.environ["CALCOM_BASE_URL"], os.environ["CALCOM_API_KEY"]))
    pages.render()
    uvloop.run(serve(pages))


if __name__ == "__main__":
    main()
