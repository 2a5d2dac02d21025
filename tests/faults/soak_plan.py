"""What is done to whom and when in a soak: all of it drawn from the seed before it begins.

A full soak of half an hour has 240 kills and 12 of every fault; a shorter one its share, but each at least once.
"""

import random
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final

from calcom_pipeline.sandbox.control.faults import PAGE_FAULTS, REQUEST_FAULTS, WEBHOOK_FAULTS

FULL_MINUTES: Final = 30.0
KILLS: Final = 240
EACH: Final = 12
#: What the issue asks of a full soak.
LEAST_KILLS, LEAST_EACH = 200, 10
#: How often each kind of process is killed, of a hundred.
SHARES: Final = {
    "run": 24, "fork server": 3, "code server": 9, "daemon": 9, "webserver": 5, "guard": 5, "up": 7, "owner": 7,
    "postmaster": 7, "backend": 7, "valkey": 6, "sandbox": 6, "receiver": 5,
}  # fmt: skip
LINES: Final = ("Cal.com", "PostgreSQL", "Dagster's PostgreSQL", "Redis")
#: How long each lasts, in seconds: drawn between the two.
LASTING: Final = {"half-open": (2.0, 9.0), "clock": (3.0, 15.0), "disk full": (1.0, 7.0)}
#: A processes' clock is wrong by so many seconds, either way.
JUMPS: Final = (5.0, 600.0)
#: The last seconds of a minute are left alone, so that something gets done.
BREATH_SECONDS: Final = 10.0

#: Lists of bookings, which only our accounts read: a fault of theirs strikes whichever comes first.
READS_ROWS: Final = "GET /v2/*bookings"
_UNREADABLE = {"id": "none", "start": "yesterday", "lengthInMinutes": "long", "hosts": 7}
#: What a fault of the stand-in is given. Lies about rows are told where something notices: in lists of bookings and of
#: event types. A list of slots that was half as long would be the truth for whoever reads it.
_LISTS: Final[dict[str, dict[str, Any]]] = {
    "half_list": {"endpoint": READS_ROWS},
    "empty_list": {"endpoint": READS_ROWS},
    "repeated_row": {"endpoint": READS_ROWS, "row": 1},
    "malformed_row": {"endpoint": "GET /v2/*", "where": {}, "set": _UNREADABLE},
    "bent_body": {"endpoint": READS_ROWS, "set": {"pagination": {"totalItems": 9_999_999}}},
    "time_zone": {"endpoint": READS_ROWS, "text": "Mars/Olympus_Mons"},
    "change_inside_page": {"endpoint": READS_ROWS, "rows": 3},
    "fail_after_create": {"endpoint": "POST /v2/*"},
    "echo_key": {"status": 400},
    "html": {"status": 502},
    "huge_body": {"megabytes": 70},
    "gzip_bomb": {"megabytes": 70},
    "drip_headers": {"seconds": 0.05},
    "drip_body": {"seconds": 0.02},
    "webhook_late": {"seconds": 6.0},
    "webhook_reordered": {"seconds": 3.0},
    "headers": {"headers": {"X-RateLimit-Remaining-default": "-1", "X-RateLimit-Reset-default": "soon"}},
}


@dataclass(frozen=True)
class Blow:
    """One thing that is done: `at` seconds after the beginning, for `lasting` seconds. `what` is of its `kind`."""

    at: float
    kind: str
    what: str
    lasting: float = 0.0
    #: Which of those that could be meant, from 0 up to 1.
    share: float = 0.0
    details: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """What it is counted as."""
        return f"{self.kind}: {self.what}"


def drawn(seed: int, minutes: float, *, disk: bool = True) -> list[Blow]:
    """The whole soak, in order of time."""
    dice = random.Random(f"soak-{seed}")
    part = min(1.0, minutes / FULL_MINUTES)
    kinds = [("kill", kind) for kind in _kills(round(KILLS * part), dice)]
    each = max(1, round(EACH * part))
    kinds += [("API", kind) for kind in (*REQUEST_FAULTS, *PAGE_FAULTS) for _ in range(each)]
    kinds += [("webhook", kind) for kind in WEBHOOK_FAULTS for _ in range(each)]
    kinds += [(how, line) for how in ("cut", "half-open") for line in LINES for _ in range(each)]
    kinds += [("clock", "of our processes")] * each
    kinds += [("disk full", "data and spool")] * (each if disk else 0)
    dice.shuffle(kinds)
    moments = sorted(_moment(dice, minutes) for _ in kinds)
    return list(starmap(lambda at, kind: _blow(at, *kind, dice), zip(moments, kinds, strict=True)))


def least(minutes: float) -> tuple[int, int]:
    """How many kills, and how many of every fault, a soak of that length must have had."""
    part = min(1.0, minutes / FULL_MINUTES)
    return int(LEAST_KILLS * part), max(1, int(LEAST_EACH * part))


def _kills(number: int, dice: random.Random) -> list[str]:
    """So many, each kind by its share and at least once."""
    certain = list(SHARES)[:number]
    others = dice.choices(list(SHARES), weights=list(SHARES.values()), k=number - len(certain))
    return certain + others


def _moment(dice: random.Random, minutes: float) -> float:
    while True:
        at = dice.uniform(0, minutes * 60)
        if at % 60 < 60 - BREATH_SECONDS:
            return at


def _blow(at: float, kind: str, what: str, dice: random.Random) -> Blow:
    details: dict[str, Any] = {}
    if kind in ("API", "webhook"):
        details = {"seed": dice.randrange(1_000_000), "count": dice.randint(1, 2), **_LISTS.get(what, {})}
    if what == "latency":
        details["seconds"] = dice.choice((2.0, 8.0, 18.0))
    if what == "error":
        details["status"] = dice.choice((500, 502, 503, 504))
    if what == "date_header":
        details["seconds"] = dice.choice((-1, 1)) * dice.choice((90.0, 3600.0, 86_400.0))
    if kind == "clock":
        details["seconds"] = dice.choice((-1, 1)) * dice.uniform(*JUMPS)
    lasting = dice.uniform(*LASTING.get(kind, (0.0, 0.0)))
    return Blow(at, kind, what, lasting, dice.random(), tuple(details.items()))
