"""Pictures that the UI draws in place: short enough for it, well formed, and true to the figures."""

import xml.etree.ElementTree as ET
from urllib.parse import unquote

import pytest

from calcom_pipeline.defs.glance import LONGEST, Bars, Colour, bars, week

GREEN, BLUE = Colour("#0a0", "green"), Colour("#00a", "blue")
OFFICE = {(day, hour): (day * hour) % 20 for day in range(1, 6) for hour in range(9, 17)}
ALWAYS = {(day, hour): (day * 7 + hour * 11) % 20 for day in range(1, 8) for hour in range(24)}


def drawn(markdown: str) -> ET.Element:
    """The picture; parsing it is what a browser does."""
    address = markdown.partition("](data:image/svg+xml,")[2].partition(")\n\n")[0]
    return ET.fromstring(unquote(address))


@pytest.mark.parametrize("cells", [OFFICE, ALWAYS, {(3, 10): 1}], ids=["office hours", "always", "one hour"])
def test_a_week_of_any_kind_is_short_enough_to_be_drawn_in_place(cells: dict[tuple[int, int], int]):
    text = week(cells, "Free starts by weekday and hour", "1,234 free starts, in each schedule's own time.").md_str
    assert text is not None
    assert len(text) <= LONGEST
    assert text.endswith("1,234 free starts, in each schedule's own time.")
    root = drawn(text)
    hours = {hour for _, hour in cells}
    width = float(root.attrib["viewBox"].split(",")[2])
    assert width == max(hours) - min(hours) + 2


def test_the_strokes_of_a_week_cover_exactly_the_hours_in_which_something_is_free():
    text = week({**OFFICE, (6, 12): 3}, "x", "y").md_str or ""
    covered: set[tuple[int, int]] = set()
    for path in drawn(text).iter("{http://www.w3.org/2000/svg}path"):
        for stroke in path.attrib["d"].split("M")[1:]:
            place, _, length = stroke.partition("h")
            hour, day = (int(part) for part in place.split(","))
            covered |= {(day, 9 + hour + n) for n in range(int(length))}
    assert covered == {place for place, number in {**OFFICE, (6, 12): 3}.items() if number}


def test_bars_are_drawn_by_layer_under_their_limit_with_the_figures_in_words():
    layers = {"interactive": [0, 0, 5], "sync": [10, 0, 20]}
    text = bars(Bars(layers, {"interactive": GREEN, "sync": BLUE}), "Calls", "Calls a minute:", limit=40).md_str or ""
    assert text.endswith("Calls a minute: 5 interactive (green), 30 sync (blue).")
    fills = [path.attrib.get("fill") for path in drawn(text).iter("{http://www.w3.org/2000/svg}path")]
    assert fills[:2] == ["#00a", "#0a0"], "the whole bar first, what is below is drawn over it"
    assert "V30h1V40h1V15h1V40" in text, "a limit of 40 takes the whole height, 40"


def test_bars_that_are_too_long_by_layer_are_drawn_whole():
    layers = {name: [(n * 7 + len(name) * 13) % 37 for n in range(61)] for name in ("interactive", "sync", "warm")}
    text = bars(Bars(layers, dict.fromkeys(layers, BLUE)), "Calls", "Calls a minute:", limit=120).md_str or ""
    assert len(text) <= LONGEST
    assert "in all (blue)" in text
    assert len(list(drawn(text).iter("{http://www.w3.org/2000/svg}path"))) == 3  # the bars, the limit, the ground


def test_nothing_that_was_counted_is_drawn_as_an_empty_ground():
    text = bars(Bars({"sync": [0, 0]}, {"sync": BLUE}), "Calls", "Calls a minute:").md_str or ""
    assert drawn(text) is not None
