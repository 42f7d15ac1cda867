"""Jobs on machines that Ray knows. This module and ``ray_trials`` import Ray; only ``actoscope batch …`` and Ray's own
processes load them. ``ray_place`` has to have made the environment before.

    submit (driver) ═ Ray ═ Job (an actor, with its share of CPUs and GPUs) ─ process: `actoscope batch run`
    submit --detach ═ Ray ═ Detached (an actor that stays) ═ Ray ═ Job …
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from service.batch_jobs.conductor import MachineGone, Patience
from service.batch_jobs.director import Account, Director
from service.batch_jobs.job_process import JobProcess
from service.batch_jobs.order import Demand, JobOrder, Look
from service.batch_jobs.outcome import RayGone
from service.batch_jobs.ray_place import RayPlace
from service.cluster.links.errors import ClusterError
from service.settings import load_settings

NAMESPACE = "actoscope-jobs"
OBJECT_STORE_BYTES = 100 << 20  # orders and lines only
END_S = 60.0
PATIENT_S, AGAIN_S = 60.0, 1.0
AT_THE_HEAD = {"node:__internal_head__": 0.001}  # Ray's name of its machine, which no other outlives


@ray.remote(max_restarts=0, max_task_retries=0)
class Job:
    """One attempt of a job on the machine that Ray has chosen."""

    def __init__(self, order: JobOrder, job: str, attempt: int) -> None:
        self._process: JobProcess | None = None
        self._problem = ""
        try:
            self._process = JobProcess(order, job, attempt, jobs_folder())
        except OSError as error:
            self._problem = str(error)

    def look(self, since: int) -> Look:
        if self._process is None:
            return Look(0, (), (), 1, self._problem, ray.util.get_node_ip_address())
        return self._process.look(since)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


class RayJob:
    """A ``RunningJob``. One look is on its way at a time, so that a machine that is slow is asked no faster."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._looking: Any = None

    def look(self, since: int) -> Look | None:
        if self._looking is None:
            self._looking = self._actor.look.remote(since)
        ready, _ = ray.wait([self._looking], timeout=0)
        if not ready:
            return None
        looking, self._looking = self._looking, None
        try:
            look = ray.get(looking)
        except ray.exceptions.ActorUnavailableError:
            return None  # it comes back, or Ray finds it dead
        except ray.exceptions.RayTaskError as error:  # the machine is there, and would say the same again
            return Look(since, (), (), 1, first_line(error))
        except ray.exceptions.RayError as error:
            raise MachineGone(first_line(error)) from error
        return look if isinstance(look, Look) else None

    def stop(self) -> None:
        self._actor.stop.remote()

    def end(self) -> None:
        ray.kill(self._actor, no_restart=True)  # its process ends with it


class RayMachines:
    """``Machines`` of the Ray that this process has joined."""

    def __init__(self, demand: Demand) -> None:
        self._options = {"num_cpus": demand.cpus, "num_gpus": demand.gpus, "scheduling_strategy": "SPREAD"}
        self._job = f"ray-{ray.get_runtime_context().get_job_id()}"

    def begin(self, order: JobOrder, attempt: int) -> RayJob:
        return RayJob(Job.options(**self._options).remote(order, self._job, attempt))  # type: ignore[attr-defined]


@ray.remote(max_restarts=0, max_task_retries=0, num_cpus=0)
class Detached:
    """Jobs that belong to the cluster, and not to whoever submitted them. Ends with its Ray, and jobs with it."""

    def __init__(self, stages: Sequence[Sequence[JobOrder]], demand: Demand, patience: Patience) -> None:
        own = ray.get_runtime_context().current_actor
        self._director = Director(RayMachines(demand), patience, stages, lambda: ray.kill(own))
        self._director.begin()

    def look(self, since: int) -> Account:
        return self._director.look(since)

    def cancel(self) -> None:
        self._director.cancel()


def detach(name: str, stages: Sequence[Sequence[JobOrder]], demand: Demand, patience: Patience) -> None:
    """They run from now on, known by that name. Raises RayError."""
    options = {"name": _actor(name), "lifetime": "detached", "resources": AT_THE_HEAD}
    jobs = Detached.options(**options).remote(stages, demand, patience)  # type: ignore[attr-defined]
    ray.get(jobs.look.remote(0))


class DetachedJobs:
    """Those that this Ray knows by a name. Raises ClusterError where there is none."""

    def __init__(self, name: str) -> None:
        self._name = name
        try:
            self._actor = ray.get_actor(_actor(name))
        except ValueError:
            known = ", ".join(detached_names()) or "none"
            raise ClusterError(
                f"no jobs are called {name!r} (there are: {known}): they ended over an hour ago, or Ray began anew; "
                "submitted again, they go on where they are in the store"
            ) from None

    def look(self, since: int = 0) -> Account:
        """What they say now; the network may be away for ``PATIENT_S``."""
        until_s = time.monotonic() + PATIENT_S
        while True:
            try:
                found = ray.get(self._actor.look.remote(since))
                break
            except ray.exceptions.ActorUnavailableError:  # it comes back, or Ray finds it dead
                if time.monotonic() > until_s:
                    raise
                time.sleep(AGAIN_S)
        if not isinstance(found, Account):
            raise TypeError(f"expected an account of {self._name}, got {found!r}")
        return found

    def cancel(self) -> None:
        ray.get(self._actor.cancel.remote())


def detached_names() -> list[str]:
    found = [name for name in ray.util.list_named_actors() if name.startswith(_actor(""))]
    return sorted(name.removeprefix(_actor("")) for name in found)


def _actor(name: str) -> str:
    return f"jobs:{name}"


def jobs_folder() -> Path:
    """→ the folder that jobs of this machine work in, as ``batch run`` has it."""
    return load_settings().data_dir.resolve() / "batch"


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


@contextmanager
def joined(place: RayPlace) -> Iterator[None]:
    """Inside, this process is a driver of that Ray.

    Raises ClusterError where it cannot be, RayGone where it is no more.
    """
    options: dict[str, Any] = {"_node_ip_address": place.host} if place.host else {}
    if place.is_local:
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(place.address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING, **options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError(
            f"Ray cannot be joined at {place.address}: {first_line(error)} (the command has to run on a machine of the "
            "cluster: one with `actoscope node` or `actoscope serve --cluster`)"
        ) from error
    try:
        yield
    except ray.exceptions.RayError as error:
        raise RayGone(f"Ray ended: {first_line(error)}; the same command goes on where the jobs are") from error
    finally:
        ray.shutdown()


def demand_of(cpus: float, gpus: float | None) -> Demand:
    """→ what a job takes: one GPU where there are any and nothing is said of them.

    Raises ClusterError where no machine has so much.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max((machine.get("GPU", 0.0) for machine in machines), default=0.0)
    demand = Demand(cpus, min(1.0, most) if gpus is None else gpus)
    fitting = [each for each in machines if each.get("CPU", 0.0) >= cpus and each.get("GPU", 0.0) >= demand.gpus]
    if not fitting:
        have = ", ".join(f"{each.get('CPU', 0):g} CPU and {each.get('GPU', 0):g} GPU" for each in machines)
        raise ClusterError(f"no machine of the cluster has {demand}: they have {have or 'nothing'}")
    return demand
