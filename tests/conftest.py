"""Which tests may run beside others, which of them run together on one worker, and which have a second try."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# torch's optimisers import Triton where it is installed, whose LLVM aborts a process that has loaded TensorFlow's.
sys.modules.setdefault("triton", None)  # type: ignore[arg-type]
# They time cameras, sockets or processes, so nothing else may take the cores meanwhile.
ALONE = (
    "e2e/test_broken_cameras.py",
    "e2e/test_bucket.py",
    "e2e/test_clocks_and_rates.py",
    "e2e/test_cluster.py",
    "e2e/test_cluster_bucket.py",
    "e2e/test_cluster_failures.py",
    "e2e/test_main_job.py",
    "e2e/test_malformed.py",
    "e2e/test_reliability.py",
    "e2e/test_remote_classification.py",
    "e2e/test_restarts.py",
    "e2e/test_revocation.py",
    "e2e/test_tiers.py",
    "e2e/test_versions.py",
    "e2e/test_zones.py",
    "pipeline/sources/test_codec_change.py",
    "pipeline/sources/test_file.py",
    "pipeline/sources/test_http.py",
    "pipeline/sources/test_rtsp.py",
    "pipeline/sources/test_trust.py",
    "pipeline/sources/test_watchdog.py",
    "pipeline/sources/test_wrong_clock.py",
    "pipeline/test_python_child.py",
    "service/alerts/test_killed_engine.py",
    "service/processes/lending/test_loans.py",
    "service/processes/test_child_process.py",
    "service/processes/test_inference_runner.py",
    "service/processes/test_inference_seam.py",
    "service/processes/test_managed_child.py",
    "service/processes/test_model_switch.py",
    "service/processes/test_planner.py",
    "service/processes/test_shadow_desk.py",
    "service/processes/test_start_turns.py",
    "service/processes/test_stream_runner.py",
    "service/recording/test_copied_recording.py",
    "service/recording/test_locks.py",
    "service/recording/test_reconcile.py",
    "service/recording/test_recorder.py",
    "service/sinks/test_kills.py",
    "service/sinks/test_mqtt_broker.py",
    "service/test_hub.py",
    "service/test_supervisor.py",
    "service/test_watch.py",
    "service/test_websocket.py",
    "test_readme.py",
)
# They, browsers and the whole service depend on how soon a busy machine gives processes their turn. One that fails is
# run again, once; both runs are told, and what fails twice is a failure.
SECOND_TRY = (*ALONE, "e2e/", "service/web/")
# Files that take minutes. They begin first, so that no worker is left alone with one at the end.
LONG = (
    "models/training/run/test_train.py",
    "models/networks/test_two_stream.py",
    "models/test_surveillance_quality.py",
    "models/networks/test_i3d_network.py",
    "models/networks/test_action_transformer.py",
    "pipeline/test_tracking_quality.py",
    "models/networks/test_backends.py",
    "models/runtimes/test_load.py",
    "models/test_classifier.py",
    "models/networks/test_cnn_rnn.py",
    "models/person_training/test_recipe.py",
    "models/data/batches/test_input_pipeline.py",
    "models/runtimes/test_overlap.py",
)


def place(item: pytest.Item) -> str:
    """→ the test's file below ``tests``, with slashes."""
    return item.path.relative_to(TESTS).as_posix()


def turn(item: pytest.Item) -> int:
    """Smaller comes earlier."""
    return LONG.index(place(item)) if place(item) in LONG else len(LONG)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``--dist loadgroup`` a file's tests share a worker and its fixtures, but those with a group of their own."""
    items.sort(key=turn)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(place(item)))
        if place(item).startswith(ALONE):
            item.add_marker(pytest.mark.alone)
        if place(item).startswith(SECOND_TRY):
            item.add_marker(pytest.mark.flaky(reruns=1))


class NamesFailures:
    """Names a failure when it happens: a run that is ended from outside has shown its failures by then."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        again = report.outcome == "rerun"
        if (report.failed or again) and terminal is not None:
            what = "failed, and is run again" if again else "failed"
            terminal.write_line(f"\n{report.when} of {report.nodeid} {what}: {_last_words(report)}")


def _last_words(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    words = str(crash.message if crash else report.longrepr or "").strip().splitlines()
    return " | ".join(words[:3])[:400]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NamesFailures(config), "names-failures")
