"""What a person wants to see of a materialization: counts, calls spent, seconds, tables, pictures."""

import base64
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from calcom_pipeline.ports import CallMeter, Changes, Spent

_DPI = 90


class Meter:
    """Measures what a step spends on Cal.com, from its creation to `metadata()`."""

    def __init__(self, calcom: CallMeter, clock: Callable[[], float] = time.monotonic) -> None:
        self._calcom = calcom
        self._clock = clock
        self._before: Spent = calcom.spent()
        self._began = clock()

    def metadata(self) -> dict[str, Any]:
        """Calls, waits and seconds so far."""
        spent = self._calcom.spent().since(self._before)
        return {
            "calls": spent.calls,
            "calls refused": spent.refused,
            "seconds waited for the limit": round(spent.waited_seconds, 1),
            "seconds": round(self._clock() - self._began, 2),
        }


def change_metadata(changes: Changes) -> dict[str, int]:
    """What a write did to a mirror."""
    return {
        "rows added": changes.added,
        "rows changed": changes.changed,
        "rows gone": changes.gone,
        "rows unchanged": changes.unchanged,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as the UI's table."""
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def picture(figure: Any) -> dg.MarkdownMetadataValue:
    """A matplotlib figure as an inline picture; the figure is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    plt.close(figure)
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
