"""Encryption of source URLs at rest, so that a copied database gives no camera's password away."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from service.errors_base import ServiceError

KEY_NAME = "secret.key"


class SecretBoxError(ServiceError, ValueError):
    """The key file is unusable, or a text was encrypted with another key."""


class SecretBox:
    """Fernet (AES-128-CBC with HMAC-SHA256) under one key a data folder."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise SecretBoxError(f"expected a Fernet key of 32 bytes in base64 in {KEY_NAME}") from None

    @classmethod
    def open(cls, data_dir: Path) -> SecretBox:
        """Reads the folder's key, or makes one that only this user can read. Raises SecretBoxError or OSError."""
        path = data_dir / KEY_NAME
        if not path.exists():
            _write_private(path, Fernet.generate_key())
        return cls(path.read_bytes().strip())

    def seal(self, secret: SecretStr) -> str:
        return self._fernet.encrypt(secret.get_secret_value().encode()).decode()

    def unseal(self, sealed: str) -> SecretStr:
        """Raises SecretBoxError if ``sealed`` was not made with this key."""
        try:
            return SecretStr(self._fernet.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise SecretBoxError(f"the text was encrypted with another key than the one in {KEY_NAME}") from None


def _write_private(path: Path, content: bytes) -> None:
    """All or nothing: a half-written key would lock every stored URL away."""
    part = path.with_name(path.name + ".new")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
