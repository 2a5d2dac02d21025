"""How an error of a flight travels through Redis to those who waited for it: its kind, its words, its pause."""

import orjson

from calcom_pipeline.domain import errors
from calcom_pipeline.domain.errors import CircuitOpen, PipelineError, RateLimited, TransientError

_WITH_PAUSE = {"RateLimited": RateLimited, "CircuitOpen": CircuitOpen}
#: Kinds that are made of a sentence and its advice alone.
_PLAIN = ("NotFound", "Conflict", "Rejected", "Unauthorized", "ContractBroken", "StoreError", "CacheError")


class PipelineErrors:
    """Packs the errors of the pipeline. Their sentences hold no secret and no address by themselves."""

    def pack(self, error: PipelineError) -> str:
        """JSON: `kind`, `text`, `advice`, `retry_after` in seconds."""
        record = {"kind": type(error).__name__, "text": str(error), "advice": error.advice}
        if isinstance(error, RateLimited | CircuitOpen):
            record["retry_after"] = str(error.retry_after)
        return orjson.dumps(record).decode()

    def unpack(self, text: str) -> PipelineError:
        """The same kind where it is known, else the next one above: something that may pass."""
        record = orjson.loads(text)
        kind, words, advice = record["kind"], record["text"], record["advice"]
        if kind in _WITH_PAUSE:
            return _WITH_PAUSE[kind](words, retry_after=float(record["retry_after"]))
        if kind in _PLAIN:
            return getattr(errors, kind)(words, advice=advice)
        return TransientError(words, advice=advice)
