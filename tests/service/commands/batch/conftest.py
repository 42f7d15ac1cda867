from __future__ import annotations

from tests.models.store.conftest import aws, bucket, credentials, proxy

__all__ = ["aws", "bucket", "credentials", "proxy"]
