"""A message by e-mail, over SMTP."""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from calcom_pipeline.app.maintenance.ports import NotSent
from calcom_pipeline.domain.maintenance.alerts import AlertMessage

_PLAIN_PORT, _TLS_PORT = 25, 465


class MailChannel:
    """A mail server: `smtp://user:password@host:587` (TLS once connected, if it offers that) or `smtps://...`.

    A password is sent over TLS only. `seconds` is the longest wait for each of its answers.
    """

    name = "mail"

    def __init__(self, url: str, *, sender: str, recipients: Sequence[str], seconds: float) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._recipients = recipients
        self._seconds = seconds

    def send(self, message: AlertMessage) -> None:
        """Send it to all recipients. Raises NotSent, without addresses."""
        mail = EmailMessage()
        mail["Subject"] = " ".join(message.title.split())
        mail["From"], mail["To"] = self._sender, ", ".join(self._recipients)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        try:
            with self._connected() as server:
                self._log_in(server)
                server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(type(error).__name__) from None  # its text may hold addresses

    def _connected(self) -> smtplib.SMTP:
        host = self._url.hostname or "localhost"
        if self._url.scheme == "smtps":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, self._url.port or _TLS_PORT, timeout=self._seconds, context=context)
        return smtplib.SMTP(host, self._url.port or _PLAIN_PORT, timeout=self._seconds)

    def _log_in(self, server: smtplib.SMTP) -> None:
        server.ehlo()
        is_encrypted = self._url.scheme == "smtps"
        if not is_encrypted and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
            is_encrypted = True
        if self._url.username and self._url.password:
            if not is_encrypted:
                raise NotSent("the mail server offers no TLS, so it is not told the password")
            server.login(unquote(self._url.username), unquote(self._url.password))
