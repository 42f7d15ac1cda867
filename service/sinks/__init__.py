"""Where messages go: webhooks, MQTT, e-mail; the outbox that they are taken from."""
