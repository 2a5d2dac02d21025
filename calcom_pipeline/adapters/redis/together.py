"""Scripts that go to the server together: one way there and back for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.commands.core import Script
from redis.exceptions import NoScriptError, RedisError

from calcom_pipeline.adapters.redis.connection import Client
from calcom_pipeline.app.limits import Errand


@dataclass(slots=True)
class ScriptCall:
    """A script with its keys and arguments; `answer` is that of the last time it ran, None before."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Any]
    answer: Any = None

    def run(self) -> None:
        """Run it alone."""
        self.answer = self.script(keys=list(self.keys), args=list(self.arguments))


def run_together(client: Client, errands: Sequence[Errand | None]) -> None:
    """Run them in this order, others may come in between. What the server has forgotten it is given again.

    All are scripts of this server; none stands for nothing to do.

    Raises:
        RedisError: one of them failed.
    """
    calls = [cast("ScriptCall", errand) for errand in errands if errand is not None]
    if len(calls) == 1:
        calls[0].run()
        return
    pipe: Any = client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType]  # redis-py types it loosely
    for call in calls:
        pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.arguments)
    for call, answer in zip(calls, pipe.execute(raise_on_error=False), strict=True):
        if isinstance(answer, NoScriptError):
            call.run()
        elif isinstance(answer, RedisError):
            raise answer
        else:
            call.answer = answer
