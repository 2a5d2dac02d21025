"""Follow small edits of services at once, where a process runs anyway: the same sync that Dagster's run does.

It is a short cut. Dagster's sensor reads the feed by itself, and its run finds done what was done here. What fails,
edits of many services, and a first look at a feed are left to it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from calcom_pipeline.app.services.ports import ServiceFeed
from calcom_pipeline.app.services.sync import ServicesSynced
from calcom_pipeline.domain.errors import AnotherApply

#: The reader of the feed that all processes of an account are together.
FOLLOWER = "services_follower"

#: What a look came to: nothing was edited, services were synced, too many were edited, or others are at it.
Following = Literal["idle", "synced", "left", "busy"]


@dataclass(frozen=True, slots=True)
class Followed:
    """What a look found and did."""

    what: Following
    services: tuple[str, ...] = ()
    result: ServicesSynced | None = None


def follow_services(
    feed: ServiceFeed,
    sync: Callable[[Sequence[str]], ServicesSynced],
    alone: Callable[[], AbstractContextManager[bool]],
    *,
    most: int,
) -> Followed:
    """Sync what somebody edited since the last look, if it is no more than `most` services.

    `alone` tells in its block whether no other process follows meanwhile; it is asked only once something was edited.
    One that is killed in between has the next look do it again, which finds it done.

    Raises:
        CalcomError: Cal.com could not be asked; these edits are left to Dagster.
        StoreError: PostgreSQL is away.
    """
    position = feed.reached(FOLLOWER)
    if feed.settled_after(position).cursor == position:
        return Followed("idle")
    with alone() as is_alone:
        return _follow(feed, sync, most) if is_alone else Followed("busy")


def _follow(feed: ServiceFeed, sync: Callable[[Sequence[str]], ServicesSynced], most: int) -> Followed:
    batch = feed.settled_after(feed.reached(FOLLOWER))  # another process may have come further meanwhile
    ids = batch.service_ids
    if batch.everything or len(ids) > most:
        feed.keep(FOLLOWER, batch.cursor)
        return Followed("left", ids)
    if not ids:  # our own writes
        feed.keep(FOLLOWER, batch.cursor)
        return Followed("idle")
    try:
        result = sync(ids)
    except AnotherApply:  # a plan of before these edits, perhaps
        return Followed("busy", ids)
    except Exception:
        feed.keep(FOLLOWER, batch.cursor)
        raise
    feed.keep(FOLLOWER, batch.cursor)
    return Followed("synced", ids, result)
