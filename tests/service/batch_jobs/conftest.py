from __future__ import annotations

from tests.service.storage.conftest import cluster_url

__all__ = ["cluster_url"]
