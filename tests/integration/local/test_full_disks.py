"""What the embedded servers do where the disk has no room."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from calcom_pipeline import local
from calcom_pipeline.local import LocalServerError
from tests.support.embedded import QUICK, copied, python, server_pids, words, write

AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="only root can mount a small disk or become another user")


def test_running_out_of_room_halfway_leaves_nothing_behind(place: Path) -> None:
    """A limit on the size of files: the disk looks empty, and making the cluster fails in the middle."""
    code = """
import resource, sys
from pathlib import Path
from calcom_pipeline import local
resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
try:
    local.up(Path(sys.argv[1]), durable=False)
except local.LocalServerError as error:
    print(error)
"""
    data = place / "new"
    with python(code, data) as limited:
        said, _ = limited.communicate()
    assert said.startswith(f"No room left for the local servers in {data}")
    assert said.endswith("free some space or lift the limit, then try again\n")
    assert not server_pids(data)
    assert not (data / "postgres").exists()
    assert not (data / "postgres.new").exists()
    with local.join(data, **QUICK) as servers:
        write(servers, "after")


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[None]:
    at.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "tmpfs", at], check=True)
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "--lazy", at], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return filler


@root_only
class TestFullDisks:
    def test_too_small_for_a_cluster(self, place: Path) -> None:
        with small_disk(place / "disk", "100m"):
            data = place / "disk/data"
            with pytest.raises(LocalServerError, match=r"No room left for the local servers .* MB"):
                local.up(data, durable=False)
            subprocess.run(["/bin/mount", "-o", "remount,size=400m", place / "disk"], check=True)
            with local.join(data, **QUICK) as servers:
                write(servers, "after")
            local.remove(data)

    def test_full_at_a_later_start(self, place: Path, template: Path) -> None:
        with small_disk(place / "disk", "400m"):
            data = copied(template, place / "disk/data")
            filler = fill(place / "disk")
            with pytest.raises(LocalServerError, match="No room left for the local servers"):
                local.up(data, durable=False, timeout_seconds=20)
            assert not server_pids(data)
            filler.unlink()
            with local.join(data, **QUICK) as servers:
                assert words(servers) == (["before"], ["before"])
            local.remove(data)

    def test_full_under_running_servers(self, place: Path, template: Path) -> None:
        with small_disk(place / "disk", "400m"):
            data = copied(template, place / "disk/data")
            with local.join(data, **QUICK) as servers:
                filler = fill(place / "disk")
                with redis.Redis.from_url(servers.redis_url) as client, pytest.raises(redis.ResponseError):
                    for _ in range(1000):
                        client.set("key", "x" * 100_000)
                with pytest.raises(LocalServerError, match="No room left for the local servers"):
                    local.up(data, durable=False)
                filler.unlink()
                with local.join(data, **QUICK) as again:
                    assert again == servers
                    assert words(again) == (["before"], ["before"])
            local.remove(data)
