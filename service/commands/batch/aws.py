"""AWS Batch by boto3, loaded where jobs are really submitted. Credentials and region come as for AWS's own tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3

from models.store.s3_words import in_words


def submit(request: Mapping[str, Any]) -> str:
    """→ the job's id. Raises StoreError in AWS's words."""
    with in_words(f"job {request['jobName']}"):
        return str(boto3.session.Session().client("batch").submit_job(**request)["jobId"])
