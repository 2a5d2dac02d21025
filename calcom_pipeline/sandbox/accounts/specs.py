"""Which account a sandbox serves, as values, and how it is made from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from calcom_pipeline.sandbox.accounts.captures import build_captures
from calcom_pipeline.sandbox.accounts.files import build_file
from calcom_pipeline.sandbox.accounts.generated import AccountWishes, build_generated
from calcom_pipeline.sandbox.state.world import World

Kind = Literal["captures", "generated", "demo", "file"]
DEMO_KEY: Final = "cal_demo0000000000000000000000000001"
DEMO_SEED: Final = 20240614
DEMO_EVENT_TYPES: Final = 60
DEMO_TEAMS: Final = 3
DEMO_BOOKINGS: Final = 5_000
_GENERATED_EVENT_TYPES: Final = 100
_GENERATED_TEAMS: Final = 3
_GENERATED_BOOKINGS: Final = 10_000


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account that can be made again. `created` is when it was made first, in milliseconds since 1970.

    Numbers that are None are the kind's own; `path` is the file of a file account.
    """

    kind: Kind
    created: int
    seed: int = 1
    event_types: int | None = None
    teams: int | None = None
    bookings: int | None = None
    organization: bool = False
    path: str | None = None

    @property
    def shuffles_rows(self) -> bool:
        """Whether unsorted lists change their order; the recorded account keeps the recorded one."""
        return self.kind != "captures"


def kind_of(account: str) -> Kind:
    """The kind that the command line's `--account` means: a name, or else a file."""
    if account == "captures" or account == "generated" or account == "demo":  # noqa: PLR1714 - pyright narrows by it
        return account
    return "file"


def build(spec: AccountSpec) -> World:
    """The account of a spec. Raises ValueError or OSError for a file that is no account."""
    if spec.kind == "captures":
        return build_captures(spec.created, with_event_types=spec.event_types != 0)
    if spec.kind == "file":
        return build_file(Path(spec.path or ""), spec.created)
    is_demo = spec.kind == "demo"
    wishes = AccountWishes(
        seed=DEMO_SEED if is_demo else spec.seed,
        now=spec.created,
        event_types=_chosen(spec.event_types, DEMO_EVENT_TYPES if is_demo else _GENERATED_EVENT_TYPES),
        teams=_chosen(spec.teams, DEMO_TEAMS if is_demo else _GENERATED_TEAMS),
        bookings=_chosen(spec.bookings, DEMO_BOOKINGS if is_demo else _GENERATED_BOOKINGS),
        organization=spec.organization,
        owner_key=DEMO_KEY if is_demo else None,
    )
    return build_generated(wishes)


def _chosen(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given
