"""`calcom-pipeline serve`, as a person or a supervisor runs it."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.web.webhooks import PATH
from tests.support import leaks
from tests.support.commands import command, said
from tests.support.deliveries import SECRET, delivery_body, post
from tests.support.serving import answers, serving
from tests.support.stalling import before_postgres
from tests.support.tables import fetch
from tests.support.web import Asker, free_port

TOKEN = "website-token-0001"
DAYS = {"eventTypeId": 1, "start": "2026-12-01", "end": "2026-12-02"}


def receiving(spool: Path) -> dict[str, str]:
    """What makes a receiver of it."""
    return {"CALCOM_WEBHOOK_SECRET": SECRET.decode(), "CALCOM_WEBHOOK_SPOOL_FOLDER": str(spool)}


def eventually(look: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_serves_and_does_until_it_is_asked_to_stop(environment: dict[str, str], how: signal.Signals):
    with serving({**environment, "CALCOM_HTTP_TOKENS": f"website={TOKEN}"}) as (process, port):
        asker = Asker(port, token=TOKEN)
        answer = asker.get("/v2/slots", eventTypeId=1, start="2026-12-01", end="2026-12-02")
        assert answer.kind == "not-found"  # nothing is mirrored yet
        assert Asker(port).get("/metrics").status == 401
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    leaks.said("`serve`", out, err)
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"HTTP API: http://127.0.0.1:{port} ")
    assert TOKEN not in out
    assert f"Report: http://127.0.0.1:{port}/ " in out
    assert f"open http://127.0.0.1:{port}/ " in out
    assert "  Next: " in out


def test_it_does_not_name_a_report_that_it_does_not_serve(environment: dict[str, str]):
    with serving({**environment, "CALCOM_HTTP_OFF": "report"}) as (process, port):
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert "Report: " not in out
    assert f"open http://127.0.0.1:{port}/ " not in out
    assert "  Next: " in out


def test_several_processes_answer_and_take_webhooks_in_and_tell_their_figures_together(
    environment: dict[str, str], database: Database, tmp_path: Path
):
    with serving(environment | receiving(tmp_path), "--workers", "2") as (process, port):
        address = f"http://127.0.0.1:{port}{PATH}"
        assert post(address, delivery_body("u1")) == 200
        assert post(address, delivery_body("u1"), None) == 401
        asker = Asker(port)
        answers = 12
        for _ in range(answers):
            assert asker.get("/health").status == 200
        lines = asker.get("/metrics").raw.decode().splitlines()
        counted = next(line for line in lines if line.startswith('calcom_http_requests_total{operation="health"'))
        assert float(counted.split()[-1]) >= answers  # of the first look too
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=40)
    leaks.said("`serve`", out, err)
    assert (process.returncode, err) == (0, "")
    assert fetch(database, "SELECT trigger, uid FROM webhook_inbox") == [("BOOKING_CREATED", "u1")]


def test_without_tokens_nobody_else_is_served(environment: dict[str, str]):
    done = command("serve", "--host", "0.0.0.0", environment=environment)
    assert done.returncode == 3
    assert "CALCOM_HTTP_TOKENS is not set" in said(done)


def test_a_port_that_is_taken_is_told(environment: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("serve", "--port", str(taken.getsockname()[1]), environment=environment)
    assert done.returncode == 3
    assert "cannot be used" in said(done)


def test_a_mistake_is_told_by_its_exit_code_before_anything_is_served(environment: dict[str, str]):
    before = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    wrong = {**environment, "DATABASE_URL": "mysql://nobody@127.0.0.1/none"}
    done = command("serve", "--port", str(free_port()), "--workers", "2", environment=wrong)
    assert done.returncode == 3
    assert os.environ.get("PROMETHEUS_MULTIPROC_DIR") == before


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ("website=short", "wants tokens of 16 to 200"),
        ("Website=aaaaaaaaaaaaaaaaaaaa", "names are small letters"),
        ("aaaaaaaaaaaaaaaaaaaaaaa", "wants tokens of 16 to 200"),
        ("a=aaaaaaaaaaaaaaaaaaaa,b=aaaaaaaaaaaaaaaaaaaa", "has one token twice"),
    ],
)
def test_tokens_that_are_none_are_refused_without_quoting_them(environment: dict[str, str], tokens: str, problem: str):
    done = command("serve", environment={**environment, "CALCOM_HTTP_TOKENS": tokens})
    assert done.returncode == 3
    assert problem in said(done)
    assert "aaaaaaaa" not in done.stderr
    assert "short" not in done.stderr


def test_with_a_secret_webhooks_come_in_beside_the_api_and_reach_the_inbox(
    environment: dict[str, str], database: Database, tmp_path: Path
):
    raw = delivery_body("u1")
    with serving(environment | receiving(tmp_path)) as (process, port):
        address = f"http://127.0.0.1:{port}{PATH}"
        assert post(address, raw) == 200
        assert post(address, raw, None) == 401
        assert Asker(port).get("/health").status == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=40)
    leaks.said("`serve`", out, err)
    assert fetch(database, "SELECT trigger, uid FROM webhook_inbox") == [("BOOKING_CREATED", "u1")]


def test_the_receiver_alone_can_be_off(environment: dict[str, str], tmp_path: Path):
    with serving(environment | receiving(tmp_path) | {"CALCOM_HTTP_OFF": "webhooks"}) as (_, port):
        assert post(f"http://127.0.0.1:{port}{PATH}", delivery_body("u1")) == 404


def test_without_a_secret_nobody_can_deliver(environment: dict[str, str]):
    with serving(environment) as (_, port):
        assert post(f"http://127.0.0.1:{port}{PATH}", delivery_body("u1")) == 404


def test_while_postgresql_hangs_it_starts_and_keeps_deliveries_on_disk_until_it_answers(
    environment: dict[str, str], database: Database, servers: local.Servers, tmp_path: Path
):
    """Cal.com delivers once: a receiver that is started again in an outage has to take what comes."""
    with before_postgres(servers) as (url, door):
        door.stall()
        quick = {"DATABASE_URL": url, "CALCOM_DATABASE_CONNECT_SECONDS": "2", "CALCOM_LOOK_SECONDS": "1"}
        with serving(environment | receiving(tmp_path) | quick) as (process, port):
            assert post(f"http://127.0.0.1:{port}{PATH}", delivery_body("u1")) == 200
            assert len(list(tmp_path.rglob("*.spooled"))) == 1
            asker = Asker(port)
            answer = asker.get("/v2/slots", **DAYS)
            assert (answer.status, answer.kind) == (503, "store-away")
            assert answer.headers["retry-after"]
            assert b'calcom_webhook_deliveries_total{outcome="spooled"} 1.0' in asker.get("/metrics").raw
            door.flow()
            assert eventually(lambda: fetch(database, "SELECT uid FROM webhook_inbox")) == [("u1",)]
            assert eventually(lambda: asker.get("/v2/slots", **DAYS).kind == "not-found")  # nothing is mirrored yet
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=40)
    leaks.said("`serve`", out, err)
    assert "serving without postgresql" in err


def test_several_processes_start_while_postgresql_refuses_and_none_outlives_a_parent_that_was_killed(
    environment: dict[str, str], tmp_path: Path
):
    away = {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    with serving(environment | receiving(tmp_path) | away, "--workers", "2") as (process, port):
        for number in range(4):
            assert post(f"http://127.0.0.1:{port}{PATH}", delivery_body(f"u{number}")) == 200
        assert Asker(port).get("/v2/slots", **DAYS).kind == "store-away"
        process.kill()
        process.wait(20)
        assert eventually(lambda: not answers(port))
        out, err = process.communicate(timeout=40)  # until nobody holds its pipes any more
    leaks.said("`serve`", out, err)
    assert len(list(tmp_path.rglob("*.spooled"))) == 4


def test_before_a_migration_deliveries_are_kept_and_without_a_receiver_it_is_told(
    environment: dict[str, str], empty_database: Database, tmp_path: Path
):
    migrate(empty_database, shipped_migrations()[:-1])
    done = command("serve", "--port", str(free_port()), environment=environment)
    assert done.returncode == exit_codes.DATABASE
    with serving(environment | receiving(tmp_path)) as (_, port):
        assert post(f"http://127.0.0.1:{port}{PATH}", delivery_body("u1")) == 200
        answer = Asker(port).get("/v2/slots", **DAYS)
        assert (answer.status, answer.kind) == (503, "store-away")


def test_while_redis_is_away_it_starts_and_deliveries_are_stored(
    environment: dict[str, str], database: Database, tmp_path: Path
):
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with serving(environment | receiving(tmp_path) | away) as (process, port):
        assert post(f"http://127.0.0.1:{port}{PATH}", delivery_body("u1")) == 200
        assert fetch(database, "SELECT uid FROM webhook_inbox") == [("u1",)]
        assert Asker(port).get("/v2/slots", **DAYS).kind == "not-found"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=40)
    leaks.said("`serve`", out, err)


def test_who_connects_while_it_is_started_again_waits_where_a_service_manager_holds_the_socket(
    environment: dict[str, str], database: Database, tmp_path: Path
):
    """As systemd does: the socket is the first descriptor handed over, and outlives the process."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        hand_over = ["bash", "-c", f'export LISTEN_PID=$$; exec 3<&{held.fileno()}; exec "$@"', "bash"]
        started = {
            "environment": environment | receiving(tmp_path) | {"LISTEN_FDS": "1"},
            "port": port,
            "wrapped": lambda words: [*hand_over, *words],
            "pass_fds": [held.fileno()],
        }
        with serving(**started) as (process, _):
            process.kill()
            process.communicate()
        with ThreadPoolExecutor(1) as caller:
            status = caller.submit(post, f"http://127.0.0.1:{port}{PATH}", delivery_body("u1"), timeout=60)
            with serving(**started) as (process, _):
                assert status.result(60) == 200
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=40)
    leaks.said("`serve`", out, err)
    assert (process.returncode, err) == (0, "")
    assert fetch(database, "SELECT uid FROM webhook_inbox") == [("u1",)]
