"""The receiver that `up` keeps for the sandbox, and subscribes there: all of it on this machine.

With a real account the receiver needs a public address, which only people can give: see `serve` and CALCOM_WEBHOOK_URL.
"""

import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.redaction import know_secrets

if TYPE_CHECKING:
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.settings import Settings

HOST = "127.0.0.1"
_SECRET_FILE = "webhook.secret"  # noqa: S105 - its name
_PRIVATE_FILE = 0o600
# A sandbox answers in milliseconds; one that does not keeps nobody from starting.
_SUBSCRIBING_SECONDS = 20.0


def receiver_variables(settings: "Settings", data: Path, *, path: str, ui_url: str) -> Mapping[str, str] | None:
    """What the receiver, and all that look after its subscriptions, are told; None where people have said it.

    Those who look find each other, too: the report links to the UI at `ui_url`, the UI to the report.

    The port is that of the HTTP API, or another one while somebody else listens there. The secret stays the same; there
    is none where webhooks are off, and the rest is served all the same.
    """
    if settings.webhook_url is not None or settings.webhook_secret is not None:
        return None
    report_is_on = "report" not in settings.http_off
    port = _free_port(settings.http_port)
    root = f"http://{HOST}:{port}"
    return {
        **({} if "webhooks" in settings.http_off else _taking_deliveries(data, f"{root}{path}")),
        "CALCOM_HTTP_HOST": HOST,
        "CALCOM_HTTP_PORT": str(port),
        **({"CALCOM_UI_URL": ui_url} if settings.ui_url is None else {}),
        **({"CALCOM_REPORT_URL": root} if settings.report_url is None and report_is_on else {}),
    }


def _taking_deliveries(data: Path, url: str) -> dict[str, str]:
    secret = _secret(data / _SECRET_FILE)
    know_secrets([secret])
    return {"CALCOM_WEBHOOK_SECRET": secret, "CALCOM_WEBHOOK_URL": url}


def subscribe(container: "Container") -> int:
    """Have the subscriptions of the settings' address right now, not with the next schedule; how many are.

    Raises:
        CalcomError, StoreError: as `supervise`.
    """
    from calcom_pipeline.app.webhooks.supervise import supervise

    group = container.subscriptions
    calcom = container.calcom.within(_SUBSCRIBING_SECONDS)
    return supervise(calcom, group.store, group.scopes, group.wanted, rules=group.rules(), now=utc_now).number("right")


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return probe.getsockname()[1]
    return wanted  # whoever listens there will say so


def _secret(file: Path) -> str:
    """That of the last time, so that what is signed with it stays true."""
    with suppress(OSError):
        if known := file.read_text().strip():
            return known
    made = secrets.token_urlsafe(32)
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
    with os.fdopen(opened, "w") as out:
        out.write(made)
    return made
