"""A mail server on loopback (aiosmtpd) with TLS of a certificate authority of its own."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import threading
from email.message import EmailMessage
from types import TracebackType
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "actoscope", "c4n4ry"


class MailServer:
    """``with`` starts and ends it. ``way``: starttls, tls or plain. ``replies`` are what DATA is answered with."""

    def __init__(self, way: str = "starttls", host: str = "127.0.0.1", refused: tuple[str, ...] = ()) -> None:
        self.authority = trustme.CA()
        self.ca = self.authority.cert_pem.bytes().decode()
        self.letters: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.replies: list[str] = []
        self.port = 0
        self._refused = refused
        self._way = way
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(host).configure_cert(self._tls)
        self._loop = asyncio.new_event_loop()
        self._connections: list[SMTP] = []
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self._refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self.replies.pop(0) if self.replies else "250 OK"
        if reply.startswith("250"):
            self.envelopes.append(envelope)
            content: Any = envelope.content
            letter: Any = email.message_from_bytes(content, policy=email.policy.default)
            self.letters.append(letter)
        return reply

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        tls = self._tls if self._way == "tls" else None
        server = self._loop.run_until_complete(self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=tls))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for connection in self._connections:
            transport: Any = connection.transport
            if transport is not None:
                transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def _protocol(self) -> SMTP:
        starttls: dict[str, Any] = {"tls_context": self._tls, "require_starttls": True}
        connection = SMTP(
            self,
            hostname="mail.example",
            loop=self._loop,
            authenticator=_authenticate,
            auth_required=self._way == "starttls",  # aiosmtpd knows of no other encryption
            auth_require_tls=self._way == "starttls",
            **(starttls if self._way == "starttls" else {}),
        )
        self._connections.append(connection)
        return connection

    def __enter__(self) -> MailServer:
        self._thread.start()
        assert self._started.wait(10), "the mail server did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)
