"""A command whose database has no room left."""

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from calcom_pipeline import local
from calcom_pipeline.cli import exit_codes
from tests.support.commands import command, said


def fill(folder: Path) -> None:
    """Leave no room: tables cannot grow, though the log still has its segment."""
    with (folder.parent / "ballast").open("wb") as ballast, suppress(OSError):
        while True:
            ballast.write(b"x" * 65_536)


class TestFullDisk:
    @pytest.fixture
    def tiny(self):
        """Servers whose disk holds little more than an empty cluster; pytest's own folder only root may enter."""
        folder = Path(tempfile.mkdtemp(prefix="calcom-tiny-"))
        folder.chmod(0o755)
        mounted = subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)], check=False, capture_output=True
        )
        if mounted.returncode:
            folder.rmdir()
            pytest.skip("needs root: a small file system is mounted")
        try:
            with local.join(folder / "data", durable=False) as servers:
                yield servers
        finally:
            local.remove(folder / "data")
            subprocess.run(["/bin/umount", "-l", str(folder)], check=True)
            folder.rmdir()

    def test_a_full_disk_is_named_and_leaves_whole_pages_only(self, tiny: local.Servers, environment):
        full = {**environment, "DATABASE_URL": tiny.database_url}
        assert command("migrate", environment=full).returncode == 0
        fill(tiny.data)
        done = command("sync", "bookings", environment=full)
        assert done.returncode == exit_codes.DATABASE, (done.stdout, done.stderr)
        assert "full" in said(done) or "broke" in said(done)
