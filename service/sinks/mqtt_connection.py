"""The connection to an MQTT broker: made, kept, made again; its failures in words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from pydantic import SecretStr

from service.storage.database import StoreError

log = logging.getLogger(__name__)

CONNECT_S = 5.0
ANSWER_S = 5.0  # for every packet that the broker acknowledges
KEEPALIVE_S = 20  # the broker publishes the will after one and a half
MAX_IN = 64  # messages that wait for us; more are dropped
WINDOW = 20  # publishes on their way at once
LEAST_S, MOST_S = 1.0, 60.0  # between two attempts
STEADY_S = 60.0  # a connection that lived as long was a good one: the next failure is a first one
OFFLINE, ONLINE = b"offline", b"online"

Session = Callable[[aiomqtt.Client], Awaitable[None]]
Dropped = Callable[[], None]  # called for each message that comes while MAX_IN wait

# Answers to a connection, of MQTT 3.1.1 and of 5.
_REFUSED = {2: "client identifier", 133: "client identifier"} | dict.fromkeys((4, 5, 134, 135), "user name or password")


class BrokerError(ConnectionError):
    """There is no connection (any more); the message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is and who we are there. ``ca``: PEM of the authority trusted instead of the system's."""

    host: str
    port: int
    identifier: str  # one per node and sink: the broker ends an older connection of the same, and fires its will
    tls: bool = False
    ca: str | None = None
    username: SecretStr | None = None
    password: SecretStr | None = None


@contextlib.asynccontextmanager
async def connected(
    broker: Broker, will_topic: str | None, dropped: Callable[[], None]
) -> AsyncIterator[aiomqtt.Client]:
    """Ends the connection in the end. Raises BrokerError, also for what its body meets of aiomqtt's errors.

    A client of aiomqtt serves one connection, so each gets a new one.
    """
    try:
        context = await _tls(broker) if broker.tls else None
        async with _client(broker, context, will_topic, dropped) as client:
            yield client
    except (aiomqtt.MqttError, asyncio.TimeoutError, ssl.SSLError) as error:
        raise BrokerError(in_words(error)) from error


def _client(
    broker: Broker, context: ssl.SSLContext | None, will_topic: str | None, dropped: Callable[[], None]
) -> aiomqtt.Client:
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=broker.identifier,
        username=broker.username.get_secret_value() if broker.username else None,
        password=broker.password.get_secret_value() if broker.password else None,
        will=aiomqtt.Will(will_topic, OFFLINE, qos=1, retain=True) if will_topic else None,
        tls_context=context,
        keepalive=KEEPALIVE_S,
        timeout=ANSWER_S,
        queue_type=_bounded_queue(dropped),
        max_queued_incoming_messages=MAX_IN,
        max_inflight_messages=WINDOW,
    )
    client.pending_calls_threshold = 2 * WINDOW
    return client


def _bounded_queue(dropped: Dropped) -> type[asyncio.Queue[aiomqtt.Message]]:
    class BoundedQueue(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            if self.full():
                dropped()
            else:
                super().put_nowait(item)

    return BoundedQueue


async def _tls(broker: Broker) -> ssl.SSLContext:
    """→ what to connect with, tried: paho shakes hands on a thread that nothing can stop."""
    context = await asyncio.to_thread(ssl.create_default_context, cadata=broker.ca)
    opening = asyncio.open_connection(broker.host, broker.port, ssl=context, ssl_handshake_timeout=CONNECT_S)
    _, writer = await asyncio.wait_for(opening, 2 * CONNECT_S)
    writer.transport.abort()
    return context


def in_words(error: BaseException) -> str:
    """→ why there is no connection."""
    if isinstance(error, BrokerError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    if isinstance(error, MqttConnectError):
        code = error.rc if isinstance(error.rc, int) else getattr(error.rc, "value", 0)
        return f"the broker refused the {_REFUSED.get(code, 'connection')}: {error.rc}"
    if isinstance(error, asyncio.TimeoutError):
        return "the broker does not answer"
    return f"the broker is away: {error}"


def back_off_s(failures: int) -> float:
    """→ seconds to wait after so many failures in a row, at random, so that nobody comes back with all others."""
    return random.uniform(LEAST_S, max(LEAST_S, min(MOST_S, 2.0**failures)))  # noqa: S311 - spreads load, guards nothing


class Link:
    """``session`` serves a connection: it raises when it is lost and returns when no other is wanted.

    ``why`` says why there is none.
    """

    def __init__(self, broker: Broker, will_topic: str, session: Session, count: Callable[[str], None]) -> None:
        self._broker = broker
        self._will_topic = will_topic
        self._session = session
        self._count = count
        self.why = "the broker was not reached yet"

    async def run(self) -> None:
        failures = 0
        while True:
            begun = time.monotonic()
            why = await self._once()
            if why is None:
                return
            self._note(why)
            failures = 1 if time.monotonic() - begun > STEADY_S else failures + 1
            await asyncio.sleep(back_off_s(failures))

    async def _once(self) -> str | None:
        """→ why the connection is lost."""
        try:
            async with connected(self._broker, self._will_topic, lambda: self._count("commands")) as client:
                await self._session(client)
                return None
        except (BrokerError, StoreError) as error:
            return str(error)
        except OSError as error:
            return in_words(error)
        except Exception:  # the task's outermost frame
            log.exception("MQTT %s:%d", self._broker.host, self._broker.port)
            return "an error of ours, which the log tells"

    def _note(self, why: str) -> None:
        """Says it once, not at each attempt."""
        if why != self.why:
            log.warning("MQTT %s:%d: %s", self._broker.host, self._broker.port, why)
        self.why = why
