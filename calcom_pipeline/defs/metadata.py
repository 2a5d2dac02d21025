"""What a person wants to see of a materialization: counts, calls spent, seconds, tables, pictures."""

import base64
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.postgres.reports.overview import CallsOfMinute
from calcom_pipeline.app.calls import CallMeter, Changes, Spent
from calcom_pipeline.bootstrap.locations import data_folder
from calcom_pipeline.settings import Settings

_DPI = 90
#: How far back the picture of the limiter's use goes.
LIMITER_PICTURE = timedelta(hours=1)
_TICKS_EVERY = 10


class Meter:
    """Measures what a step spends on Cal.com, from its creation to `metadata()`."""

    def __init__(self, calcom: CallMeter, clock: Callable[[], float] = time.monotonic) -> None:
        self._calcom = calcom
        self._clock = clock
        self._before: Spent = calcom.spent()
        self._began = clock()

    def spent(self) -> Spent:
        """Calls and waits so far."""
        return self._calcom.spent().since(self._before)

    def metadata(self) -> dict[str, Any]:
        """Calls, waits and seconds so far."""
        spent = self.spent()
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
    """Rows as the UI's table; Dagster refuses one without rows unless its columns are named."""
    records = [dg.TableRecord(dict(row)) for row in rows]
    return dg.MetadataValue.table(records, schema=None if records else dg.TableSchema(columns=[]))


def plotter(settings: Settings) -> Any:
    """matplotlib.pyplot without a display. Imported when something is drawn: it would slow every start of a run.

    Its cache of fonts is kept in the data folder, unless MPLCONFIGDIR is set: nothing is left in the user's home. Where
    that cannot be written matplotlib takes a temporary folder and says so.
    """
    os.environ.setdefault("MPLCONFIGDIR", str(data_folder(settings) / "cache" / "matplotlib"))
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def picture(figure: Any) -> dg.MarkdownMetadataValue:
    """A matplotlib figure as an inline picture; the figure is closed."""
    import matplotlib.pyplot as plt  # whoever drew has imported it

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    plt.close(figure)
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")


def limiter_use(
    calls: Sequence[CallsOfMinute], settings: Settings, *, now: datetime
) -> dict[str, dg.MarkdownMetadataValue]:
    """Requests of each minute of the last hour by lane, under the line of the limit; nothing if there were none."""
    if not calls:
        return {}
    last = now.replace(second=0, microsecond=0)
    minutes = [
        last - LIMITER_PICTURE + timedelta(minutes=n) for n in range(LIMITER_PICTURE // timedelta(minutes=1) + 1)
    ]
    figure, axes = plotter(settings).subplots(figsize=(8, 2.5))
    below: Counter[datetime] = Counter()
    for lane in sorted({c.lane for c in calls}):
        sent = {c.minute: c.calls for c in calls if c.lane == lane}
        heights = [sent.get(minute, 0) for minute in minutes]
        axes.bar(range(len(minutes)), heights, bottom=[below[minute] for minute in minutes], label=lane)
        below.update(sent)
    limit = settings.rate_limit_per_minute
    axes.axhline(limit, color="tab:red", linewidth=1, label=f"limit {limit}")
    axes.set_xticks(range(0, len(minutes), _TICKS_EVERY), [f"{m:%H:%M}" for m in minutes[::_TICKS_EVERY]], fontsize=6)
    axes.set_ylabel("requests a minute (UTC)", fontsize=6)
    axes.legend(fontsize=6, loc="upper left")
    return {"calls to Cal.com in the last hour": picture(figure)}
