"""Ends what a killed owner left behind. Whoever calls this holds the owner's lock."""

from functools import partial
from pathlib import Path

from calcom_pipeline.local import places
from calcom_pipeline.local.companions import CompanionServer, mark_of
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import Mark, end
from calcom_pipeline.local.servers import Postgres, Valkey, postmaster


def end_leftovers(folder: Folder) -> bool:
    """End all servers and companions that work for this data folder; True if there were any."""
    folder.withdraw()
    outside = places.system_folder(folder)
    ended = [_end_servers(folder.path)]
    if outside and places.belongs_to(outside, folder):
        ended.append(_end_servers(outside))
    if folder.companions.is_dir():
        marks = [mark_of(folder, left.name) for left in folder.companions.iterdir()]
        ended += [end(mark, CompanionServer.ways_to_end, list) for mark in marks]
    return any(ended)


def _end_servers(base: Path) -> bool:
    cluster = base / "postgres"
    ended = [
        end(Mark(base / "postgres.new", places.SERVER_PROGRAMS), (), list),
        end(Mark(cluster, places.SERVER_PROGRAMS), Postgres.ways_to_end, partial(postmaster, cluster)),
        end(Mark(base / "valkey", places.SERVER_PROGRAMS), Valkey.ways_to_end, list),
    ]
    return any(ended)
