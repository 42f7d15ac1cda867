"""The kinds of sinks there are, and who sends for each."""

from __future__ import annotations

from collections.abc import Mapping

from service.sinks.mail import mail_sender
from service.sinks.mqtt_sender import mqtt_sender
from service.sinks.sender import Factory
from service.sinks.webhook import webhook_sender

FACTORIES: Mapping[str, Factory] = {"webhook": webhook_sender, "mqtt": mqtt_sender, "email": mail_sender}
