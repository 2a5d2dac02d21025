"""Shows something again and again, until Ctrl-C."""

import sys
import time
from collections.abc import Callable
from datetime import datetime

import click

from calcom_pipeline.cli.console import Output, say


def repeat(
    output: Output,
    show: Callable[[], None],
    *,
    every_seconds: float,
    now: Callable[[], datetime],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Show, wait, show: on a cleared terminal, under a line with the time in a pipe, as an object a look in JSON.

    Ctrl-C is how it is meant to end.
    """
    try:
        while True:
            if not output.as_json:
                if sys.stdout.isatty():
                    click.clear()
                say(f"{now():%Y-%m-%d %H:%M:%S} UTC, every {every_seconds:g} s; Ctrl-C ends it")
            show()
            sys.stdout.flush()
            wait(every_seconds)
    except KeyboardInterrupt:
        return
