"""The commands of a tutorial, run as its reader runs them: in order, in one shell, servers in the background.

Blocks marked `sh` are commands; a reader's own values (a key, the name of a plan) are filled in.
"""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.web import free_port

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVES = re.compile(r"make up|calcom-pipeline (serve|up|sandbox serve)\b")
#: Looked at and left by Ctrl-C before the next block; the others serve until the end, in a terminal of their own.
_LOOKED_AT = re.compile(r"make up|calcom-pipeline up\b")
_PORTS = re.compile(r"\b(3000|5555|808\d)\b")
_UI_PORT = "3000"
#: They stand in single quotes, within JSON.
_QUOTED = ("START",)
_COMMAND_SECONDS, _START_SECONDS, _STOP_SECONDS = 300, 120, 60
# A checkout's environment: the one that runs this test, under the names that `make` and `activate` have for it.
_PRELUDE = """set -m
newest() {{
    case "$1" in
    PLAN) sed -nE 's/.*calcom-pipeline apply ([0-9]{{8}}-[0-9]{{6}}-[0-9a-f]{{8}}).*/\\1/p' {log} ;;
    START) grep -oE '"start":"[^"]+Z"' {log} | cut -d '"' -f 4 ;;
    HOLD) sed -nE 's/.*"reservationUid":"([^"]+)".*/\\1/p' {log} ;;
    esac | tail -1 | grep .
}}
git() {{
    command git "$@" || return
    test "$1" = clone || return 0
    mkdir -p "$3/.venv/bin"
    ln -s {prefix}/lib "$3/.venv/lib"
    ln -s {prefix}/bin/* "$3/.venv/bin/"
    rm -f "$3"/.venv/bin/activate
    echo 'PATH="$PWD/.venv/bin:$PATH"' > "$3/.venv/bin/activate"
    cp {prefix}/pyvenv.cfg "$3/.venv/"
    touch "$3/.venv/.runtime"
}}
"""


def blocks(page: Path) -> list[str]:
    """The commands of a page, block by block."""
    return _BLOCK.findall(page.read_text())


def is_serving(block: str) -> bool:
    """Whether it serves until Ctrl-C; such a command is a block of its own."""
    return bool(_SERVES.search(block))


@dataclass
class Reader:
    """One shell in an empty folder, with what its reader would fill in. End it with `leave`."""

    folder: Path
    environment: dict[str, str]
    filled: Mapping[str, str]
    ports: dict[str, str] = field(default_factory=dict)
    _serving: list[int] = field(default_factory=list)
    _done: int = 0

    def __post_init__(self) -> None:
        self.log = self.folder / "said.log"
        self.environment["CALCOM_UI_PORT"] = self.ports[_UI_PORT] = str(free_port())
        with self.log.open("wb") as said:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment,
                text=True,
            )
        self._send(_PRELUDE.format(prefix=sys.prefix, log=self.log))

    def follow(self, block: str) -> None:
        """Run a block; AssertionError with what was said unless each of its commands exits with 0."""
        text = self._with_values(block)
        if not is_serving(text):
            self._send(f"set -eo pipefail\n{text}")
            return
        self._send(f"{text.rstrip()} &\necho $! > {self.folder}/pid\n")
        self._serving.append(int((self.folder / "pid").read_text()))
        self._await_answer(text)
        if _LOOKED_AT.search(text):
            self._stop(self._serving.pop())

    def said(self) -> str:
        """All that was printed so far."""
        return self.log.read_text(errors="replace")

    def leave(self) -> None:
        """End the shell and all that it serves, and drop the embedded servers of its data folder."""
        for group in self._serving:
            self._stop(group)
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        self._shell.wait(_STOP_SECONDS)
        alone = {name: value for name, value in self.environment.items() if name != "CALCOM_BASE_URL"}  # wants a key
        words = [sys.executable, "-m", "calcom_pipeline.cli", "local", "remove"]
        subprocess.run(words, env=alone, check=True, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _with_values(self, block: str) -> str:
        for name, value in self.filled.items():
            block = block.replace(name, value)
        for port in _PORTS.findall(block):
            self.ports.setdefault(port, str(free_port()))
        block = _PORTS.sub(lambda found: self.ports[found[0]], block)
        return re.sub(r"\b(PLAN|START|HOLD)\b", lambda found: self._newest(found[0]), block)

    def _newest(self, name: str) -> str:
        """What a reader would copy, looked up when the line runs: a block may plan and apply. Ends a quoted text."""
        looked_up = f"$(newest {name})"
        return f"'\"{looked_up}\"'" if name in _QUOTED else looked_up

    def _send(self, text: str) -> None:
        self._done += 1
        script, done = self.folder / f"{self._done}.sh", self.folder / f"{self._done}.done"
        script.write_text(text)
        assert self._shell.stdin is not None
        self._shell.stdin.write(f". {script} < /dev/null; echo $? > {done}\n")
        self._shell.stdin.flush()
        until = time.monotonic() + _COMMAND_SECONDS
        while not done.exists() or not done.read_text():
            assert self._shell.poll() is None, f"{text}\nended with {self._shell.returncode}:\n{self.said()[-3000:]}"
            assert time.monotonic() < until, f"{text}\ndid not end:\n{self.said()[-3000:]}"
            time.sleep(0.05)
        assert done.read_text().strip() == "0", f"{text}\nfailed:\n{self.said()[-3000:]}"

    def _await_answer(self, text: str) -> None:
        named = re.search(r"--port (\d+)", text)
        port = int(named[1] if named else self.ports[_UI_PORT])
        until = time.monotonic() + _START_SECONDS
        while not _answers(port):
            assert time.monotonic() < until, f"{text}\ndoes not answer:\n{self.said()[-3000:]}"
            time.sleep(0.1)

    def _stop(self, group: int) -> None:
        """As Ctrl-C does: to all of the terminal's job. A command that failed has ended the shell before."""
        if self._shell.poll() is None:
            self._send(f"kill -INT -- -{group} || true\nwait {group} || true\n")
            return
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)


def _answers(port: int) -> bool:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request("GET", "/health")
        return line.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()
