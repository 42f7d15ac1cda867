"""The token that lets machines into Ray. It is everything there: whoever has it may run programs on every machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from service.cluster.links.errors import ClusterError

MIN_LENGTH = 32
FOLDERS = ("ACTOSCOPE_DATA_DIR", "ACTOSCOPE_WEIGHTS_DIR")  # for trainings that Ray runs on this machine
# What its processes do up to ten times a second, and here is done when it is needed or every few seconds: nobody looks
# at dashboards, there are no thousands of tasks, and no objects to be moved. How soon a machine that is gone is noticed
# (``health_check_…``) is as Ray has it. Measured by benchmarks/cluster_cost.py.
QUIET = {
    "RAY_task_events_report_interval_ms": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_debug_dump_period_milliseconds": "0",
    "RAY_raylet_report_resources_period_milliseconds": "1000",
    "RAY_raylet_check_gc_period_milliseconds": "1000",
    "RAY_raylet_check_for_unexpected_worker_disconnect_interval_ms": "5000",
    "RAY_kill_idle_workers_interval_ms": "2000",
    "RAY_memory_monitor_refresh_ms": "2000",
    "RAY_local_fs_monitor_interval_ms": "5000",
    "RAY_report_worker_backlog_interval_ms": "5000",
    "RAY_object_manager_timer_freq_ms": "1000",
    "RAY_free_objects_period_milliseconds": "5000",
    "RAY_gcs_pull_resource_loads_period_milliseconds": "5000",
    "RAY_io_context_monitor_probe_interval_ms": "60000",
    "RAY_io_context_event_loop_lag_collection_interval_ms": "60000",
    "RAY_grpc_client_channel_backup_poll_interval_ms": "5000",
}
MAKE = "(umask 077 && openssl rand -hex 32 > {path})"


def check_token(path: Path | None) -> Path:
    """→ the file's absolute path. Raises ClusterError, which says the command that makes one."""
    if path is None:
        make = MAKE.format(path="/etc/actoscope/cluster.token")
        raise ClusterError(
            f"the cluster mode needs a token that all its machines share: make one with {make}, copy it to each, "
            "and set ACTOSCOPE_CLUSTER_TOKEN to the file"
        )
    make = MAKE.format(path=path)
    try:
        status, content = path.stat(), path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"ACTOSCOPE_CLUSTER_TOKEN: {path} cannot be read ({error}); one is made with {make}"
        ) from None
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (os.getuid(), 0):
        raise ClusterError(
            f"ACTOSCOPE_CLUSTER_TOKEN: expected a file that its owner alone may read, got mode "
            f"{stat.S_IMODE(status.st_mode):o}: chmod 600 {path}"
        )
    if len(content) < MIN_LENGTH:
        raise ClusterError(
            f"ACTOSCOPE_CLUSTER_TOKEN: expected at least {MIN_LENGTH} characters in {path}, got {len(content)}; "
            f"one is made with {make}"
        )
    return path.resolve()


def read_token(path: Path) -> str:
    """→ what the file says, of one that ``check_token`` has taken."""
    return path.read_text("utf-8").strip()


def ray_environment(token: Path) -> dict[str, str]:
    """→ the environment of every process that speaks Ray."""
    ours = ("ACTOSCOPE_", "RAY_")
    kept = {name: value for name, value in os.environ.items() if name in FOLDERS or not name.startswith(ours)}
    root = str(Path(__file__).resolve().parents[3])  # actors import this package, wherever it is run from
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH", "")])),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_worker_prestart": "0",  # processes that wait for work of which there is none
        "RAY_prestart_worker_first_driver": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a head that is gone: whoever belongs to it begins anew
        "RAY_enable_multi_tenancy": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a job without a GPU sees none
        **QUIET,
    }
