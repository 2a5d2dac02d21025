"""The order of the tests: what takes long begins first and is dealt to all workers, so that nothing long runs alone
at the end."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

# Seconds that a file takes alone, roughly, on two quiet cores. A file that is not here takes less than 20.
LONG: dict[str, int] = {
    "tests/integration/storage/test_pooler.py": 70,
    "tests/integration/transport/test_secrets_stay_inside.py": 60,
    "tests/defs/test_loop.py": 40,
    "tests/integration/availability/test_coalescing.py": 40,
    "tests/integration/web/test_serve.py": 40,
    "tests/integration/faces/test_cli_console.py": 35,
    "tests/defs/test_shell.py": 30,
    "tests/integration/local/test_survival.py": 30,
    "tests/integration/local/test_users.py": 30,
    "tests/integration/transport/test_client_faults.py": 30,
    "tests/defs/services/test_desk.py": 30,
    "tests/defs/bookings/test_assets.py": 30,
    "tests/integration/availability/test_cached_days_are_true.py": 30,
    "tests/faults/test_webhook_storms.py": 25,
    "tests/faults/test_limiter_storms.py": 25,
    "tests/faults/test_reconcile_kills.py": 25,
    "tests/integration/local/test_servers.py": 25,
    "tests/defs/test_described_accounts.py": 25,
    "tests/defs/test_run_per_change.py": 25,
    "tests/faults/test_creates.py": 20,
    "tests/faults/test_bookings.py": 20,
    "tests/defs/bookings/test_loop.py": 20,
    "tests/integration/webhooks/test_receivers_of_accounts.py": 20,
}


class Item(Protocol):
    """A test, as pytest collects it."""

    nodeid: str


_T = TypeVar("_T", bound=Item)


def long_ones_first(items: Sequence[_T], workers: int) -> list[_T]:
    """The same tests, so that each of the equal shares that pytest-xdist cuts begins with long files.

    A file stays whole: its servers are set up once.
    """
    files: dict[str, list[_T]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    hands: list[list[_T]] = [[] for _ in range(workers)]
    seconds = [0] * workers
    for name in sorted(LONG.keys() & files.keys(), key=lambda name: (-LONG[name], name)):
        least = seconds.index(min(seconds))
        hands[least] += files.pop(name)
        seconds[least] += LONG[name]
    rest = [item for file in files.values() for item in file]
    ordered: list[_T] = []
    for number, hand in enumerate(hands):
        share = (len(items) - len(ordered)) // (workers - number)
        taken = max(0, share - len(hand)) if number < workers - 1 else len(rest)
        ordered += hand + rest[:taken]
        rest = rest[taken:]
    return ordered
