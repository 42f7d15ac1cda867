"""What AWS Batch is asked for."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import httpx
import pytest

from service.commands.batch.plan import Plan
from tests.service.commands.command_line import typed
from tests.support.places import REPOSITORY

DEPLOY = REPOSITORY / "deploy" / "aws-batch"
WORDS = ("--config", "quick", "--data", "s3://bucket/datasets/gym/0", "--output", "s3://bucket/runs/gym")
RETRY = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onExitCode": "75", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
]


def plan(folds: int) -> Plan:
    return Plan("gym", "queue", "definition:1", folds, ("batch", "run"), ("batch", "reduce"))


def test_folds_are_an_array_and_the_comparison_waits_for_all_of_it() -> None:
    training = plan(5).training()
    assert training["arrayProperties"] == {"size": 5}
    assert training["retryStrategy"] == {"attempts": 5, "evaluateOnExit": RETRY}
    comparing = plan(5).comparing("id-1")
    assert comparing is not None
    assert (comparing["dependsOn"], comparing["jobName"]) == ([{"jobId": "id-1"}], "gym-reduce")
    assert "arrayProperties" not in comparing


def test_one_fold_is_a_plain_job_with_nothing_to_compare() -> None:
    assert "arrayProperties" not in plan(1).training()  # AWS takes arrays of two and more
    assert plan(1).comparing("id-1") is None


def test_dry_run_prints_the_requests_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACTOSCOPE_S3_ENDPOINT", "https://s3.example")
    at = ("--queue", "q", "--definition", "d")
    assert typed("batch", "submit", *WORDS, "--folds", "2", *at, "--attempts", "3", "--dry-run") == 0
    out = capsys.readouterr().out
    first, _ = json.JSONDecoder().raw_decode(out)
    assert first["containerOverrides"]["command"] == ["batch", "run", *WORDS, "--quiet"]
    assert first["containerOverrides"]["environment"] == [
        {"name": "ACTOSCOPE_S3_ENDPOINT", "value": "https://s3.example"}
    ]
    assert first["retryStrategy"]["attempts"] == 3
    assert '"batch",\n      "reduce"' in out


@pytest.mark.parametrize(
    "words",
    [
        ("--data", "work/dataset", "--output", "s3://bucket/runs"),
        ("--data", "s3://bucket/d", "--output", "runs"),
        ("--data", "s3://bucket/d", "--output", "s3://bucket/r", "--attempts", "11"),
    ],
)
def test_what_no_other_machine_can_reach_is_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as left:
        typed("batch", "submit", "--config", "quick", *words, "--queue", "q", "--definition", "d")
    assert left.value.code == 2


def definition() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "job-definition.json").read_text())
    return found


def test_job_definition_and_retry_strategy_are_those_of_the_command() -> None:
    assert definition()["retryStrategy"]["evaluateOnExit"] == RETRY
    environment = definition()["containerProperties"].get("environment", [])
    assert not [each for each in environment if "KEY" in each["name"] or "SECRET" in each["name"]]


def test_policy_allows_one_prefix_and_nothing_else() -> None:
    policy = json.loads((DEPLOY / "policy.json").read_text())
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert allowed == {
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    }
    resources = [each for statement in policy["Statement"] for each in statement["Resource"]]
    assert all(each.startswith("arn:aws:s3:::BUCKET") and each != "arn:aws:s3:::BUCKET/*" for each in resources)
    assert all(statement["Effect"] == "Allow" for statement in policy["Statement"])


def test_jobs_are_submitted_with_the_shipped_definition(
    aws: str, credentials: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    httpx.post(f"{aws}/moto-api/config", json={"batch": {"use_docker": False}}, trust_env=False)
    session = boto3.session.Session()
    iam, batch = session.client("iam"), session.client("batch")
    role = iam.create_role(RoleName=uuid.uuid4().hex, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    place = batch.create_compute_environment(
        computeEnvironmentName="here", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    order = [{"order": 1, "computeEnvironment": place["computeEnvironmentArn"]}]
    batch.create_job_queue(jobQueueName="training", state="ENABLED", priority=1, computeEnvironmentOrder=order)
    registered = batch.register_job_definition(**definition())
    at = ("--queue", "training", "--definition", registered["jobDefinitionName"])
    assert typed("batch", "submit", *WORDS, "--folds", "2", *at) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("quick: ") and first.endswith(", 2 folds")
    assert second.startswith("quick-reduce: ") and second.endswith("after all of them")
    job = first.removeprefix("quick: ").removesuffix(", 2 folds")
    (described,) = batch.describe_jobs(jobs=[job])["jobs"]
    assert (described["jobName"], described["jobQueue"].rpartition("/")[2]) == ("quick", "training")
