"""Companions: programs of a caller that run beside the embedded servers and end with them."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from calcom_pipeline import local
from calcom_pipeline.local import Companion, LocalServerError, Servers
from tests.support.embedded import QUICK
from tests.support.waiting import is_running, until

# A companion as a caller would hand it in: it answers on a socket and says so in its ready file.
HELPFUL = """
import json, os, signal, socket, sys
from pathlib import Path
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ready = Path(sys.argv[1])
new = ready.with_name("new")
new.write_text(json.dumps({"url": f"http://127.0.0.1:{port}{sys.argv[2]}", "port": port, "pid": os.getpid()}))
new.rename(ready)
while True:
    server.accept()[0].close()
"""


def helpful(name: str = "stand-in") -> Companion:
    return Companion(name, (sys.executable, "-c", HELPFUL, "{ready_file}", "{data}"))


class TestCompanions:
    def test_it_runs_beside_the_servers_and_ends_with_them(self, data: Path) -> None:
        with local.join(data, companions=[helpful()], **QUICK) as servers:
            assert servers.companions["stand-in"].endswith(str(data))
            ready = json.loads((data / "companions/stand-in/ready.json").read_text())
            assert is_running(ready["pid"])
        assert local.down(data)
        assert not is_running(ready["pid"])

    def test_it_is_started_again(self, data: Path) -> None:
        with local.join(data, companions=[helpful()], **QUICK) as servers:
            os.kill(json.loads((data / "companions/stand-in/ready.json").read_text())["pid"], signal.SIGKILL)
            until(lambda: (now := local.status(data)) and now.companions != servers.companions)
            with local.join(data, companions=[helpful()], durable=False) as again:
                assert set(again.companions) == {"stand-in"}

    def test_it_may_come_later_and_one_name_means_one_command(self, data: Path) -> None:
        other = Companion("a", (*helpful("a").argv, "--seed=2"))
        for name in "ab":
            (data / "companions" / name).mkdir(parents=True, exist_ok=True)
            (data / "companions" / name / "ready.json").write_text('{"url": "http://127.0.0.1:1/of-a-former-one"}')
        with local.join(data, **QUICK) as servers:
            assert servers.companions == {}
            with local.join(data, companions=[helpful("a"), helpful("b")], **QUICK) as more:
                assert set(more.companions) == {"a", "b"}
                assert "http://127.0.0.1:1/of-a-former-one" not in more.companions.values()
                assert more.owner_pid == servers.owner_pid
                with (
                    pytest.raises(LocalServerError, match="another command line"),
                    local.join(data, companions=[other], **QUICK),
                ):
                    pass

    def test_one_that_does_not_start_is_an_error_with_its_last_words(self, data: Path) -> None:
        broken = Companion("broken", (sys.executable, "-c", "raise SystemExit('no such port {ready_file}')"))

        def is_refused_without_a_trace(servers: Servers) -> None:
            with pytest.raises(LocalServerError, match=r"'broken' does not start \(exit code 1\): no such port"):
                local.up(data, companions=[broken], durable=False)
            assert local.status(data) == servers
            assert not (data / "pinned").exists()

        with local.join(data, **QUICK) as servers:
            is_refused_without_a_trace(servers)
            with local.join(data, companions=[helpful()], **QUICK) as more:
                assert set(more.companions) == {"stand-in"}
                is_refused_without_a_trace(more)

    def test_one_that_cannot_be_run_is_an_error_at_first_start(self, data: Path) -> None:
        missing = Companion("missing", (str(data / "nowhere"), "{ready_file}"))
        with pytest.raises(LocalServerError, match="nowhere"), local.join(data, companions=[missing], **QUICK):
            pass

    @pytest.mark.parametrize(("name", "argv"), [("../x", ("a",)), ("postgres", ("a",)), ("", ("a",)), ("a", ())])
    def test_nonsense_is_refused(self, name: str, argv: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="ompanion"):
            Companion(name, argv)
