"""Letters over a real mail server with real certificates."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from service.sinks import mail
from service.sinks.addresses import Gate
from service.sinks.configs import EmailConfig
from service.sinks.letters import letter, subject, text
from service.sinks.mail import MailSender
from service.sinks.sender import Delivered, OutboxMessage, Retry, no_snapshot
from tests.service.sinks.conftest import INCIDENT, SINK, START
from tests.support.mail_server import PASSWORD, USER, MailServer
from tests.support.media import jpeg

INCIDENT_DATA = {
    "incident": {
        **{"id": INCIDENT, "rule_name": "Fight at the gate", "action": "Fighting", "severity": "alert", "zone": "gate"},
        **{"stream_id": "str_1", "stream_name": "Yard", "started_at": "2026-04-24T03:06:40.000Z"},
    },
    "links": {"incident": "https://cameras.example/incidents/inc_1"},
}
MESSAGE = OutboxMessage(17, SINK, INCIDENT, 1, "incident.started", START, INCIDENT_DATA)
PICTURE = jpeg(0)


def config(server: MailServer | None = None, **changes: Any) -> EmailConfig:
    about: dict[str, Any] = {
        **{"host": "127.0.0.1", "sender": "actoscope@site.example", "recipients": ["guard@site.example"]},
        **{"username": USER, "password": PASSWORD},
    }
    if server is not None:
        about |= {"port": server.port, "ca": server.ca}
    return EmailConfig(**{**about, **changes})


async def snapshot(incident_id: str) -> bytes | None:
    return PICTURE if incident_id == INCIDENT else None


def send(config: EmailConfig, message: OutboxMessage = MESSAGE, gate: Gate | None = None) -> Any:
    return asyncio.run(MailSender(config, gate or Gate(["127.0.0.1", "localhost"]), snapshot).send(message))


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_letter_with_its_picture_arrives_encrypted(way: str):
    with MailServer(way) as server:
        assert send(config(server, tls=way)) == Delivered(250)
        (letter,) = server.letters
        assert server.envelopes[0].rcpt_tos == ["guard@site.example"]
    assert letter["Subject"] == "Fight at the gate: Fighting, Yard"
    assert letter["Message-ID"] == f"<msg_17.{SINK}@site.example>"
    assert letter["References"] == f"<{INCIDENT}.{SINK}@site.example>"
    body = letter.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == (
        "It has begun.\n\nRule: Fight at the gate\nAction: Fighting\nCamera: Yard\nZone: gate\nSeverity: alert\n"
        "Time: 2026-04-24T03:06:40.000Z\n\nhttps://cameras.example/incidents/inc_1\n"
    )
    (picture,) = letter.iter_attachments()
    assert (picture.get_content_type(), picture.get_filename()) == ("image/jpeg", f"{INCIDENT}.jpg")
    assert picture.get_payload(decode=True) == PICTURE


def test_letter_of_a_start_waits_for_the_picture_that_is_on_its_way(monkeypatch: pytest.MonkeyPatch):
    begin = time.monotonic()

    async def later(_: str) -> bytes | None:
        return PICTURE if time.monotonic() > begin + 0.3 else None

    with MailServer() as server:
        assert asyncio.run(MailSender(config(server), Gate(["127.0.0.1"]), later).send(MESSAGE)) == Delivered(250)
        (picture,) = server.letters[0].iter_attachments()
        assert picture.get_payload(decode=True) == PICTURE
        monkeypatch.setattr(mail, "PICTURE_S", 0.2)
        asyncio.run(MailSender(config(server), Gate(["127.0.0.1"]), no_snapshot).send(MESSAGE))
        monkeypatch.setattr(mail, "PICTURE_S", 60.0)
        for message in (replace(MESSAGE, attempts=1), replace(MESSAGE, type="incident.ended")):
            asyncio.run(MailSender(config(server), Gate(["127.0.0.1"]), no_snapshot).send(message))
        assert [len(list(letter.iter_attachments())) for letter in server.letters] == [1, 0, 0, 0]


def test_message_id_is_the_same_at_every_attempt():
    with MailServer() as server:
        server.replies = ["451 try later", "250 OK"]
        first, second = send(config(server)), send(config(server), replace(MESSAGE, attempts=1))
        assert (first, second) == (Retry("the mail server refuses the letter", 451), Delivered(250))
        assert server.letters[0]["Message-ID"] == f"<msg_17.{SINK}@site.example>"


def test_wrong_password_says_so_and_does_not_repeat_it():
    with MailServer() as server:
        outcome = send(config(server, password="wr0ng"))
    assert outcome == Retry("the mail server refuses user name or password", 535)


def test_certificates_are_verified():
    with MailServer() as server, MailServer(host="other.example") as other:
        unknown = send(config(server, ca=other.ca))
        wrong = send(config(other))
        assert not server.letters and not other.letters
    assert unknown.error.startswith("the receiver's certificate is refused: ")
    assert wrong.error.startswith("the receiver's certificate is refused: IP address mismatch")


def test_server_without_encryption_gets_no_password():
    with MailServer("plain") as server:
        outcome = send(config(server))
        assert not server.letters
    assert outcome == Retry("the mail server does not know STARTTLS, or the way to log in")


def test_recipients_that_are_refused_are_counted_and_all_refused_is_a_failure():
    with MailServer(refused=("gone@site.example",)) as server:
        some = send(config(server, recipients=["guard@site.example", "gone@site.example"]))
        none = send(config(server, recipients=["gone@site.example"]))
    assert some == Delivered(250, "the server refuses 1 of the recipients")
    assert none == Retry("the mail server refuses every recipient", 550)


def test_this_machine_only_where_the_operator_names_it():
    with MailServer() as server:
        outcome = send(config(server), gate=Gate())
        assert not server.letters
    assert "ACTOSCOPE_SINK_HOSTS" in outcome.error


def test_nobody_there_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = send(config(port=taken.getsockname()[1]))
    assert outcome == Retry("no connection: Connection refused")


@pytest.mark.parametrize("limit", ["STEP_S", "TOTAL_S"])
def test_server_that_says_nothing_holds_nobody_up(limit: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail, limit, 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        outcome = send(config(port=silent.getsockname()[1]))
        assert time.monotonic() - begin < 8
    assert isinstance(outcome, Retry)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")]


def test_cancelled_letter_leaves_no_thread():
    async def cancel(port: int) -> None:
        task = asyncio.create_task(MailSender(config(port=port), Gate(["127.0.0.1"]), snapshot).send(MESSAGE))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        asyncio.run(cancel(silent.getsockname()[1]))  # joins the threads that are left
        assert time.monotonic() - begin < 8


def test_templates_of_the_operator_are_filled_and_unknown_names_refused():
    own = config(subject="$severity in $zone: $$1 ${action}", text="$rule at $time, $stream, $event $link")
    assert subject(own, MESSAGE) == "alert in gate: $1 Fighting"
    assert text(own, MESSAGE).startswith("Fight at the gate at 2026-04-24T03:06:40.000Z, Yard, It has begun https://")
    for wrong in ("$password", "${x.y}", "100 $"):
        with pytest.raises(ValueError, match=r"expected names out of \$rule, \$action"):
            config(subject=wrong)


def test_names_cannot_smuggle_headers_in():
    evil = {"incident": {"rule_name": "a\r\nBcc: x@evil.example\r\n\r\nboo", "action": "\u2028b"}}
    made = letter(config(), replace(MESSAGE, data=evil), None)
    assert made["Subject"] == "a Bcc: x@evil.example boo: b, -"
    assert made["Bcc"] is None and made["To"] == "guard@site.example"


def test_message_of_no_incident_is_told_in_plain_words():
    told = {"stream": {"id": "str_1", "name": "Yard", "reason": "the camera refuses the password"}}
    message = OutboxMessage(18, SINK, None, 0, "stream.failed", START, told, "str_1")
    assert subject(config(), message) == "Actoscope: A camera has failed"
    assert "stream reason: the camera refuses the password" in text(config(), message)
    assert send(config(), replace(message, type="test.ping"), Gate()).error  # no picture is looked for
