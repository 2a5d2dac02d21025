"""Embedded PostgreSQL and Valkey for a fresh machine and for tests.

What belongs here: finding the two servers' binaries, starting them under one owner process per data
folder, keeping them running, letting others join, stopping them. What does not: migrations, settings,
Dagster, the sandbox; this package knows no other part of calcom_pipeline. A server that it does not know
(the sandbox) is handed in as a `Companion`, a command line.

How it works. The first `join` (or `up`) starts a detached owner process, in a session of its own, so
that Ctrl-C in a terminal reaches neither it nor the servers. The owner holds a file lock, starts the
servers, starts one again that dies, and ends some seconds after its last user has left, unless it was
pinned by `up`. A user is whoever holds a shared lock on a file; the kernel drops it, however the user
dies. Everything that has to survive is in files; every question ("is there an owner?", "is this process
ours?") is put to the kernel, so that a stale file or a reused process id decides nothing.

Where it writes. A normal user's servers live in the data folder alone. Their sockets lie there too, or,
if the path is too long for a socket, in a private folder of the system's temporary folder, removed at
the end. Root's servers run as the user `nobody`, since PostgreSQL refuses root. If `nobody` may not enter
the data folder or run the binaries, then the servers' data, and a copy of the binaries, lie in
`/var/lib/calcom-pipeline/<hash of the data folder's path>-<random>`, written down in the data folder's
file `system-folder`. It is deleted by `remove` alone; only one that was made with `durable=False` (by
tests) is swept a day after its last start, if its data folder is gone.

Who gets in. The sockets lie in a folder that only the servers' user may enter, there is no TCP port, and
PostgreSQL asks the kernel who is calling: the user who started it, and root. As root that user is
`nobody`: programs that also run as `nobody` could reach Valkey.
"""

from calcom_pipeline.local.joining import down, join, make_folder, remove, status, up
from calcom_pipeline.local.values import Companion, LocalServerError, Servers

__all__ = ["Companion", "LocalServerError", "Servers", "down", "join", "make_folder", "remove", "status", "up"]
