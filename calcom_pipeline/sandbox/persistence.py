"""The state file: which account was made when, everything that happened to it since, and where its generators stand.

Generated rows are not written; they come from the seed again. Of the generators those are kept that decide the order
of rows; uids and keys come from a new one in each life, since a killed process has handed out some that the file does
not know (see `sequences`).
"""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from calcom_pipeline.sandbox.accounts.files import TABLES, read_tables
from calcom_pipeline.sandbox.accounts.specs import AccountSpec, build
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.state.codec import from_plain, to_plain
from calcom_pipeline.sandbox.state.model import SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.state.world import Sequences, World

_FORMAT: Final = 1  # of the file; another number is refused


def load_or_create(path: Path | None, spec: AccountSpec) -> tuple[AccountSpec, World, Json]:
    """The account of a state file if there is one, else the one of the spec; and where its generators stood, if known.

    The file's account wins over the spec's numbers, but not over its kind. Raises ValueError for a file that cannot
    be used.
    """
    if path is None or not path.exists():
        return spec, build(spec), {}
    found = is_object(orjson.loads(path.read_bytes()))
    if found is None or found.get("format") != _FORMAT:
        raise ValueError(f"{path.name} is no state file of this release")
    kept = from_plain(AccountSpec, found["spec"])
    if kept.kind != spec.kind:
        raise ValueError(f"{path.name} holds the account {kept.kind!r}, not {spec.kind!r}")
    return kept, restore(build(kept), found), found.get("generators", {})


def restore(world: World, found: Json) -> World:
    """Puts back what happened to an account that was just made again."""
    for name in TABLES:
        getattr(world, name).clear()
    read_tables(world, found["tables"])
    for row in list(world.event_types.values()):
        world.event_types.drop(row)
    for given in found["event_types"]:
        world.event_types.put(from_plain(SandboxEventType, given))
    table = world.bookings
    for booking_id in found["deleted"]:
        gone = table.find_id(booking_id)
        if gone is not None:
            table.delete(gone)
    for booking_id, updated in found["stamped"]:
        kept = table.find_id(booking_id)
        if kept is not None:
            table.stamp([table.position_of(kept)], updated)
    for given in found["bookings"]:
        booking = from_plain(SandboxBooking, given)
        if table.find_id(booking.id) is None:
            table.add(booking)
        else:
            table.save(booking)
    world.sequences = from_plain(Sequences, found["sequences"])
    world.touch_event_types()
    return world


def snapshot(spec: AccountSpec, sandbox: Sandbox) -> bytes:
    """The content of a state file."""
    world = sandbox.world
    tables = {name: list(getattr(world, name).values()) for name in TABLES}
    found: Json = {
        "format": _FORMAT,
        "spec": asdict(spec),
        "tables": tables,
        "event_types": list(world.event_types.values()),
        "bookings": list(world.bookings.changed()),
        "deleted": world.bookings.deleted_base_ids(),
        "stamped": world.bookings.stamped(),
        "sequences": to_plain(world.sequences),
        "generators": sandbox.generators(),
    }
    return orjson.dumps(found)
