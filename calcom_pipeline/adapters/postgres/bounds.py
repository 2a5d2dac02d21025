"""How long PostgreSQL is waited for, by the kind of work; see the settings `database_*` and `ledger_seconds`."""

from dataclasses import dataclass
from typing import Literal

#: An answer for a person or a sensor; rows of a page and bookkeeping; whole tables; the schema; the record of calls.
Work = Literal["read", "write", "whole", "migration", "ledger"]
WORKS: tuple[Work, ...] = ("read", "write", "whole", "migration", "ledger")


@dataclass(frozen=True, slots=True)
class DatabaseBounds:
    """Seconds, but for `attempts`: how often a transaction is tried that lost against another one.

    `answer_seconds` is the silence that is borne beyond what a statement may take: the server's own time-outs come
    first, unless it or the way to it is dead. After a connection could not be made the server is left alone for
    `pause_seconds`.
    """

    connect_seconds: int = 5
    answer_seconds: float = 10.0
    lock_seconds: float = 30.0
    read_seconds: float = 30.0
    write_seconds: float = 60.0
    whole_seconds: float = 1800.0
    migration_seconds: float = 3600.0
    ledger_seconds: float = 5.0
    idle_seconds: float = 600.0
    attempts: int = 4
    pause_seconds: float = 0.0

    def statement_seconds(self, work: Work) -> float:
        """Longest run of one statement."""
        return {
            "read": self.read_seconds,
            "write": self.write_seconds,
            "whole": self.whole_seconds,
            "migration": self.migration_seconds,
            "ledger": self.ledger_seconds,
        }[work]

    def longest_lock_seconds(self, work: Work) -> float:
        """Longest wait for somebody else's lock. The ledger's is over before whoever closes it has lost patience."""
        return min(self.lock_seconds, self.ledger_seconds / 2) if work == "ledger" else self.lock_seconds

    def patience_seconds(self, work: Work) -> float:
        """Longest wait of ours for one answer, past which the server or the way to it is taken for dead."""
        return self.statement_seconds(work) + self.longest_lock_seconds(work) + self.answer_seconds

    def connection_options(self) -> dict[str, int]:
        """The options of the driver and of TCP: a line that acknowledges nothing is dead after twice the silence."""
        silence = max(1, round(self.answer_seconds))
        return {
            "connect_timeout": self.connect_seconds,
            "keepalives": 1,
            "keepalives_idle": silence,
            "keepalives_interval": max(1, silence // 3),
            "keepalives_count": 3,
            "tcp_user_timeout": 2000 * silence,
        }


def setting_of(work: Work) -> str:
    """The setting that bounds a statement of such work."""
    return "CALCOM_LEDGER_SECONDS" if work == "ledger" else f"CALCOM_DATABASE_{work.upper()}_SECONDS"
