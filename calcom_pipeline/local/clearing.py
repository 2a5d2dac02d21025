"""Ends what a killed owner left behind, and deletes what was made. The caller holds the owner's lock."""

import shutil
from contextlib import suppress
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


def delete_all(folder: Folder) -> None:
    """Delete what was made for this data folder, also outside of it; what others have put there stays.

    Nothing of it runs, and the users' lock is the caller's too. The locks go last: who gets one of them
    later finds that it is no longer the file of that name, and begins anew.
    """
    places.discard_sockets(folder)
    outside = places.system_folder(folder)
    if outside and places.belongs_to(outside, folder):
        shutil.rmtree(outside)
    for name in (*places.PARTS, "run", "access", "cache"):  # in "cache" users keep what can be made anew
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for path in (folder.logs, folder.requests, folder.companions):
        shutil.rmtree(path, ignore_errors=True)
    folder.withdraw()
    for file in (folder.system_folder, folder.pin, folder.users_lock, folder.owner_lock):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # not empty: somebody else's files
        folder.path.rmdir()


def _end_servers(base: Path) -> bool:
    cluster = base / "postgres"
    ended = [
        end(Mark(base / "postgres.new", places.SERVER_PROGRAMS), (), list),
        end(Mark(cluster, places.SERVER_PROGRAMS), Postgres.ways_to_end, partial(postmaster, cluster)),
        end(Mark(base / "valkey", places.SERVER_PROGRAMS), Valkey.ways_to_end, list),
    ]
    return any(ended)
