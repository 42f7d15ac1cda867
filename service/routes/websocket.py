"""/v1/ws: everything live, with a snapshot first and the past on request."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException
from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect

from service.access.own_connection import ABORT
from service.errors import problem_response, to_problem
from service.errors_base import InvalidRequest, NotFound, Unavailable, invalid
from service.hub import Hub
from service.rights import needs
from service.routes.context import Context, get_context, get_principal
from service.routes.watch import RightsEnded, Watch
from service.storage.database import StoreError
from service.subscription import SubscriberTooSlow, Subscription, SubscriptionClosed, SubscriptionFilter, to_text
from service.wire_messages import to_hello_message, to_pong_message

log = logging.getLogger(__name__)

router = APIRouter()

SEND_DEADLINE_S = 5.0
CLOSE_DEADLINE_S = 1.0
MAX_INCOMING = 4096  # characters; clients have little to say
MAX_SEQ = 2**63 - 1
MAX_REASON_BYTES = 123  # RFC 6455, 5.5
_FIELDS = frozenset({"stream", "action", "exercise", "min_confidence", "rule", "severity", "since_seq"})

GOING_AWAY, NOT_UNDERSTOOD, NOT_ALLOWED, TOO_BIG, INTERNAL, TRY_AGAIN = 1001, 1003, 1008, 1009, 1011, 1013


@dataclass(frozen=True, slots=True)
class Wish:
    """What the query of the websocket's URL asks for."""

    filter: SubscriptionFilter
    since_seq: int | None


def parse_query(query: QueryParams) -> Wish:
    """Raises InvalidRequest."""
    for name in query:
        if name not in _FIELDS:
            raise invalid(name, f"only {', '.join(sorted(_FIELDS))}", "an unknown parameter")
    chosen = SubscriptionFilter(
        streams=frozenset(query.getlist("stream")),
        actions=frozenset(query.getlist("action")),
        min_confidence=_confidence(query.get("min_confidence")),
        rules=frozenset(query.getlist("rule")),
        severities=frozenset(query.getlist("severity")),
        exercises=frozenset(query.getlist("exercise")),
    )
    return Wish(chosen, _since_seq(query.get("since_seq")))


def _confidence(text: str | None) -> float:
    try:
        value = 0.0 if text is None else float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise invalid("min_confidence", "a number in 0..1", text)
    return value


def _since_seq(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MAX_SEQ):
        raise invalid("since_seq", "the seq of a message, a whole number from 0", text)
    return int(text)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody who is let in: what waits there, what may be seen, from where to replay."""

    subscription: Subscription
    watch: Watch
    since_seq: int | None


@router.websocket("/v1/ws")
@needs("live:read")
async def subscribe(websocket: WebSocket) -> None:
    """Bad queries and one subscriber too many are refused before it opens (foreign pages by the guard)."""
    here = get_context(websocket)
    watch = Watch(websocket, here, get_principal(websocket), "live:read")
    try:
        wish = parse_query(websocket.query_params)
        if here.hub.subscribers >= here.settings.max_subscribers:
            raise Unavailable(f"{here.settings.max_subscribers} subscribers are the limit", retry_after_s=5)
    except (InvalidRequest, Unavailable) as error:
        await websocket.send_denial_response(problem_response(to_problem(error), websocket.url.path))
        return
    subscription = here.hub.subscribe(wish.filter, watch.who)
    try:
        await websocket.accept()
        await _serve(websocket, here, Subscriber(subscription, watch, wish.since_seq))
    except WebSocketDisconnect:
        log.debug("a subscriber left before it was served")
    finally:
        here.hub.unsubscribe(subscription)
        # For a client that does not read the end either; nothing happens if the connection is closed by then.
        asyncio.get_running_loop().call_later(CLOSE_DEADLINE_S, getattr(websocket.state, ABORT))


async def _serve(websocket: WebSocket, here: Context, to: Subscriber) -> None:
    """Until one side or the subscriber's rights end it. The three tasks end together."""
    tasks = {
        asyncio.create_task(_send_all(websocket, here, to)),
        asyncio.create_task(_receive_all(websocket, to.subscription)),
        asyncio.create_task(to.watch.follow(to.subscription.restrict)),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    close = _close_code(next(iter(done)).exception())
    if close is not None:
        if close[0] == TRY_AGAIN:
            here.hub.note("subscribers_cut_total")
        await _close(websocket, *close)


@router.get("/v1/ws", include_in_schema=False)
@needs("live:read")
async def not_upgraded() -> None:
    """What comes here is most often a websocket whose proxy dropped the two headers that made it one."""
    expected = "expected a websocket: a proxy in front has to hand on the headers Upgrade and Connection"
    raise HTTPException(426, expected, {"Upgrade": "websocket", "Connection": "Upgrade"})


@router.websocket("/{path:path}")
@needs("self")
async def nothing_here(websocket: WebSocket) -> None:
    problem = to_problem(NotFound("there is no websocket at this path"))
    await websocket.send_denial_response(problem_response(problem, websocket.url.path))


def _close_code(error: BaseException | None) -> tuple[int, str] | None:
    """→ (code, reason) to close with, None when the client is gone."""
    match error:
        case None | WebSocketDisconnect():
            return None
        case SubscriptionClosed():
            close = (GOING_AWAY, str(error))
        case RightsEnded():
            close = (NOT_ALLOWED, str(error))
        case SubscriberTooSlow() | asyncio.TimeoutError():
            close = (TRY_AGAIN, "too slow: connect again with since_seq")
        case StoreError():
            close = (TRY_AGAIN, "the database does not answer now: connect again with since_seq")
        case _Refused():
            close = (error.code, str(error))
        case _:
            log.error("a websocket failed", exc_info=error)
            close = (INTERNAL, "an error of the service")
    return close


class _Refused(Exception):
    """What a client sent cannot be answered."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _short(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Says why, unless the client does not read it."""
    try:
        await asyncio.wait_for(websocket.close(code, _short(reason)), CLOSE_DEADLINE_S)
    except (asyncio.TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
        log.debug("a subscriber left or does not read its farewell")


async def _send_all(websocket: WebSocket, here: Context, to: Subscriber) -> None:
    seq = here.hub.seq  # messages up to here come from the log, later ones wait in the subscription
    await _send(websocket, to_text(await hello(here, to.watch, seq)))
    if to.since_seq is not None:
        await _replay(websocket, here.hub, to, seq)
    while True:
        about, text = await to.subscription.next_message()
        await to.watch.settled()
        if about is None or to.watch.who.visible.sees(about):
            await _send(websocket, text)


async def _replay(websocket: WebSocket, hub: Hub, to: Subscriber, until: int) -> None:
    after = to.since_seq or 0
    while after < until:
        messages, after = await hub.replay(after, until, to.subscription)
        for message in messages:
            await to.watch.settled()
            if to.subscription.passes_later(message):  # rights may have changed while the ones before were sent
                await _send(websocket, to_text(message))


async def hello(here: Context, watch: Watch, seq: int) -> dict[str, Any]:
    """The snapshot. ``oldest_seq`` tells a client that asks for more than the log still has.

    Both numbers count the messages of all streams, whoever asks: a client must know whether it missed something.
    """
    oldest = await here.store.oldest_seq()
    records = await here.store.all_streams(watch.who.visible)
    await watch.settled()
    who = watch.who  # it may be less than while the database was read
    streams = [here.registry.describe(record, who).model_dump() for record in records if who.visible.sees(record.id)]
    return to_hello_message(seq, oldest, streams)


async def _send(websocket: WebSocket, text: str) -> None:
    """Raises TimeoutError when the client does not read for SEND_DEADLINE_S."""
    try:
        await asyncio.wait_for(websocket.send_text(text), SEND_DEADLINE_S)
    except asyncio.TimeoutError:  # an OSError itself since Python 3.11
        raise
    except (RuntimeError, OSError) as error:  # what servers raise for a connection that is gone
        raise WebSocketDisconnect(1006) from error


async def _receive_all(websocket: WebSocket, subscription: Subscription) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None or _kind(text) != "ping":
            raise _Refused(NOT_UNDERSTOOD, 'expected {"type": "ping"}')
        subscription.offer_text(to_text(to_pong_message()))


def _kind(text: str) -> Any:
    if len(text) > MAX_INCOMING:
        raise _Refused(TOO_BIG, f"expected at most {MAX_INCOMING} characters")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content.get("type") if isinstance(content, dict) else None
