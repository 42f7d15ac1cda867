"""Webhooks by Standard Webhooks 1.0.0: one POST a message, signed; the status is all that is read of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from service.sinks import signing
from service.sinks.addresses import Address, AddressRefused, Gate, Unreachable
from service.sinks.configs import WebhookConfig, load
from service.sinks.sender import Delivered, Gone, OutboxMessage, Outcome, Retry, SenderContext
from service.sinks.tls import in_words, tls_context
from service.storage.sinks import SinkRecord
from service.wire_messages import rfc3339

CONNECT_S = 5.0
TOTAL_S = 15.0
DRAIN_S = 2.0  # for what follows the status
MAX_BYTES = 20_000  # of a body
MAX_ANSWER_BYTES = 64 * 1024  # more is not read
USER_AGENT = "Actoscope"
_HEEDED = frozenset({429, 502, 503, 504})  # their Retry-After counts
_GONE = 410
_ENDS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)  # of a connection, in all its ways

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    retry_after: str | None


class WebhookSender:
    """Sends to one URL. ``keys``: the current one first."""

    def __init__(
        self, config: WebhookConfig, keys: Sequence[signing.Key], gate: Gate, clock: Callable[[], float] = time.time
    ) -> None:
        url = httpx.URL(config.url.get_secret_value())
        self._url = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/")
        self._host = url.netloc.decode()  # httpcore's own leaves the brackets of IPv6 out
        self._own = [(name, value.get_secret_value()) for name, value in config.headers.items()]
        self._keys = keys
        self._clock = clock
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(config.ca) if url.scheme == "https" else None,
            max_keepalive_connections=0,  # each message finds out anew where its host is
            network_backend=CheckedBackend(gate),
        )

    async def open(self) -> None:
        """Nothing: a connection lasts as long as a message."""

    async def close(self, removed: bool) -> None:
        await self._pool.aclose()

    async def send(self, message: OutboxMessage) -> Outcome:
        body = encode(message)
        if len(body) >= MAX_BYTES:
            return Retry(f"expected a message of less than {MAX_BYTES} bytes, got {len(body)}")
        try:
            answer = await asyncio.wait_for(self._post(self._headers(message, body), body), TOTAL_S)
        except (AddressRefused, Unreachable) as error:
            return Retry(str(error))
        except asyncio.TimeoutError:
            return Retry(f"no answer within {TOTAL_S:g} s")
        except (OSError, *_ENDS) as error:
            return Retry(_words(error))
        return judge(answer, self._clock())

    def _headers(self, message: OutboxMessage, body: bytes) -> Headers:
        now = self._clock()
        headers = [
            ("Host", self._host),
            ("Content-Type", "application/json"),
            ("User-Agent", USER_AGENT),
            ("webhook-id", message.name),
            ("webhook-timestamp", str(math.floor(now))),
            ("webhook-signature", signing.signatures(self._keys, message.name, math.floor(now), body, now)),
            *self._own,
        ]
        return [(name.encode(), value.encode()) for name, value in headers]

    async def _post(self, headers: Headers, body: bytes) -> Answer:
        """Redirects are not followed, no proxy of the environment is used."""
        timeouts = {"connect": CONNECT_S, "read": TOTAL_S, "write": TOTAL_S, "pool": TOTAL_S}
        extensions = {"timeout": timeouts}
        async with self._pool.stream("POST", self._url, headers=headers, content=body, extensions=extensions) as got:
            answer = Answer(got.status, _header(got.headers, b"retry-after"))
            # The rest says nothing; it is taken so that the receiver sees a whole exchange.
            with contextlib.suppress(*_ENDS, asyncio.TimeoutError):
                await asyncio.wait_for(_drain(got), DRAIN_S)
        return answer


def encode(message: OutboxMessage) -> bytes:
    """→ the very bytes that are signed and sent."""
    content = {"type": message.type, "timestamp": rfc3339(message.created_at), "data": dict(message.data)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def judge(answer: Answer, now: float) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Delivered(status)
    if status == _GONE:
        return Gone("the receiver answered 410: it wants no more messages", status)
    if 300 <= status < 400:
        return Retry(f"the receiver answered {status}: redirects are not followed", status)
    after_s = retry_after_s(answer.retry_after, now) if status in _HEEDED else None
    return Retry(f"the receiver answered {status}", status, after_s)


def retry_after_s(text: str | None, now: float) -> float | None:
    """``Retry-After`` in seconds or as an HTTP date (RFC 9110, 10.2.3) → seconds from now; None for anything else."""
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the gate has checked; the URL's host stays what TLS and ``Host`` name."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._tcp = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async def dial(address: Address, port: int) -> httpcore.AsyncNetworkStream:
            try:
                return await self._tcp.connect_tcp(str(address), port, None, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                raise _cause(error) from None

        return await self._gate.connect(host, port, CONNECT_S if timeout is None else timeout, dial)


def _cause(error: BaseException) -> OSError:
    """What the system said, which several layers wrap; causes may go in circles."""
    said: OSError = ConnectionError()
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and (cause.errno or isinstance(cause, ssl.SSLError)):
            said = cause
        cause = cause.__cause__ or cause.__context__
    return said


def _words(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return f"no answer within {TOTAL_S:g} s"
    if isinstance(error, httpcore.ProtocolError):
        return "the answer is no HTTP" if isinstance(error, httpcore.RemoteProtocolError) else "no HTTP request"
    return in_words(_cause(error))


async def _drain(response: httpcore.Response) -> None:
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            return


def _header(headers: Headers, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def webhook_sender(record: SinkRecord, context: SenderContext) -> WebhookSender:
    config = load(record)
    if not isinstance(config, WebhookConfig):
        raise ValueError(f"expected a webhook, got {record.kind}")
    keys = signing.from_plain(record.secrets.get("signing", ()))
    return WebhookSender(config, keys, Gate(context.settings.sink_hosts))
