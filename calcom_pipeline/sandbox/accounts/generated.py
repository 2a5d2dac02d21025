"""Puts a generated account together. The same wishes make the same account."""

from calcom_pipeline.sandbox.accounts.generation.details import DetailSource
from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes
from calcom_pipeline.sandbox.accounts.generation.layout import lay_out
from calcom_pipeline.sandbox.accounts.generation.offers import add_event_types
from calcom_pipeline.sandbox.accounts.generation.people import add_people
from calcom_pipeline.sandbox.accounts.generation.rows import GeneratedRows
from calcom_pipeline.sandbox.accounts.generation.wishes import AccountWishes
from calcom_pipeline.sandbox.state.bookings import BookingTable
from calcom_pipeline.sandbox.state.world import World

__all__ = ["AccountWishes", "build_generated"]


def build_generated(wishes: AccountWishes) -> World:
    """The account; its bookings are columns until somebody asks for a row."""
    world, hashes = World(), Hashes(wishes.seed)
    add_people(world, wishes, hashes)
    offers = add_event_types(world, wishes, hashes)
    if not offers or not wishes.bookings:
        return world
    layout = lay_out(world, offers, hashes, wishes.bookings, wishes.now)
    rows = GeneratedRows(DetailSource(world, offers, hashes, layout))
    world.bookings = BookingTable(rows)
    world.sequences.booking = len(rows) + 1
    world.sequences.attendee = rows.attendee_ids + 1
    return world
