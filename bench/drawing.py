"""Plots as SVG files that look the same whenever they are drawn of the same figures."""

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import Plot

#: A grey that is read on white and on black alike: the pages that show them come in both.
_INK = "#808890"
_COLOURS = ("#2f81f7", "#e8590c", "#2f9e44", "#9c36b5", "#e0a800", "#0b7285")
_STYLE = {
    "svg.hashsalt": "calcom-pipeline",
    "svg.fonttype": "none",
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "font.size": 10,
}
_INCHES = (7.0, 3.2)


def draw(plot: Plot, file: Path) -> None:
    """Write the plot; the background is left to the page."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        for number, (name, points) in enumerate(plot.lines.items()):
            axes.plot(*zip(*points, strict=True), marker="o", label=name, color=_COLOURS[number % len(_COLOURS)])
        axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
        if plot.log_x:
            axes.set_xscale("log")
        if plot.log_y:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(color=_INK, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if len(plot.lines) > 1:
            axes.legend(frameon=False)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    file.write_text(drawn.getvalue(), "utf-8")
