"""The table of event types, with their places under owners, teams and managed parents."""

from collections.abc import Iterable, Iterator, Mapping, ValuesView

from calcom_pipeline.sandbox.state.model import SandboxEventType

_Places = dict[int, dict[int, None]]  # ids in the order in which they came


class EventTypeTable(Mapping[int, SandboxEventType]):
    """Event types by id. A type never changes its owner, team or parent."""

    def __init__(self) -> None:
        self._rows: dict[int, SandboxEventType] = {}
        self._by_owner: _Places = {}
        self._by_team: _Places = {}
        self._by_parent: _Places = {}

    def __getitem__(self, event_type_id: int) -> SandboxEventType:
        return self._rows[event_type_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> ValuesView[SandboxEventType]:
        """All rows, in the order in which they came."""
        return self._rows.values()

    def put(self, row: SandboxEventType) -> None:
        """Adds a row, or puts a changed one in the place of the old."""
        self._rows[row.id] = row
        for owner, places in self._owners(row):
            places.setdefault(owner, {})[row.id] = None

    def drop(self, row: SandboxEventType) -> None:
        """Takes a row out."""
        self._rows.pop(row.id, None)
        for owner, places in self._owners(row):
            places.get(owner, {}).pop(row.id, None)

    def _owners(self, row: SandboxEventType) -> list[tuple[int, _Places]]:
        owners = ((row.owner_id, self._by_owner), (row.team_id, self._by_team), (row.parent_id, self._by_parent))
        return [(owner, places) for owner, places in owners if owner is not None]

    def of_owner(self, user_id: int) -> list[SandboxEventType]:
        """A user's own types, children of managed ones included."""
        return [self._rows[one] for one in self._by_owner.get(user_id, ())]

    def of_team(self, team_id: int) -> list[SandboxEventType]:
        """A team's types, managed parents included, their children not."""
        return [self._rows[one] for one in self._by_team.get(team_id, ())]

    def children_of(self, event_type_id: int) -> list[SandboxEventType]:
        """The children of a managed type, by id."""
        return [self._rows[one] for one in sorted(self._by_parent.get(event_type_id, ()))]

    def ids_of_teams(self, team_ids: Iterable[int]) -> list[int]:
        """The ids of the types of several teams."""
        return [one for team_id in team_ids for one in self._by_team.get(team_id, ())]

    def with_children(self, event_type_ids: Iterable[int]) -> set[int]:
        """Ids together with those of their children."""
        found = set(event_type_ids)
        return found | {child for one in found for child in self._by_parent.get(one, ())}
