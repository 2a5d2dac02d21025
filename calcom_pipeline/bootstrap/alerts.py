"""Messages to people about runs that failed."""

from datetime import timedelta
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.app.maintenance.alerts import AlertRules
    from calcom_pipeline.app.maintenance.ports import AlertChannel


def alert_channels(settings: Settings) -> "list[AlertChannel]":
    """The ways to people that the settings name."""
    from calcom_pipeline.adapters.alerts.mail import MailChannel
    from calcom_pipeline.adapters.alerts.webhook import WebhookChannel

    s = settings
    found: list[AlertChannel] = []
    if s.alert_webhook is not None:
        found.append(WebhookChannel(s.alert_webhook.get_secret_value(), seconds=s.alert_seconds))
    if s.alert_smtp_url is not None and s.alert_mail_to:
        server, sender = s.alert_smtp_url.get_secret_value(), s.alert_mail_from or s.alert_mail_to[0]
        found.append(MailChannel(server, sender=sender, recipients=s.alert_mail_to, seconds=s.alert_seconds))
    return found


def alert_rules(settings: Settings) -> "AlertRules":
    """When an alert is repeated, and where runs are looked at."""
    from calcom_pipeline.app.maintenance.alerts import AlertRules

    ui_url = settings.ui_url or f"http://127.0.0.1:{settings.ui_port}"
    return AlertRules(settings.account, ui_url, timedelta(hours=settings.alert_repeat_hours))
