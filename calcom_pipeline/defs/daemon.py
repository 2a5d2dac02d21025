"""Dagster's daemon: `python -m calcom_pipeline.defs.daemon run --workspace FILE`, with the options of `dagster-daemon`.

Dagster's own reads the whole code location from its code server again every minute, a request for each job: of a
hundred accounts those are 1,300, some ten seconds of CPU. This one reads it when the code server has become another
one, or could not be read before; a thread of Dagster's sees to the same within a second.

Where the clock was set back Dagster's own lets a sensor wait until the clock has come to its last tick again. Here it
looks at once.
"""

from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.scheduler.instigation import InstigatorState
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.workspace import CodeLocationEntry
from dagster._daemon import controller, sensor
from dagster._daemon.cli import main as dagster_daemon

_LAST_TICK_AHEAD_SECONDS = 10.0  # of daemons whose clocks differ; further ahead, it was set back
_since_last_tick = sensor.get_elapsed


class UnchangedWorkspace(WorkspaceProcessContext):
    """The code locations of a workspace, read anew only if there is anything new."""

    def refresh_workspace(self) -> None:
        """Read all of them again, unless each was read from the code server that serves it now."""
        entries = list(self.get_current_workspace().code_location_entries.values())
        if not entries or not all(_is_current(entry) for entry in entries):
            super().refresh_workspace()


def _is_current(entry: CodeLocationEntry) -> bool:
    location = entry.code_location
    if entry.load_error is not None or not isinstance(location, GrpcServerCodeLocation):
        return False
    try:
        return location.client.get_server_id() == location.server_id
    except (DagsterUserCodeUnreachableError, DagsterUserCodeProcessError):
        return False


def elapsed_since_tick(state: InstigatorState) -> float | None:
    """Seconds since a sensor's last tick; None where it had none by the clock of now."""
    elapsed = _since_last_tick(state)
    return None if elapsed is not None and elapsed < -_LAST_TICK_AHEAD_SECONDS else elapsed


def main() -> None:
    """Run it."""
    sensor.get_elapsed = elapsed_since_tick
    setattr(controller, WorkspaceProcessContext.__name__, UnchangedWorkspace)
    dagster_daemon()


if __name__ == "__main__":
    main()
