"""The time since when Redis has told everything: it ends when the server is flushed, started anew or another one.

A server that comes back may have days that were cleared meanwhile (a snapshot, a replica that lagged), and one that was
flushed has forgotten what was cleared. So each new connection asks whether the epoch is still the one of this server's
process, and begins another if not, with nothing cached; `standing.lua` tells generations of two epochs apart.
"""

from threading import Lock
from typing import Any

from redis.exceptions import ResponseError

from calcom_pipeline.adapters.redis.availability.values import Names
from calcom_pipeline.adapters.redis.connection import script


class Epoch:
    """What a connection is greeted with. One for all connections of a process."""

    def __init__(self, *, prefix: str, settle_seconds: float) -> None:
        self._names = Names(prefix)
        self._settle_ms = int(settle_seconds * 1000)
        self._lock = Lock()
        self._latest = 0

    @property
    def command(self) -> tuple[str | int, ...]:
        """What is sent over a new connection."""
        keys = (self._names.epoch, self._names.process, self._names.settling_of_all)
        return ("EVAL", script("epoch_begin"), len(keys), *keys, self._settle_ms, self._latest)

    def met(self, answer: Any) -> None:
        """What was answered: the epoch's number. An earlier one is another server's, which was left meanwhile."""
        with self._lock:
            self._latest = max(self._latest, int(answer))

    def greet(self, connection: Any) -> None:
        """For redis-py, instead of its own greeting. A server that allows no such script is taken as it is."""
        # Without a look at its health: where the line broke meanwhile, the ping makes and greets another one, for ever.
        connection.on_connect_check_health(check_health=False)
        connection.send_command(*self.command, check_health=False)
        try:
            self.met(connection.read_response())
        except ResponseError:  # a replica, or a user who may not: nothing is stored there either
            return

    async def greet_soon(self, connection: Any) -> None:
        """The same from an event loop."""
        await connection.on_connect_check_health(check_health=False)
        await connection.send_command(*self.command, check_health=False)
        try:
            self.met(await connection.read_response())
        except ResponseError:
            return
