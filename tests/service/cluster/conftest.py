"""A cluster's parts over a real PostgreSQL, in one process."""

from __future__ import annotations

from tests.service.storage.conftest import cluster_url  # noqa: F401 - a fixture
