"""One try to start an owner: a process of its own that says, on a pipe, how it went."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calcom_pipeline.local import logs
from calcom_pipeline.local.folder import Folder, FolderRequest
from calcom_pipeline.local.processes import FAMILY_VARIABLE
from calcom_pipeline.local.values import Terms

OWNER_MODULE = "calcom_pipeline.local.owner"
_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Outcome:
    """How a launch ended, as seen by its starter."""

    ready: bool = False
    error: str | None = None
    """Why the servers do not start; None together with not ready: another owner was first, or this one was killed."""


class Launch:
    """An owner that was just started. Forgotten rather than ended: others may wait for its servers."""

    def __init__(self, folder: Folder, requests: Sequence[FolderRequest], terms: Terms) -> None:
        argv = [sys.executable, "-P", "-m", OWNER_MODULE, str(folder.path)]
        argv += ["--linger-seconds", str(terms.linger_seconds)]
        argv += [] if terms.durable else ["--fast"]
        argv += [] if terms.keep_data else ["--delete-data"]
        for request in requests:
            argv += ["--companion", request.text()]
        self._output = b""
        self._pipe, writer = os.pipe()
        errors = logs.open_log(folder.log("owner"))
        try:
            os.set_blocking(self._pipe, False)
            subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=errors,
                env=_environment(),
                start_new_session=True,
                check=False,
            )
        except BaseException:
            self.forget()
            raise
        finally:
            os.close(writer)
            os.close(errors)

    def poll(self) -> Outcome | None:
        """How it ended; None while it is starting."""
        try:
            chunk = os.read(self._pipe, _READ_BYTES)
        except BlockingIOError:
            return None
        if chunk:
            self._output += chunk
            return None
        report: dict[str, str] = {}
        with suppress(ValueError):
            report = json.loads(self._output)
        return Outcome(ready="ready" in report, error=report.get("error"))

    def forget(self) -> None:
        """Listen no more."""
        os.close(self._pipe)


def _environment() -> dict[str, str]:
    """Ours, with the way to this package in it: it may be importable by the current folder alone."""
    spec = importlib.util.find_spec("calcom_pipeline")
    assert spec is not None
    assert spec.origin is not None
    root = str(Path(spec.origin).resolve().parent.parent)
    environment = {name: value for name, value in os.environ.items() if name != FAMILY_VARIABLE}
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    return environment
