"""Plays the recordings against a sandbox and names every difference.

The clock stands at each recording's second, so dates need no shifting: slots, starts, counts, seats and totals are
compared as they are. Free are only ids that a server draws (uids and uuids, but each recorded one must stand for one
of ours throughout), the milliseconds of times that a server notes, and what follows from these two: ETags.
"""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from calcom_pipeline.sandbox.testing import Control

CAPTURES = Path(__file__).parent / "captures"
KEYS = {
    "alice": "cal_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01",
    "bob": "cal_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02",
    "slow": "cal_cccccccccccccccccccccccccccccc03",
    "expired": "cal_dddddddddddddddddddddddddddddd04",
    "bad": "cal_00000000000000000000000000000000",
}
# The recordings mask the credentials; these were sent otherwise (README beside the recordings).
AUTHORIZATIONS = {
    "07d-bearer-without-prefix": "Bearer garbage",
    "12-auth-without-Bearer": KEYS["alice"],
    "12b-auth-lowercase-bearer": f"bearer {KEYS['alice']}",
}
RECORDED_RECEIVER = "http://127.0.0.1:5999"
_SECRET = json.loads((CAPTURES / "06-webhook-create.json").read_text())["request"]["body"]["secret"]
_DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[1-9A-HJ-NP-Za-km-z]{22}\b")
_NOTED_TIMES = frozenset({"createdAt", "updatedAt", "timestamp", "reservationUntil"})
_TOLERANCE_SECONDS = 3.0
_CURRENT_TIME = re.compile(r"(?<=Current time in UTC\+0: )[0-9TZ:.-]+")
_RATE_HEADERS = ("X-RateLimit-Limit-Default", "X-RateLimit-Remaining-Default", "X-RateLimit-Reset-Default")


@dataclass(slots=True)
class Capture:
    """One recorded exchange, or for a `hook-*` the request alone."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    at: datetime

    @property
    def is_hook(self) -> bool:
        return self.name.startswith("hook-")


def load_captures(folder: Path = CAPTURES) -> list[Capture]:
    """The exchanges in the order in which they were recorded.

    Within a second alice's stand in the order of her limiter's countdown, the others by name among them.
    """
    found = []
    for path in folder.glob("*.json"):
        data = json.loads(path.read_text())
        if "response" in data:
            at = parsedate_to_datetime(data["response"]["headers"]["Date"])
        else:
            at = datetime.fromtimestamp(data["at"], UTC)
        found.append(Capture(path.stem, data["request"], data.get("response", {}), at))
    found.sort(key=lambda one: one.at.replace(microsecond=0))
    seconds = itertools.groupby(found, key=lambda one: one.at.replace(microsecond=0))
    return [one for _, same_second in seconds for one in _ordered(list(same_second))]


def _countdown(capture: Capture) -> int | None:
    headers = capture.response.get("headers", {})
    is_alice = headers.get(_RATE_HEADERS[0]) == "100000"
    return int(headers[_RATE_HEADERS[1]]) if is_alice else None


def _ordered(same_second: list[Capture]) -> list[Capture]:
    counted = [one for one in same_second if _countdown(one) is not None]
    counted.sort(key=lambda one: -(_countdown(one) or 0))
    for other in sorted((one for one in same_second if _countdown(one) is None), key=lambda one: one.name):
        place = next((n for n, one in enumerate(counted) if one.name > other.name), len(counted))
        counted.insert(place, other)
    return counted


@dataclass(slots=True)
class Names:
    """Which of our drawn ids stands for which recorded one."""

    ours: dict[str, str] = field(default_factory=dict)

    def translate(self, text: str) -> str:
        """Recorded ids replaced by ours, where we know them."""
        return _DRAWN.sub(lambda match: self.ours.get(match[0], match[0]), text)

    def agree(self, recorded: str, actual: str) -> bool:
        """Whether two texts are the same but for drawn ids; learns the ids on the way."""
        if _DRAWN.sub("*", recorded) != _DRAWN.sub("*", actual):
            return False
        pairs = list(zip(_DRAWN.findall(recorded), _DRAWN.findall(actual), strict=True))
        for old, new in pairs:
            known = self.ours.setdefault(old, new)
            if known != new:
                return False
        return True


def differences(recorded: Any, actual: Any, names: Names, path: str = "") -> list[str]:
    """Everything in which an answer's body is not the recorded one."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        missing = [f"{path}.{key} is missing" for key in recorded if key not in actual]
        added = [f"{path}.{key} is too much" for key in actual if key not in recorded]
        order = [f"{path} has its members in another order"] if list(recorded) != list(actual) else []
        inner = [
            one
            for key in recorded
            if key in actual
            for one in differences(recorded[key], actual[key], names, f"{path}.{key}")
        ]
        return missing + added + inner + (order if not missing and not added else [])
    if isinstance(recorded, list) and isinstance(actual, list):
        if len(recorded) != len(actual):
            return [f"{path} has {len(actual)} members, not {len(recorded)}: {_short(actual)} / {_short(recorded)}"]
        return [
            one
            for number, (old, new) in enumerate(zip(recorded, actual, strict=True))
            for one in differences(old, new, names, f"{path}[{number}]")
        ]
    if isinstance(recorded, str) and isinstance(actual, str):
        if recorded == actual or _is_noted_time(path, recorded, actual) or names.agree(recorded, actual):
            return []
    elif recorded == actual and type(recorded) is type(actual):
        return []
    return [f"{path} is {_short(actual)}, not {_short(recorded)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + "..."


def _is_noted_time(path: str, recorded: str, actual: str) -> bool:
    if path.rpartition(".")[2] == "message":  # a message that tells what time it is
        return _CURRENT_TIME.sub("", recorded) == _CURRENT_TIME.sub("", actual)
    if path.rpartition(".")[2] not in _NOTED_TIMES:
        return False
    try:
        apart = datetime.fromisoformat(recorded) - datetime.fromisoformat(actual)
    except ValueError:
        return False
    return abs(apart.total_seconds()) <= _TOLERANCE_SECONDS


@dataclass(slots=True)
class Outcome:
    """What one replayed exchange looked like beside the recorded one."""

    name: str
    differences: list[str]


class Receiver:
    """A webhook receiver that keeps what it gets and answers 200, or 500 below `/fail`."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append({"path": self.path, "headers": dict(self.headers.items()), "raw": raw.decode()})
                self.send_response(500 if self.path.startswith("/fail") else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    try:
        yield running
    finally:
        running.close()


class Player:
    """Sends recorded requests to one sandbox, in order, under a clock that stands at the recorded second."""

    def __init__(self, url: str, control: Control, receiver_url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 0
        self._control = control
        self._receiver_url = receiver_url
        self._stands_at = ""
        self.names = Names()

    def play(self, capture: Capture) -> Outcome:
        """Sends one recorded request and compares what comes back."""
        self.freeze(capture.at)
        status, headers, raw = self.send(capture.name, capture.request)
        found = self._compare_heads(capture, status, headers, raw)
        body: Any = capture.response["body"]
        if isinstance(body, (dict, list)):
            try:
                actual = json.loads(raw)
            except ValueError:
                return Outcome(capture.name, [*found, f"the body is no JSON: {raw[:200]!r}"])
            body = json.loads(self._here(json.dumps(body)))
            found += differences(body, actual, self.names)
        elif (body or "") != raw.decode():
            found.append(f"the body is {raw[:200]!r}, not {body!r}")
        return Outcome(capture.name, found)

    @contextmanager
    def slow_inserts(self, seconds: float) -> Iterator[None]:
        """Lets creates race: so much time passes between their check and their insert."""
        before = self._control.mutate("set_pace", insert_seconds=seconds)
        try:
            yield
        finally:
            self._control.mutate("set_pace", **before)

    def _here(self, text: str) -> str:
        """A recorded text with our receiver, and with the key that the recordings mask."""
        return text.replace(RECORDED_RECEIVER, self._receiver_url).replace("cal_<alice>", KEYS["alice"])

    def freeze(self, at: datetime) -> None:
        """Stops the clock at a recorded second; if it stands there already nothing is asked."""
        second = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if second != self._stands_at:
            self._stands_at = second
            self._control.freeze(second)

    def send(self, name: str, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        headers = {key: self.names.translate(value) for key, value in request.get("headers", {}).items()}
        authorization = headers.get("Authorization", "")
        if name in AUTHORIZATIONS:
            headers["Authorization"] = AUTHORIZATIONS[name]
        elif authorization:
            headers["Authorization"] = "Bearer " + KEYS[authorization.partition("<")[2].rstrip(">")]
        path = self._here(self.names.translate(request["path"]))
        body = request.get("body")
        if body is not None and not isinstance(body, str):
            body = self._here(self.names.translate(json.dumps(body)))
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.request(request["method"], path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _compare_heads(self, capture: Capture, status: int, headers: dict[str, str], raw: bytes) -> list[str]:
        found = [] if status == capture.response["status"] else [f"status {status}, not {capture.response['status']}"]
        wanted = capture.response["headers"]
        presence = {*wanted, "ETag", "Content-Type", *_RATE_HEADERS} - {"Content-Length"}
        same = {"Content-Type", "X-RateLimit-Limit-Default", "Date"} & set(wanted) & set(headers)
        found += [
            f"header {name} is {headers.get(name)}, not {wanted.get(name)}"
            for name in sorted(presence | same)
            if (name in wanted) != (name in headers) or (name in same and wanted[name] != headers[name])
        ]
        if capture.name.startswith(("09-", "18-")):
            found += [
                f"header {name} is {headers[name]}, not {wanted[name]}"
                for name, tolerance in zip(_RATE_HEADERS, (0, 0, 1), strict=True)  # our clock stands at whole seconds
                if abs(int(headers[name]) - int(wanted[name])) > tolerance
            ]
        if "ETag" in headers and raw and headers["ETag"] != express_etag(raw):
            found.append("the ETag does not belong to the body")
        receivers = json.dumps(capture.response["body"]).count(RECORDED_RECEIVER)
        apart = receivers * (len(self._receiver_url) - len(RECORDED_RECEIVER))
        if (
            "Content-Length" in wanted
            and int(headers.get("Content-Length", -1)) != int(wanted["Content-Length"]) + apart
        ):
            found.append(f"Content-Length is {headers.get('Content-Length')}, not {wanted['Content-Length']}")
        return found


def express_etag(body: bytes) -> str:
    digest = base64.b64encode(hashlib.sha1(body).digest()).decode()[:27]
    return f'W/"{len(body):x}-{digest}"'


def compare_hook(capture: Capture, got: list[dict[str, Any]], names: Names) -> list[str]:
    """The differences between a recorded delivery and the one of ours that is most like it."""
    wanted = json.loads(capture.request["raw"]) if capture.request["raw"].startswith("{") else {}
    best: list[str] | None = None
    for one in got:
        if one["path"] != capture.request["path"]:
            continue
        actual = json.loads(one["raw"])
        trial = Names(dict(names.ours))
        found = differences(wanted, actual, trial) + _compare_hook_heads(capture, one)
        if best is None or len(found) < len(best):
            best = found
    return ["no delivery to that path"] if best is None else best


def _compare_hook_heads(capture: Capture, one: dict[str, Any]) -> list[str]:
    headers = {name.lower(): value for name, value in one["headers"].items()}
    wanted = {name.lower(): value for name, value in capture.request["headers"].items()}
    found = [f"header {name} is missing" for name in wanted if name not in headers]
    signed = wanted["x-cal-signature-256"] != "no-secret-provided"
    proof = hmac.new(_SECRET.encode(), one["raw"].encode(), hashlib.sha256).hexdigest()
    if headers.get("x-cal-signature-256") != (proof if signed else "no-secret-provided"):
        found.append("the signature is wrong")
    same = ("content-type", "x-cal-webhook-version", "user-agent", "content-length")
    return found + [
        f"header {name} is {headers.get(name)}, not {wanted[name]}"
        for name in same
        if headers.get(name) != wanted[name]
    ]


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    """Waits for something that another thread does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.01)
