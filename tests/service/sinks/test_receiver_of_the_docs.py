"""The receiver that docs/sinks.md shows, run as it stands there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from service.sinks.addresses import Gate
from service.sinks.sender import Delivered, OutboxMessage, Retry
from service.sinks.signing import Key, new_key
from service.sinks.webhook import WebhookSender
from tests.service.sinks.conftest import INCIDENT, SINK, START, webhook_config
from tests.support.places import REPOSITORY
from tests.support.service import free_port, wait_for

MESSAGE = OutboxMessage(7, SINK, INCIDENT, 1, "incident.started", START, {"incident": {"action": "Walking"}})


def shown() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "sinks.md").read_text(), re.DOTALL)
    return str(code)


def test_receiver_is_no_more_than_ten_lines():
    assert len([line for line in shown().splitlines() if line]) <= 10


def test_receiver_prints_what_is_signed_and_takes_nothing_else(tmp_path: Path):
    port, key = free_port(), new_key()
    program = tmp_path / "receiver.py"
    program.write_text(shown().replace("9000", str(port)))  # another port: this one may be taken
    environment = {"WEBHOOK_SECRET": key.secret, "PATH": ""}
    running = subprocess.Popen(
        [sys.executable, program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        wait_for(lambda: isinstance(send(port, key), Delivered), 60, "the receiver answers")
        assert isinstance(send(port, new_key()), Retry)
    finally:
        running.kill()
        told, _ = running.communicate(timeout=10)
    assert told.splitlines() == ["msg_7 incident.started {'incident': {'action': 'Walking'}}"]


def send(port: int, key: Key) -> object:
    sender = WebhookSender(webhook_config(f"http://127.0.0.1:{port}/"), [key], Gate(["127.0.0.1"]))
    return asyncio.run(sender.send(replace(MESSAGE)))
