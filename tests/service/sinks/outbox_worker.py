"""A process that does nothing but deliver, for tests that kill it. Made by fork from a server that has imported all."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from service.sinks import signing
from service.sinks.addresses import Gate
from service.sinks.configs import WebhookConfig, load
from service.sinks.dispatcher import Dispatcher
from service.sinks.sender import Sender
from service.sinks.senders import Senders
from service.sinks.webhook import WebhookSender
from service.storage.database import Database
from service.storage.secret_box import SecretBox
from service.storage.sinks import SinkRecord, SinkStore


def start_worker(url: str, folder: Path, sole: bool, lease_s: float) -> ForkServerProcess:
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    process = forks.Process(target=deliver_for_ever, args=(url, folder, sole, lease_s), daemon=True)
    process.start()
    return process


def deliver_for_ever(url: str, folder: Path, sole: bool, lease_s: float) -> None:
    asyncio.run(_deliver(url, folder, sole, lease_s))


async def _deliver(url: str, folder: Path, sole: bool, lease_s: float) -> None:
    database = Database(url)  # the test has made its tables
    context: Any = None
    senders = Senders(SinkStore(database, SecretBox.open(folder)), context, {"webhook": _webhook})
    await Dispatcher(database, senders, time.time, sole=sole, lease_s=lease_s).open()
    await asyncio.sleep(600)


def _webhook(record: SinkRecord, _: Any) -> Sender:
    config = load(record)
    assert isinstance(config, WebhookConfig)
    return WebhookSender(config, signing.from_plain(record.secrets["signing"]), Gate(["127.0.0.1"]))
