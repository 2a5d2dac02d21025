"""What looks keep from one to the next."""

import time
from types import SimpleNamespace

import pytest

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs import kept_open
from calcom_pipeline.defs.kept_open import SCHEMA_SECONDS, look_container
from calcom_pipeline.settings import Settings, load_settings


@pytest.fixture
def settings(in_environment: dict[str, str]) -> Settings:
    return load_settings()


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Schemas that were looked for, in this order."""
    seen, look = list[str](), Container.require_schema

    def note(self: Container):
        seen.append(self.settings.schema_name)
        return look(self)

    monkeypatch.setattr(Container, "require_schema", note)
    return seen


def test_the_schema_of_an_account_is_looked_for_once_in_five_minutes(
    settings: Settings, looked_for: list[str], monkeypatch: pytest.MonkeyPatch
):
    now = time.monotonic() + 2 * SCHEMA_SECONDS  # other tests have had this schema
    monkeypatch.setattr(kept_open, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(3):
        with look_container(settings) as container:
            assert container.services.store.services() == []
    assert looked_for == [settings.schema_name]
    now += SCHEMA_SECONDS + 1
    with look_container(settings):
        pass
    assert looked_for == [settings.schema_name] * 2


def test_after_a_look_that_failed_it_is_looked_for_again(settings: Settings, looked_for: list[str]):
    with look_container(settings):
        looked_for.clear()
    with pytest.raises(ZeroDivisionError), look_container(settings):
        raise ZeroDivisionError
    assert looked_for == []
    with look_container(settings):
        assert looked_for == [settings.schema_name]
