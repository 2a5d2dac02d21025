"""Commands as a person or a program runs them: in this process, or in one of their own."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from calcom_pipeline.cli import main
from tests.support import leaks
from tests.support.warm import WarmProcess

CHECKOUT = Path(__file__).parents[2]


@dataclass
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, environment: dict[str, str], cwd: Path | None = None) -> Done:
    """Run a command in this process: a hundred starts of Python would take minutes."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, folder = dict(os.environ), Path.cwd()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "CALCOM_DATA_DIR") if name in os.environ}
    os.environ.clear()
    os.environ.update({**kept, **environment})
    os.chdir(cwd or folder)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.chdir(folder)
    leaks.said(f"`{arguments[0]}`", out.getvalue(), err.getvalue())
    return Done(code, out.getvalue(), err.getvalue())


def argv(*arguments: str) -> list[str]:
    """A command's words for a process of its own."""
    return [sys.executable, "-m", "calcom_pipeline.cli", *arguments]


def bare(environment: dict[str, str]) -> dict[str, str]:
    """Its variables: these, and of our own only what a process cannot be without."""
    kept = {n: value for n, value in os.environ.items() if n in ("PATH", "HOME") or n.startswith("COVERAGE_")}
    return {**kept, "PYTHONPATH": str(CHECKOUT), **environment}


def process(*arguments: str, environment: dict[str, str]) -> Done:
    """Run a command as a shell would."""
    ran = subprocess.run(argv(*arguments), env=bare(environment), capture_output=True, text=True, check=False)
    return Done(ran.returncode, ran.stdout, ran.stderr)


def warm(*arguments: str, environment: dict[str, str], out: int | None = None, err: int | None = None) -> Done:
    """The same, without the time of its imports; it writes where it is told to, else into pipes that are read."""
    with WarmProcess(arguments, bare(environment), out=out, err=err) as running:
        said_out, said_err = running.communicate()
        return Done(running.wait(), said_out, said_err)


def interrupted(*arguments: str, environment: dict[str, str], when: Callable[[], bool]) -> tuple[Done, float]:
    """Run a command, press Ctrl-C as soon as something is so; with how many seconds it took from then on."""
    with WarmProcess(arguments, bare(environment)) as running:
        while not when():
            assert running.poll() is None, "it ended before it was interrupted"
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = running.communicate()
        return Done(running.wait(), out, err), time.monotonic() - began


def said(done: Done) -> str:
    """What stands on standard error, which must be short and without a traceback."""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    return done.stderr
