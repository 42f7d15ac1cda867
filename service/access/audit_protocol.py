"""What the rest of the service knows of the audit: one method."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from service.rights import Principal

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Audit(Protocol):
    """Remembers who did what."""

    async def record(
        self,
        principal: Principal | None,
        action: str,
        object: str,
        result: str = "ok",
        detail: Mapping[str, Any] = NOTHING,
        address: str = "",
    ) -> None:
        """``result``: ok, refused or failed; ``principal`` None: nobody who is known. Raises nothing."""
