"""What upkeep asks of others: those who hold records with a lifetime, and the ways to people."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.domain.maintenance.alerts import AlertMessage


class Records(Protocol):
    """Records of one kind, which nobody needs for ever."""

    @property
    def kind(self) -> str:
        """Names them to people."""
        ...

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete some that ended before then and that nothing needs any more; how many, 0 if there are none left.

        About `limit` in one transaction, so that none is long. Raises what the store raises.
        """
        ...


class NotSent(Exception):  # noqa: N818 - says what became of the message
    """A message did not get out; the text says why and holds no secret."""


class AlertChannel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Names it to people."""
        ...

    def send(self, message: AlertMessage) -> None:
        """Send it. Raises NotSent."""
        ...


class AlertLog(Protocol):
    """The table `alerts`: which causes people were told of."""

    def claim(self, cause: str, *, now: datetime, repeat: timedelta) -> int | None:
        """Take it on to tell of a cause; how many failures went untold since the last message.

        None if it was told less than `repeat` ago, or somebody else is telling; the failure is counted then.
        """
        ...

    def release(self, cause: str) -> None:
        """It was not told after all."""
        ...

    def forget(self, causes: Sequence[str]) -> None:
        """They are over: the next failure of each is told at once."""
        ...
