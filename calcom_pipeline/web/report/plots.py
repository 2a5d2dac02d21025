"""Pictures of the report, drawn here: bars as SVG that stretches, coloured by the page's style in both themes.

Text is HTML beside them, so that it keeps its size on a phone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from markupsafe import Markup, escape

from calcom_pipeline.app.reports.models import HourOfStarts, Pictures, Traffic
from calcom_pipeline.app.reports.report import HOURS_DRAWN

_HEIGHT = 100.0
_WIDTH_OF_BAR = 0.82
_LABELS = 4
_WARMTHS = 5
_MINUTES = 60
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Statuses of bookings in the order in which they are stacked, as people say them.
STATUSES: Mapping[str, str] = {
    "accepted": "accepted",
    "pending": "pending",
    "awaiting_host": "awaiting host",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
LANES: Mapping[str, str] = {"interactive": "interactive", "sync": "sync", "warm": "warm", "backfill": "backfill"}


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a picture: `key` names it in the style."""

    key: str
    name: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class BarPicture:
    """Bars: what each stands for, its series, where the axis ends, and the same in words.

    With a `unit` the series are measures that stand before each other, largest behind; without they are counts on top
    of each other, which add up.
    """

    name: str
    labels: Sequence[str]
    series: Sequence[Series]
    top: int
    ticks: Sequence[str]
    summary: str
    svg: Markup
    unit: str = ""

    @property
    def rows(self) -> list[tuple[str, list[int]]]:
        """The figures as a table, without what is empty."""
        return [
            (label, [one.values[place] for one in self.series])
            for place, label in enumerate(self.labels)
            if any(one.values[place] for one in self.series)
        ]


@dataclass(frozen=True, slots=True)
class HourGrid:
    """Free starts by hour (rows) and weekday (columns): number and warmth from 0 to 5."""

    rows: Sequence[tuple[str, Sequence[tuple[int, int]]]]
    total: int


def bookings_picture(pictures: Pictures) -> BarPicture | None:
    """Bookings per day of their start, by status; None where there are none."""
    if not pictures.bookings:
        return None
    days = _days(pictures.since, pictures.until)
    counted = Counter[tuple[date, str]]()
    for one in pictures.bookings:
        counted[(one.day, one.status)] += one.bookings
    known = {**STATUSES, **{s: s for _, s in counted if s not in STATUSES}}
    series = [
        Series(f"status-{key}" if key in STATUSES else "other", name, [counted[(day, key)] for day in days])
        for key, name in known.items()
    ]
    return _bars(
        "Bookings per day",
        [_day(day) for day in days],
        [one for one in series if one.total],
        mark=days.index(pictures.today),
    )


def free_days_picture(pictures: Pictures) -> BarPicture | None:
    """Free starts of the coming days; None where none are known."""
    if not pictures.days:
        return None
    starts = {one.day: one.starts for one in pictures.days}
    days = _days(pictures.today, max(starts) + timedelta(days=1))
    series = Series("free", "free starts", [starts.get(day, 0) for day in days])
    return _bars("Free starts per day", [_day(day) for day in days], [series])


def calls_picture(traffic: Traffic, now: datetime) -> BarPicture | None:
    """Requests of each minute of the last hour by lane, under the line of the limit; None where there were none."""
    if not traffic.minutes:
        return None
    last = now.replace(second=0, microsecond=0)
    minutes = [last - timedelta(minutes=_MINUTES - place) for place in range(_MINUTES + 1)]
    sent = {(one.minute, one.lane): one.calls for one in traffic.minutes}
    known = {**LANES, **{lane: lane for _, lane in sent if lane not in LANES}}
    series = [
        Series(f"lane-{key}" if key in LANES else "other", name, [sent.get((minute, key), 0) for minute in minutes])
        for key, name in known.items()
    ]
    return _bars(
        "Calls per minute",
        [f"{minute:%H:%M}" for minute in minutes],
        [one for one in series if one.total],
        line=traffic.limit,
    )


def lag_picture(pictures: Pictures, now: datetime) -> BarPicture | None:
    """How late changes of bookings came in each of the last hours; None where nothing changed."""
    found = {one.hour: (one.longest_seconds, one.median_seconds) for one in pictures.lags}
    return _measured("Seconds from a change at Cal.com to the mirror", found, ("the latest", "half within"), now)


def cache_picture(pictures: Pictures, now: datetime) -> BarPicture | None:
    """How old the cached days were in each of the last hours; None where nobody has looked."""
    found = {one.hour: (one.oldest_seconds, one.median_seconds) for one in pictures.cache}
    life = pictures.cache_life_seconds or None
    return _measured("Age of cached days in seconds", found, ("the oldest", "half at most"), now, line=life)


def _measured(
    name: str,
    found: Mapping[datetime, tuple[float, float]],
    names: tuple[str, str],
    now: datetime,
    *,
    line: int | None = None,
) -> BarPicture | None:
    """Two measures of each hour, seconds: the most of all, and the median before it."""
    if not found:
        return None
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - HOURS_DRAWN + timedelta(hours=n) for n in range(HOURS_DRAWN // timedelta(hours=1) + 1)]
    most, half = ([round(found[hour][n]) if hour in found else 0 for hour in hours] for n in range(2))
    series = [Series("most", names[0], most), Series("half", names[1], half)]
    labels = [f"{WEEKDAYS[hour.weekday()]} {hour:%H}:00" for hour in hours]
    return _bars(name, labels, series, line=line, unit="s")


def hour_grid(hours: Sequence[HourOfStarts]) -> HourGrid | None:
    """The heat map of the coming week; None where nothing is free."""
    counted = {(one.hour, one.weekday): one.starts for one in hours}
    if not counted:
        return None
    most = max(counted.values())
    first, last = min(hour for hour, _ in counted), max(hour for hour, _ in counted)

    def cell(hour: int, weekday: int) -> tuple[int, int]:
        number = counted.get((hour, weekday), 0)
        return number, 0 if not number else 1 + (number * _WARMTHS - 1) // most if number < most else _WARMTHS

    rows = [(f"{hour:02d}:00", [cell(hour, day) for day in range(len(WEEKDAYS))]) for hour in range(first, last + 1)]
    return HourGrid(rows, sum(counted.values()))


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days)]


def _day(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day.day} {day:%b}"


def _bars(
    name: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    line: int | None = None,
    mark: int | None = None,
    unit: str = "",
) -> BarPicture:
    of_bar = max if unit else sum
    heights = [of_bar([one.values[place] for one in series]) for place in range(len(labels))]
    top = round_top(max(max(heights, default=0), line or 0))
    totals = "" if unit else f"{', '.join(f'{one.total:,} {one.name}' for one in series)}; "
    highest = max(range(len(labels)), key=heights.__getitem__)
    most = f"most on {labels[highest]} ({heights[highest]:,}{unit and f' {unit}'})"
    summary = f"{name}, {labels[0]} to {labels[-1]}: {totals}{most}."
    svg = _svg(summary, labels, series, top, line=line, mark=mark, unit=unit)
    step = max(1, (len(labels) - 1) // _LABELS)
    return BarPicture(name, labels, series, top, labels[::step][: _LABELS + 1], summary, svg, unit)


def _svg(
    summary: str,
    labels: Sequence[str],
    series: Sequence[Series],
    top: int,
    *,
    line: int | None,
    mark: int | None,
    unit: str,
) -> Markup:
    parts = [
        f'<svg role="img" aria-label="{escape(summary)}"',
        f' viewBox="0 0 {len(labels)} {_HEIGHT:g}" preserveAspectRatio="none">',
        *(f'<path class="grid" d="M0 {_HEIGHT * part:g}H{len(labels)}"/>' for part in (0.25, 0.5, 0.75)),
    ]
    if mark is not None:
        parts.append(f'<rect class="mark" x="{mark}" y="0" width="1" height="{_HEIGHT:g}"/>')
    for place, label in enumerate(labels):
        parts += _bar(place, label, series, lambda number: number / top * _HEIGHT, unit)
    if line is not None:
        y = _HEIGHT - line / top * _HEIGHT
        parts.append(f'<path class="limit" d="M0 {y:g}H{len(labels)}"/>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - numbers of ours; every text in it is escaped


def _bar(place: int, label: str, series: Sequence[Series], height_of: Callable[[int], float], unit: str) -> list[str]:
    parts_of_it = ", ".join(
        f"{one.values[place]:,} {unit and f'{unit} '}{one.name}" for one in series if one.values[place]
    )
    if not parts_of_it:
        return []
    parts, ground = [f"<g><title>{escape(f'{label}: {parts_of_it}')}</title>"], _HEIGHT
    x = place + (1 - _WIDTH_OF_BAR) / 2
    for one in series:
        height = height_of(one.values[place])
        if height:
            y = ground - height
            shape = f'x="{x:.2f}" y="{y:.2f}" width="{_WIDTH_OF_BAR}" height="{height:.2f}"'
            parts.append(f'<rect class="{one.key}" {shape}/>')
            ground = _HEIGHT if unit else y
    return [*parts, "</g>"]


def round_top(most: int) -> int:
    """The end of an axis: the next of 4, 10, 20, 40, 60, 80, 100, 200 ... so that quarters read well."""
    size = 1
    while True:
        for step in (4, 10, 20, 40, 60, 80):
            if most <= step * size:
                return step * size
        size *= 10
