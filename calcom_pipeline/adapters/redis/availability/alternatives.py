"""The second layer: answers to questions for alternatives, kept with the event type that a question names first.

`slots:near:<event type id>` is a hash: a digest of the question, and `<end of its life, unix ms> <generations> <JSON>`.
JSON: `{"v": 1, "as_of": <ISO instant>, "starts": [[<event type id>, <unix seconds>, <seats remaining or null>], ...]}`.
Clearing days deletes the hash (`days.py`) and raises the generation, which puts away what other hashes hold of it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, cast

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.app.availability.ports import Kept
from calcom_pipeline.domain.availability.finding import Alternative, Alternatives
from calcom_pipeline.domain.availability.questions import NearestQuestion

FORMAT_VERSION = 1
# Answers lapse one by one, but their place is given back only when all of them are over: so many, each some hundred
# bytes, bound what one event type may take. Beyond that it starts anew.
MOST_ANSWERS = 1_000


class RedisAlternativesCache:
    """Answers to questions for alternatives."""

    def __init__(self, client: Client, *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._read = client.register_script(script("standing", "near_read"))
        self._store = client.register_script(script("standing", "near_store"))

    def look(self, question: NearestQuestion) -> Kept:
        """See the port. A value that cannot be read is none."""
        keys = [self._key("near", question.event_type_ids[0]), f"{self._prefix}slots:epoch"]
        keys += [self._key("generation", number) for number in question.event_type_ids]
        with redis_failures("Reading alternatives"):
            value, *generations = cast("list[bytes]", self._read(keys=keys, args=[_digest(question)]))
        return Kept(_unpacked(value), tuple(generation.decode() for generation in generations))

    def keep(
        self, question: NearestQuestion, found: Alternatives, *, generations: Sequence[str], seconds: float
    ) -> bool:
        """See the port."""
        keys = [self._key("near", question.event_type_ids[0]), f"{self._prefix}slots:epoch"]
        for number in question.event_type_ids:
            keys += [self._key("generation", number), self._key("held", number)]
        args = [_digest(question), _packed(found), int(seconds * 1000), MOST_ANSWERS, *generations]
        with redis_failures("Storing alternatives"):
            return bool(self._store(keys=keys, args=args))  # pyright: ignore[reportArgumentType]

    def _key(self, kind: str, event_type_id: int) -> str:
        return f"{self._prefix}slots:{kind}:{event_type_id}"


def _digest(question: NearestQuestion) -> str:
    return sha256(question.key.encode()).hexdigest()[:32]


def _packed(found: Alternatives) -> bytes:
    starts = [[one.event_type_id, int(one.start.timestamp()), one.seats_remaining] for one in found.starts]
    return orjson.dumps({"v": FORMAT_VERSION, "as_of": found.as_of, "starts": starts})


def _unpacked(value: bytes) -> Alternatives | None:
    if not value:
        return None
    try:
        record = _RECORD.validate_json(value)
        starts = tuple(Alternative(i, datetime.fromtimestamp(at, UTC), seats) for i, at, seats in record.starts)
    except (ValueError, OverflowError, OSError):  # pydantic's errors are the first; the others come from the clock
        return None
    return Alternatives(starts, record.as_of)


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    v: Literal[1]
    as_of: AwareDatetime | None
    starts: list[tuple[int, int, int | None]]


_RECORD = TypeAdapter(_Record)
