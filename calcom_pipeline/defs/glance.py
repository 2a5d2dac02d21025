"""Pictures that the UI shows in place: it draws Markdown of less than 1000 characters right in the table of metadata.

What is longer stands there behind a click, so these are SVG of a few hundred characters, with the figures in words
below; `pictures` has the large ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from urllib.parse import quote

import dagster as dg

#: Dagster's UI, release 1.13: `MarkdownMetadataEntry` of less than that is shown as it is.
LONGEST = 999
_SAFE = "/:;,.=!*$-_~?@[]'"
_INK = "#8a93a3"
_LIMIT = "#d9534f"
_HEIGHT = 40
_SIZE = (480, 120)
_CELL = 24
_SHADES = (5, 4, 3, 2, 1)
_GREEN = "#4f9a60"
_WEEKDAYS = "MTWTFSS"


@dataclass(frozen=True, slots=True)
class Colour:
    """As CSS has it, and as people say it: a picture this small has no legend."""

    css: str
    word: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Layers of one colour each, stacked from the first: as many values in each, a bar a value."""

    layers: Mapping[str, Sequence[int]]
    colours: Mapping[str, Colour]

    def heights(self) -> list[int]:
        """Of the whole bars."""
        return [sum(values) for values in zip(*self.layers.values(), strict=True)]

    def totals(self) -> str:
        """In words: `235 accepted (green), 62 cancelled (pink)`."""
        counts = {name: sum(values) for name, values in self.layers.items()}
        return ", ".join(f"{number:,} {name} ({self.colours[name].word})" for name, number in counts.items() if number)


def bars(shown: Bars, what: str, words: str, *, limit: int | None = None) -> dg.MarkdownMetadataValue:
    """Bars under a limit. Where the layers are too long to be drawn apart, the bars are drawn whole."""
    whole = Bars({"in all": shown.heights()}, {"in all": next(iter(shown.colours.values()))})
    drawn = [_markdown(_bars(one, limit), what, f"{words} {one.totals()}.") for one in (shown, whole)]
    return _shortest([*drawn, words])


def week(cells: Mapping[tuple[int, int], int], what: str, words: str) -> dg.MarkdownMetadataValue:
    """A heat map of numbers by weekday (1 is Monday) and hour: rows are days, columns hours, stronger is more.

    Fewer shades where many would be too long.
    """
    return _shortest([*(_markdown(_week(cells, shades), what, words) for shades in _SHADES), words])


def _shortest(candidates: Sequence[str]) -> dg.MarkdownMetadataValue:
    """The first that the UI shows in place."""
    return dg.MetadataValue.md(next(text for text in candidates if len(text) <= LONGEST))


def _markdown(svg: str, what: str, words: str) -> str:
    return f"![{what}](data:image/svg+xml,{quote(svg, safe=_SAFE)})\n\n{words}"


def _svg(size: tuple[float, float], box: tuple[float, float], content: str) -> str:
    width, height = size
    stretched = f"width='{width:g}' height='{height:g}' preserveAspectRatio='none'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {stretched} viewBox='0,0,{box[0]:g},{box[1]:g}'>{content}</svg>"


def _bars(shown: Bars, limit: int | None) -> str:
    """Each layer as one area down to the ground, the tallest first: what lies below is drawn over it."""
    heights = shown.heights()
    top = max(max(heights, default=0), limit or 0, 1)
    sums, areas = [0] * len(heights), list[str]()
    for name, values in shown.layers.items():
        sums = [below + value for below, value in zip(sums, values, strict=True)]
        if any(values):
            areas.append(f"<path fill='{shown.colours[name].css}' d='{_area(sums, top)}'/>")
    limited = f"<path stroke='{_LIMIT}' d='M0,{_HEIGHT - limit * _HEIGHT / top:.0f}h{len(heights)}'/>" if limit else ""
    lines = f"<g stroke-width='.6'>{limited}<path stroke='{_INK}' d='M0,{_HEIGHT}h{len(heights)}'/></g>"
    return _svg(
        _SIZE, (len(heights), _HEIGHT + 1), f"<g transform='translate(0,.6)'>{''.join(reversed(areas))}{lines}</g>"
    )


def _area(values: Sequence[int], top: int) -> str:
    steps, at = [f"M0,{_HEIGHT}"], _HEIGHT
    for height, run in groupby(_HEIGHT - round(value * _HEIGHT / top) for value in values):
        steps.append(f"V{height}" if height != at else "")
        steps.append(f"h{sum(1 for _ in run)}")
        at = height
    return f"{''.join(steps)}V{_HEIGHT}"


def _week(cells: Mapping[tuple[int, int], int], shades: int) -> str:
    """Hours that are shaded alike are one stroke; a shade is one path."""
    most, hours = max(cells.values()), range(min(hour for _, hour in cells), max(hour for _, hour in cells) + 1)
    strokes: dict[int, list[str]] = {}
    for day in range(1, len(_WEEKDAYS) + 1):
        of_day = [(hour - hours[0], -(-cells.get((day, hour), 0) * shades // most)) for hour in hours]
        for shade, run in groupby(of_day, key=itemgetter(1)):
            places = [place for place, _ in run]
            if shade:
                strokes.setdefault(shade, []).append(f"M{places[0]},{day}h{len(places)}")
    paths = "".join(f"<path opacity='{n / shades:.2g}' d='{''.join(d)}'/>" for n, d in sorted(strokes.items()))
    days = f"<text x='{','.join('0' for _ in _WEEKDAYS)}' y='{_tops(len(_WEEKDAYS))}'>{_WEEKDAYS}</text>"
    ends = "".join(f"<text x='{hour - hours[0] + 1}'>{hour}</text>" for hour in (hours[0], hours[-1]))
    labels = f"<g font-size='.7' fill='{_INK}' transform='translate(0,.7)'>{days}{ends}</g>"
    body = f"<g stroke='{_GREEN}' stroke-width='.9' transform='translate(1,.5)'>{paths}</g>{labels}"
    box = (len(hours) + 1, len(_WEEKDAYS) + 1)
    return _svg((box[0] * _CELL, box[1] * _CELL), box, body)


def _tops(rows: int) -> str:
    return ",".join(str(row) for row in range(1, rows + 1))
