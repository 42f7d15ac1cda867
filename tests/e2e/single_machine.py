"""What ``make test-cluster`` leaves out, and why: everything else runs unchanged against an API with one node."""

from __future__ import annotations

from collections.abc import Mapping

COMMAND = "a command on a file: no service runs"
OWN = "starts clusters of its own"
# File → why all of it is left out; test → why it alone is.
LEFT_OUT: Mapping[str, str] = {
    "test_annotate.py": COMMAND,
    "test_scene_model.py": COMMAND,
    "test_cluster.py": OWN,
    "test_cluster_failures.py": OWN,
    "test_bucket.py": "a cluster's recordings stay on its nodes: it uses no bucket (docs/cluster.md)",
    "test_killed_service_loses_no_finished_recording_and_leaves_no_process": (
        "nodes run on when the API is killed (test_cluster_failures.py), and the database is no file to be looked at"
    ),
    "test_kills_lose_no_finished_recording_and_little_of_an_open_one": (
        "starts a service of one machine, and kills its processes"
    ),
    "test_full_disk_stops_recording_and_nothing_else": "starts a service of one machine, on a small disk",
    "test_soak_with_reconnects_grows_nothing": "measures the processes below the API, where no stream runs",
    "test_scores_after_a_roll_back_are_those_of_before_to_the_bit": "an engine in this process: no service runs",
}


def reason_of(file: str, test: str) -> str:
    """→ why a test is left out; empty: it is not."""
    return LEFT_OUT.get(file) or LEFT_OUT.get(test, "")
