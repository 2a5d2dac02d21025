"""The runner of the benches: what is worse, what it writes where, and plots that depend on their figures alone."""

from pathlib import Path

import pytest

from bench.__main__ import BENCHES, RESULTS, Bench, Stored, block, replaced, worse
from bench.drawing import draw
from bench.results import Plot, Result, Table, publish, read

STORED = {"ours / theirs": Stored(1.0, "2026-11-29")}
PLOT = Plot("Growth", "rows", "seconds", {"ours": [(10, 1.0), (100, 2.0)], "bound": [(10, 0.5), (100, 1.0)]})


@pytest.mark.parametrize(("ratio", "is_worse"), [(0.5, False), (1.0, False), (1.19, False), (1.21, True), (5.0, True)])
def test_a_ratio_is_worse_when_it_is_more_than_a_fifth_above_the_stored_one(ratio: float, is_worse: bool):
    assert bool(worse({"ours / theirs": ratio}, STORED)) is is_worse


def test_a_ratio_that_was_never_stored_is_not_worse():
    assert worse({"a new one": 99.0}, STORED) == {}


def test_a_table_goes_between_its_own_marks_and_leaves_the_words_around_it():
    text = "before\n<!-- a -->\nold\n<!-- / -->\nbetween\n<!-- b -->\nold\n<!-- / -->\nafter\n"
    assert replaced(text, "b", r"new \1") == text.replace("<!-- b -->\nold", "<!-- b -->\nnew \\1")
    with pytest.raises(ValueError, match="no place for c"):
        replaced(text, "c", "new")


@pytest.mark.parametrize("name", [*(bench.name for bench in BENCHES), "ratios"])
def test_the_results_have_a_place_for_every_bench(name: str):
    replaced(RESULTS.read_text(), name, "")


def test_a_result_comes_back_as_it_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("BENCH_OUT", str(tmp_path / "result.json"))
    publish(Result([Table(("rows", "seconds"), [("10", 1.5)])], {"ours / theirs": 1.25}, [PLOT]))
    found = read(tmp_path / "result.json")
    assert found.ratios == {"ours / theirs": 1.25}
    assert found.tables[0].markdown() == "| rows | seconds |\n| --- | --- |\n| 10 | 1.5 |"
    assert "| 10 | 1.5 |" in capsys.readouterr().out
    assert "cores of" in found.machine


def test_a_plot_is_the_same_file_each_time_it_is_drawn(tmp_path: Path):
    for name in ("one.svg", "two.svg"):
        draw(PLOT, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert "Growth" in drawn
    assert "bound" in drawn


def test_a_block_names_the_machine_and_shows_tables_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.__main__.PLOTS", tmp_path / "plots")
    shown = block(Bench("bookings.growth"), Result([Table(("a",), [("b",)])], {}, [PLOT], "two cores, load 1"))
    assert shown.splitlines()[0] == "Measured: two cores, load 1"
    assert "![Growth](plots/bookings_growth.svg)" in shown
    assert (tmp_path / "plots" / "bookings_growth.svg").exists()
