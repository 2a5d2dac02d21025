"""Edits of services on real servers: at Cal.com without Dagster, done once by several processes, counted by Redis."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from calcom_pipeline.web.following import edits_task, following_edits
from tests.support.loop import add_service, update, writes
from tests.support.planning import apply_now, plan_now
from tests.support.tables import fetch
from tests.support.waiting import until


@pytest.fixture
def container(in_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    for name, value in {"CALCOM_APPLY": "auto", "CALCOM_SERVICE_FOLLOW_SECONDS": "0.1"}.items():
        monkeypatch.setenv(name, value)
    with ready_container(load_settings()) as opened:
        yield opened


def linked_service(container: Container) -> tuple[str, int]:
    """A service that is in sync, and its event type."""
    service = add_service(container, "Massage", "massage", 60)
    apply_now(container, plan_now(container, "test"))
    (link,) = [link for link in container.services.store.links() if link.service_id == service]
    assert link.event_type_id
    return service, link.event_type_id


def title(container: Container, event_type: int) -> str:
    return container.calcom.get_event_type(event_type).title


def follower_is_there(container: Container) -> bool:
    return bool(fetch(container.database, "SELECT 1 FROM feed_readers WHERE reader = 'services_follower'"))


@pytest.mark.parametrize("processes", [1, 3])
def test_an_edit_is_at_calcom_at_once_written_once_and_its_cached_days_go(
    container: Container, sandbox: RunningSandbox, processes: int
):
    service, event_type = linked_service(container)
    with ExitStack() as stack:
        for _ in range(processes):
            own = stack.enter_context(ready_container(load_settings()))
            stack.enter_context(following_edits(own))
        until(lambda: follower_is_there(container))
        before = writes(sandbox)
        update(container, service, "Massage deluxe")
        until(lambda: title(container, event_type) == "Massage deluxe")
        until(lambda: not container.availability.outbox.backlog().pending)
        update(container, service, "Massage royal")
        until(lambda: title(container, event_type) == "Massage royal")
    assert writes(sandbox) == before + 2
    sources = fetch(
        container.database, "SELECT DISTINCT source FROM sync_plans WHERE created_at > now() - interval '1 h'"
    )
    assert ("calcom-pipeline serve",) in sources
    lanes = "SELECT DISTINCT lane FROM api_calls WHERE method = 'PATCH'"
    assert until(lambda: fetch(container.database, lanes)) == [("interactive",)]


@pytest.mark.parametrize("variable", [{"CALCOM_APPLY": "plan"}, {"CALCOM_SERVICE_FOLLOW_SECONDS": "0"}])
def test_nobody_follows_where_nothing_is_written_unasked_or_it_is_off(
    in_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, variable: dict[str, str]
):
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    with ready_container(load_settings()) as container:
        assert edits_task(container, look_seconds=1.0) is None
