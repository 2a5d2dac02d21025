"""Pictures in the UI, for its light and its dark theme: no background, middle tones, every axis with its unit.

Each function draws one and hands it over as Markdown; nothing is drawn where there is nothing to see.
"""

import base64
import io
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.postgres.bookings.overview import MonthCount
from calcom_pipeline.adapters.postgres.reports.figures import DayBookings, FreeHour, GroupLatency
from calcom_pipeline.adapters.postgres.reports.overview import CallsOfMinute
from calcom_pipeline.app.reports.models import HourLag
from calcom_pipeline.bootstrap.dagster_instance import FONTS, font_folder
from calcom_pipeline.defs.glance import Bars, Colour, bars, week
from calcom_pipeline.settings import Settings

#: The entry that the UI draws in place; the others open behind a click.
AT_A_GLANCE = "at a glance"
#: How far back the picture of the limiter's use goes.
LIMITER_PICTURE = timedelta(hours=1)
_DPI = 110
_TICKS_EVERY = 10
_MONTHS_SHOWN = 36  # the last ones that have bookings
#: Read well on white and on black; one colour of status, lane or side means the same in all pictures.
_INK, _FAINT, _LIMIT = "#8a93a3", "#8a93a355", "#d9534f"
_COLOURS = ("#4c8dd6", "#5ba86c", "#e08a3c", "#9a79c4", "#c9a227", "#58b5b5", "#c65b7c")
_GREEN, _ORANGE = Colour("#5ba86c", "green"), Colour("#e08a3c", "orange")
_BLUE, _PINK, _VIOLET = Colour("#4c8dd6", "blue"), Colour("#c65b7c", "pink"), Colour("#9a79c4", "violet")
_OTHER = Colour("#8a93a3", "grey")
_OF_STATUS = {"accepted": _GREEN, "pending": _ORANGE, "cancelled": _PINK, "rejected": _VIOLET}
_OF_LANE = {"interactive": _GREEN, "sync": _BLUE, "warm": _ORANGE, "backfill": _VIOLET}
#: Green without white or black ends, so that an empty cell is the page itself.
_SHADES = ("#5ba86c14", "#5ba86c66", "#4f9a60b3", "#3d8a50")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SMALL = 7
_MOST_LEVEL = 14  # labels side by side; more stand upright


def plotter(settings: Settings) -> Any:
    """matplotlib.pyplot without a display. Imported when something is drawn: it would slow every start of a run.

    Its cache of fonts is kept in the data folder, unless MPLCONFIGDIR is set: nothing is left in the user's home. Where
    that cannot be written matplotlib takes a temporary folder and says so.
    """
    os.environ[FONTS] = font_folder(settings)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # the first picture would tell of its fonts
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def canvas(settings: Settings, *, width: float = 9.0, height: float = 2.8) -> tuple[Any, Any]:
    """A figure and its axes, inches, in our colours."""
    figure, axes = plotter(settings).subplots(figsize=(width, height))
    axes.set_facecolor("none")
    axes.tick_params(colors=_INK, labelsize=_SMALL)
    axes.grid(axis="y", color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for name, side in axes.spines.items():
        side.set_color(_INK)
        side.set_visible(name in ("left", "bottom"))
    return figure, axes


def picture(figure: Any, what: str) -> dg.MarkdownMetadataValue:
    """A figure as an inline picture; `what` is read out to those who do not see it. The figure is closed."""
    import matplotlib.pyplot as plt  # whoever drew has imported it

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", transparent=True)
    plt.close(figure)
    return dg.MetadataValue.md(f"![{what}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")


def limiter_use(
    calls: Sequence[CallsOfMinute], settings: Settings, *, now: datetime
) -> dict[str, dg.MarkdownMetadataValue]:
    """Requests of each minute of the last hour by lane, under the line of the limit."""
    if not calls:
        return {}
    last = now.replace(second=0, microsecond=0)
    minutes = [
        last - LIMITER_PICTURE + timedelta(minutes=n) for n in range(LIMITER_PICTURE // timedelta(minutes=1) + 1)
    ]
    figure, axes = canvas(settings)
    counts = {(c.minute, c.lane): c.calls for c in calls}
    _stack(axes, minutes, sorted({c.lane for c in calls}), counts, _OF_LANE)
    limit = settings.rate_limit_per_minute
    axes.axhline(limit, color=_LIMIT, linewidth=1, label=f"limit {limit}")
    axes.set_xticks(range(0, len(minutes), _TICKS_EVERY), [f"{m:%H:%M}" for m in minutes[::_TICKS_EVERY]])
    _label(axes, "requests a minute", "time (UTC)")
    words = f"Calls to Cal.com a minute, {minutes[0]:%H:%M} to {last:%H:%M} UTC, under the limit of {limit} (line):"
    return {
        AT_A_GLANCE: bars(_layers(minutes, counts, _OF_LANE), "Calls a minute, and the limit", words, limit=limit),
        "calls to Cal.com in the last hour": picture(figure, "Requests of each minute by lane, and the limit"),
    }


def latencies(found: Sequence[GroupLatency], settings: Settings) -> dict[str, dg.MarkdownMetadataValue]:
    """How long Cal.com takes to answer, by endpoint group."""
    if not found:
        return {}
    figure, axes = canvas(settings, height=0.9 + 0.35 * len(found))
    places = range(len(found))
    axes.barh(places, [f.p95_ms for f in found], color=_COLOURS[0] + "66", label="95 of 100 within")
    axes.barh(places, [f.median_ms for f in found], color=_COLOURS[0], height=0.45, label="half within")
    axes.set_yticks(places, [f"{f.group} ({f.calls})" for f in found])
    axes.invert_yaxis()
    axes.grid(axis="x", color=_FAINT, linewidth=0.5)
    _label(axes, "", "milliseconds to the answer")
    return {"how fast Cal.com answered in the last hour": picture(figure, "Latency by endpoint group")}


def bookings_by_day(
    days: Sequence[DayBookings], settings: Settings, *, now: datetime
) -> dict[str, dg.MarkdownMetadataValue]:
    """Bookings of each day around now, by status, and where today is."""
    if not days:
        return {}
    first, last = min(d.day for d in days), max(d.day for d in days)
    all_days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    figure, axes = canvas(settings)
    counts = {(d.day, d.status): d.bookings for d in days}
    _stack(axes, all_days, sorted({d.status for d in days}), counts, _OF_STATUS)
    if first <= now.date() <= last:
        axes.axvline((now.date() - first).days, color=_LIMIT, linewidth=1, label="today")
    every = max(1, len(all_days) // 12)
    axes.set_xticks(range(0, len(all_days), every), [f"{d:%d %b}" for d in all_days[::every]])
    _label(axes, "bookings", "day of their start (UTC)")
    words = f"Bookings by the day of their start, {first:%d %b} to {last:%d %b}:"
    return {
        AT_A_GLANCE: bars(_layers(all_days, counts, _OF_STATUS), "Bookings of each day by status", words),
        "bookings by day and status": picture(figure, "Bookings of each day by status"),
    }


def bookings_by_month(months: Sequence[MonthCount], settings: Settings) -> dict[str, dg.MarkdownMetadataValue]:
    """Bookings of each month that has some, by status; nothing for an empty mirror."""
    if not months:
        return {}
    counts = {(f"{m.month:%Y-%m}", m.status): m.bookings for m in months}
    names = sorted({month for month, _ in counts})[-_MONTHS_SHOWN:]
    figure, axes = canvas(settings)
    _stack(axes, names, sorted({m.status for m in months}), counts, _OF_STATUS)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > _MOST_LEVEL else 0)
    _label(axes, "bookings", "month of their start (UTC)")
    return {"bookings by month of their start": picture(figure, "Bookings of each month by status")}


def sync_lags(hours: Sequence[HourLag], settings: Settings) -> dict[str, Any]:
    """How late changes at Cal.com were mirrored, by hour of the change."""
    if not hours:
        return {}
    figure, axes = canvas(settings)
    places = range(len(hours))
    axes.bar(places, [h.longest_seconds for h in hours], color=_COLOURS[0] + "66", label="the latest")
    axes.bar(places, [h.median_seconds for h in hours], color=_COLOURS[0], width=0.5, label="half within")
    every = max(1, len(hours) // 12)
    axes.set_xticks(list(places)[::every], [f"{h.hour:%d %b %H:00}" for h in hours[::every]])
    _label(axes, "seconds to the mirror", "hour of the change (UTC)")
    newest = hours[-1]
    return {
        "how late changes of bookings came": picture(figure, "Seconds from a change at Cal.com to the mirror"),
        "sync lag of the newest hour, median, seconds": round(newest.median_seconds, 1),
        "sync lag of the newest hour, longest, seconds": round(newest.longest_seconds, 1),
    }


def free_by_hour(hours: Sequence[FreeHour], settings: Settings) -> dict[str, dg.MarkdownMetadataValue]:
    """Weekdays by hours; stronger means more free starts."""
    if not hours:
        return {}
    first, last = min(h.hour for h in hours), max(h.hour for h in hours)
    cells = [[0] * (last - first + 1) for _ in _WEEKDAYS]
    for each in hours:
        cells[each.weekday - 1][each.hour - first] = each.free
    labels = [f"{hour}:00" for hour in range(first, last + 1)]
    what = "Free starts by weekday and hour"
    number = sum(each.free for each in hours)
    words = f"When people can book: {number:,} free starts by weekday and hour, in each schedule's own time."
    return {
        AT_A_GLANCE: week({(each.weekday, each.hour): each.free for each in hours}, what, words),
        "free starts by weekday and hour": heat_map(cells, _WEEKDAYS, labels, settings, what=what),
    }


def cache_ages(ages: Sequence[tuple[float, int]], settings: Settings) -> dict[str, dg.MarkdownMetadataValue]:
    """How many mirrored days are how old, and where they count as old."""
    if not ages:
        return {}
    figure, axes = canvas(settings, height=2.2)
    axes.hist([age for age, _ in ages], bins=30, weights=[days for _, days in ages], color=_COLOURS[1])
    life = settings.slot_ttl_seconds / 60
    axes.axvline(life, color=_LIMIT, linewidth=1, label=f"lifetime in the cache, {life:.0f} min")
    _label(axes, "days of event types", "minutes since Cal.com was asked")
    return {"age of the free times": picture(figure, "How many days are how old")}


def cached_ages(ages: Sequence[float], settings: Settings) -> dict[str, dg.MarkdownMetadataValue]:
    """How many fresh days in Redis are how old, seconds, and when their life ends."""
    life = settings.slot_ttl_seconds
    figure, axes = canvas(settings, height=2.2)
    axes.hist(ages, bins=30, range=(0, max(*ages, life)), color=_COLOURS[1])
    axes.axvline(life, color=_LIMIT, linewidth=1, label=f"lifetime in the cache, {life} s")
    _label(axes, "days of event types", "seconds since Cal.com was asked")
    return {"ages of fresh days": picture(figure, "How many cached days are how old")}


def heat_map(
    cells: Sequence[Sequence[int]], rows: Sequence[str], columns: Sequence[str], settings: Settings, *, what: str
) -> dg.MarkdownMetadataValue:
    """Numbers as shades, with the numbers in them where they fit."""
    figure, axes = canvas(settings, width=10.0, height=1.3 + 0.24 * len(rows))
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("free", list(_SHADES))
    image = axes.imshow(cells, aspect="auto", cmap=shades, interpolation="nearest", vmin=0)
    axes.grid(visible=False)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > _MOST_LEVEL else 0)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("free starts", color=_INK, fontsize=_SMALL)
    bar.ax.tick_params(colors=_INK, labelsize=_SMALL)
    bar.outline.set_edgecolor(_INK)
    return picture(figure, what)


def _layers(places: Sequence[Any], counts: Mapping[tuple[Any, str], int], colours: Mapping[str, Colour]) -> Bars:
    """The same counts as layers, those that are known first."""
    names = {name for _, name in counts}
    known = [*(name for name in colours if name in names), *sorted(names - colours.keys())]
    layers = {name: [counts.get((place, name), 0) for place in places] for name in known}
    return Bars(layers, {name: colours.get(name, _OTHER) for name in known})


def _stack(
    axes: Any,
    places: Sequence[Any],
    names: Sequence[str],
    counts: Mapping[tuple[Any, str], int],
    colours: Mapping[str, Colour],
) -> None:
    """Bars upon bars, one a name."""
    below: Counter[Any] = Counter()
    for n, name in enumerate(names):
        heights = [counts.get((place, name), 0) for place in places]
        colour = found.css if (found := colours.get(name)) else _COLOURS[n % len(_COLOURS)]
        axes.bar(range(len(places)), heights, bottom=[below[p] for p in places], label=name, color=colour, width=0.9)
        below.update({place: counts.get((place, name), 0) for place in places})


def _label(axes: Any, upright: str, along: str) -> None:
    axes.set_ylabel(upright, color=_INK, fontsize=_SMALL)
    axes.set_xlabel(along, color=_INK, fontsize=_SMALL)
    legend = axes.legend(fontsize=_SMALL, frameon=False, labelcolor=_INK, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    legend.set_zorder(3)
