"""A message to an incoming webhook: `{"text": ...}`, which Slack, Mattermost, Rocket.Chat and Zulip take."""

import html

import requests

from calcom_pipeline.app.maintenance.ports import NotSent
from calcom_pipeline.domain.maintenance.alerts import AlertMessage

_OK, _REDIRECTS = 200, 300


class WebhookChannel:
    """An incoming webhook; its address is a secret as a whole. `seconds` is the longest wait."""

    name = "webhook"

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url = url
        self._seconds = seconds

    def send(self, message: AlertMessage) -> None:
        """Send it, once; redirects are not followed. Raises NotSent, without the address."""
        # Slack reads <...> as a link or a mention of everybody; what failed may hold somebody else's text.
        body = {"text": html.escape(f"*{message.title}*\n{message.text}", quote=False)}
        try:
            with requests.post(
                self._url, json=body, timeout=self._seconds, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            raise NotSent(type(error).__name__) from None  # its text holds the address
        if not _OK <= status < _REDIRECTS:
            raise NotSent(f"it answered {status}")
