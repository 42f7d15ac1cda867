"""Letters by SMTP, encrypted always: STARTTLS or TLS, with a certificate that is verified.

smtplib speaks on a thread, over a connection that was made on the event loop to an address that the gate has checked.
Ending the connection ends the thread, so that no slow server holds the service up.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Any

from service.sinks.addresses import AddressRefused, Gate, Unreachable, open_socket
from service.sinks.configs import EmailConfig, load
from service.sinks.letters import letter
from service.sinks.sender import Delivered, OutboxMessage, Outcome, Retry, SenderContext
from service.sinks.tls import in_words, tls_context
from service.storage.sinks import SinkRecord

PICTURE_S = 5.0  # for the picture of an incident that has just begun, which is on its way
LOOK_S = 0.1
CONNECT_S = 5.0
STEP_S = 10.0  # one word of the server
TOTAL_S = 19.0  # with picture and connection less than the dispatcher waits
MAX_PICTURE_BYTES = 5 << 20

Snapshot = Callable[[str], Awaitable[bytes | None]]


class MailSender:
    """Sends to one list of people by one server."""

    def __init__(self, config: EmailConfig, gate: Gate, snapshot: Snapshot) -> None:
        self._config = config
        self._gate = gate
        self._snapshot = snapshot
        self._tls = tls_context(config.ca)

    async def open(self) -> None:
        """Nothing: a connection lasts as long as a letter."""

    async def close(self, removed: bool) -> None:
        """Nothing either."""

    async def send(self, message: OutboxMessage) -> Outcome:
        mail = letter(self._config, message, await self._picture(message))
        try:
            connection = await self._gate.connect(self._config.host, self._config.port, CONNECT_S, open_socket)
            refused = await self._on_a_thread(connection, mail)
        except (AddressRefused, Unreachable) as error:
            return Retry(str(error))
        except (asyncio.TimeoutError, TimeoutError):
            return Retry("the mail server does not answer in time")
        except smtplib.SMTPException as error:
            return _failure(error)
        except OSError as error:
            return Retry(in_words(error))
        return Delivered(250, f"the server refuses {len(refused)} of the recipients" if refused else "")

    async def _picture(self, message: OutboxMessage) -> bytes | None:
        if message.incident_id is None:
            return None
        is_new = message.type == "incident.started" and message.attempts == 0
        deadline = time.monotonic() + (PICTURE_S if is_new else 0.0)
        while (jpeg := await self._snapshot(message.incident_id)) is None and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_S)
        return jpeg if jpeg is not None and len(jpeg) <= MAX_PICTURE_BYTES else None

    async def _on_a_thread(self, connection: socket.socket, mail: EmailMessage) -> dict[str, Any]:
        """→ the recipients that were refused, where others were not."""
        handle = connection.dup()  # TLS takes the first one over
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._converse, connection, mail), TOTAL_S)
        finally:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def _converse(self, connection: socket.socket, mail: EmailMessage) -> dict[str, Any]:
        config = self._config
        with contextlib.closing(connection), contextlib.closing(_Smtp(connection, config, self._tls)) as smtp:
            if config.tls == "starttls":
                smtp.starttls(context=self._tls)
            if config.username is not None and config.password is not None:
                smtp.login(config.username.get_secret_value(), config.password.get_secret_value())
            refused = smtp.send_message(mail)
            with contextlib.suppress(smtplib.SMTPException, OSError):  # the letter has arrived, however it ends
                smtp.quit()
            return refused


class _Smtp(smtplib.SMTP):
    """Speaks over a connection that is there already; ``host`` is what the certificate must name."""

    def __init__(self, connection: socket.socket, config: EmailConfig, tls: ssl.SSLContext) -> None:
        self._connection = connection
        self._tls = tls if config.tls == "tls" else None
        own = connection.getsockname()[0]
        name = f"[IPv6:{own}]" if ":" in own else f"[{own}]"  # RFC 5321, 4.1.3; looks nothing up
        super().__init__(config.host, config.port, local_hostname=name, timeout=STEP_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """The one place where smtplib connects; SMTP_SSL overrides it too."""
        self._connection.settimeout(timeout)
        return self._connection if self._tls is None else self._tls.wrap_socket(self._connection, server_hostname=host)


def _failure(error: smtplib.SMTPException) -> Retry:
    """Servers' texts may repeat what was sent: only their numbers are shown."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Retry("the mail server refuses user name or password", error.smtp_code)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
        return Retry("the mail server refuses every recipient", codes[0] if codes else None)
    if isinstance(error, smtplib.SMTPSenderRefused):
        return Retry("the mail server refuses the sender", error.smtp_code)
    if isinstance(error, smtplib.SMTPResponseException):
        return Retry("the mail server refuses the letter", error.smtp_code)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Retry("the mail server does not know STARTTLS, or the way to log in")
    return Retry("the mail server ended the connection")


def mail_sender(record: SinkRecord, context: SenderContext) -> MailSender:
    config = load(record)
    if not isinstance(config, EmailConfig):
        raise ValueError(f"expected an e-mail sink, got {record.kind}")
    return MailSender(config, Gate(context.settings.sink_hosts), context.snapshot)
