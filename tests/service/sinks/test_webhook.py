"""What a webhook puts on the wire, judged by other people's code; and what it makes of answers."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from service.sinks import signing
from service.sinks.addresses import Gate
from service.sinks.sender import Delivered, Gone, OutboxMessage, Retry
from service.sinks.webhook import Answer, WebhookSender, encode, judge, retry_after_s
from tests.service.sinks.conftest import INCIDENT, KEY, SINK, START, webhook_config
from tests.support.receiver import Receiver, Reply, script

OLD = signing.Key("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", until=START + 60)


def message(**data: Any) -> OutboxMessage:
    return OutboxMessage(17, SINK, INCIDENT, 1, "incident.started", START, data)


def send(receiver: Receiver, keys: list[signing.Key], now: float, **config: Any) -> Any:
    sender = WebhookSender(webhook_config(receiver.url(), **config), keys, Gate(["127.0.0.1"]), lambda: now)
    return asyncio.run(sender.send(message(name="Grüße, 👋", n=1)))


def test_standard_webhooks_own_library_verifies_what_arrives():
    now = datetime.now(timezone.utc).timestamp()
    with Receiver() as receiver:
        assert send(receiver, [KEY], now) == Delivered(204)
        (got,) = receiver.received
    content = standardwebhooks.Webhook(KEY.secret).verify(got.body, dict(got.headers))
    assert content == {
        "type": "incident.started",
        "timestamp": "2026-04-24T03:06:40.000Z",
        "data": {"name": "Grüße, 👋", "n": 1},
    }
    assert (got.id, got.headers["webhook-timestamp"]) == ("msg_17", str(int(now)))
    assert got.headers["content-type"] == "application/json"
    assert b" " not in got.body.replace("Grüße, ".encode(), b"")  # compact
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(KEY.secret).verify(got.body.replace(b"1", b"2"), dict(got.headers))


def test_while_a_secret_is_rotated_old_and_new_verify_and_then_the_new_one_only():
    now = datetime.now(timezone.utc).timestamp()
    keys = signing.rotated([KEY], now, overlap_s=60.0)
    with Receiver() as receiver:
        send(receiver, keys, now)
        send(receiver, keys, now + 61)
        during, after = receiver.received
    for key in keys:
        standardwebhooks.Webhook(key.secret).verify(during.body, dict(during.headers))
    standardwebhooks.Webhook(keys[0].secret).verify(after.body, dict(after.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(KEY.secret).verify(after.body, dict(after.headers))
    assert len(signing.rotated(keys, now)) == 2  # the one before the last signs no more
    assert signing.rotated([KEY], now, overlap_s=0)[1:] == []


@given(st.binary(max_size=200), st.integers(0, 2**40), st.binary(min_size=1, max_size=64))
def test_signatures_equal_those_of_the_library(body: bytes, timestamp: int, secret: bytes):
    import base64
    import hmac

    key = signing.Key("whsec_" + base64.b64encode(secret).decode())
    ours = signing.signatures([key], "msg_1", timestamp, body, 0.0)
    theirs = hmac.new(standardwebhooks.Webhook(key.secret)._whsecret, b"msg_1.%d." % timestamp + body, "sha256")
    assert ours == "v1," + base64.b64encode(theirs.digest()).decode()


def test_new_secrets_are_32_bytes_and_differ():
    import base64

    secrets = {signing.new_key().secret for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.b64decode(each.removeprefix("whsec_"))) for each in secrets} == {32}


def test_further_headers_are_sent():
    with Receiver() as receiver:
        send(receiver, [KEY], START, headers={"Authorization": "Bearer c4n4ry", "X-Site": "7"})
        (got,) = receiver.received
    assert (got.headers["authorization"], got.headers["x-site"]) == ("Bearer c4n4ry", "7")


@pytest.mark.parametrize("name", ["Host", "content-length", "Webhook-Signature", "Transfer-Encoding", "a b", "x:", ""])
def test_headers_of_our_own_and_no_headers_are_refused(name: str):
    with pytest.raises(ValueError, match="expected names of headers that the service does not set itself"):
        webhook_config("http://h.example/", headers={name: "x"})


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\x00", "é", "x" * 2001])
def test_header_values_that_cannot_be_sent_are_refused(value: str):
    with pytest.raises(ValueError, match="expected values of at most 2000 printable ASCII characters"):
        webhook_config("http://h.example/", headers={"X-A": value})


@pytest.mark.parametrize(
    "url",
    [
        *[
            "ftp://h.example/",
            "http://",
            "h.example",
            "http://a:b@h.example/",
            "http://a@h.example/",
            "http://h.example/#x",
        ],
        *["http://h.example:99999/", "http://h ex/", "http://h.example/\n", "file:///etc/passwd", "http:///x", ""],
    ],
)
def test_urls_that_are_none_are_refused_and_not_repeated(url: str):
    with pytest.raises(ValueError, match="expected a URL") as caught:
        webhook_config(url)
    assert "etc/passwd" not in str(caught.value)


def test_message_of_20_kb_is_not_sent():
    with Receiver() as receiver:
        sender = WebhookSender(webhook_config(receiver.url()), [KEY], Gate(["127.0.0.1"]))
        outcome = asyncio.run(sender.send(message(text="x" * 20_000)))
        assert not receiver.received
    assert isinstance(outcome, Retry) and outcome.error.startswith("expected a message of less than 20000 bytes")
    assert len(encode(message(text="x" * 18_900))) < 20_000


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int):
    assert judge(Answer(status, None), START) == Delivered(status)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 404, 418, 429, 500, 503])
def test_everything_else_is_tried_again(status: int):
    outcome = judge(Answer(status, None), START)
    assert isinstance(outcome, Retry) and outcome.status == status


def test_410_is_gone():
    assert isinstance(judge(Answer(410, "5"), START), Gone)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("120", 120.0), (" 7 ", 7.0), ("0", 0.0), ("Fri, 24 Apr 2026 03:07:40 GMT", 60.0)],
        *[
            ("Fri, 24 Apr 2020 03:07:40 GMT", 0.0),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            (None, None),
        ],
        *[("٣", None), ("Fri, 99 Apr 2026 03:07:40 GMT", None)],
    ],
)
def test_retry_after_in_seconds_or_as_a_date(text: str | None, seconds: float | None):
    assert retry_after_s(text, START) == seconds


def test_no_error_tells_of_the_url_or_its_headers():
    secret = "c4n4ry"
    outcomes = []
    with Receiver(
        script(Reply(500, body=b"c4n4ry"), Reply(way="reset"), Reply(302, {"Location": "http://c4n4ry/"}))
    ) as receiver:
        for _ in range(3):
            outcomes.append(send(receiver, [KEY], START, headers={"Authorization": secret}))
        port = receiver.port
    for url in (f"http://127.0.0.1:{port}/{secret}", f"http://{secret}.invalid/", f"https://127.0.0.1:{port}/{secret}"):
        sender = WebhookSender(webhook_config(url), [KEY], Gate(["127.0.0.1"]))
        outcomes.append(asyncio.run(sender.send(message())))
    assert all(isinstance(outcome, Retry) for outcome in outcomes)
    assert secret not in json.dumps([repr(outcome) for outcome in outcomes])
