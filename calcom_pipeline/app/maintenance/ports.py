"""What keeping lifetimes asks of those who hold the records."""

from datetime import datetime
from typing import Protocol


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
