"""Of several processes that share something, the last one clears up."""

from pathlib import Path

from tests.support.leaving import leaving_last


def test_only_the_last_to_leave_is_told_so(tmp_path: Path):
    with leaving_last(tmp_path / "users") as first, leaving_last(tmp_path / "users") as second:
        assert not first()
        assert second()


def test_who_is_alone_is_the_last(tmp_path: Path):
    with leaving_last(tmp_path / "users") as alone:
        assert alone()
