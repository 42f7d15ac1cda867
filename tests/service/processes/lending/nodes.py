"""Two nodes in one process: real servers, clients and connections, scripted engines instead of networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.entities import ActionScores, Clip
from service.budget.budget import clip_work
from service.budget.costs import Costs
from service.counters import Measures
from service.engine import ModelUnavailable, Pictures
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import Hello
from service.processes.lending.node_inference_process import NodeInferenceServer
from service.processes.nodes import Borrow, Lender, LendingSetup
from service.processes.transport import unix_address
from tests.support.service import wait_for

TOKEN = "0123456789abcdef" * 4
LABELS = ("standing", "walking")
SHAPE = (4, 16, 16, 3)


class ScriptedEngine:
    """Scores a clip by its mean brightness; has these networks, and takes ``clip_s`` for a clip, as it says."""

    def __init__(self, cache_dir: Path, networks: Sequence[str], labels: tuple[str, ...] = LABELS) -> None:
        self.config = SimpleNamespace(model=networks[0], detector_image_size=640, threads=1, cache_dir=cache_dir)
        self.measures, self.costs = Measures(), Costs()
        self.labels = labels
        self.there = set(networks)
        self.judged: list[tuple[str, float]] = []  # network, mean brightness
        self.clip_s = 0.01
        self.hold: Callable[[], Any] = lambda: None  # before a clip is judged
        self.notes: dict[str, str] = {}
        self.retired: set[str] = set()

    def batch_limit(self, model: str) -> int:
        return 4

    def scene_limit(self, model: str) -> int:
        return 0

    def classifier(self, name: str) -> SimpleNamespace:
        if name not in self.there:
            raise ModelUnavailable(f"model {name!r} cannot be loaded: no such folder")
        return SimpleNamespace(labels=self.labels, clip_shape=SHAPE)

    def measure_clip(self, name: str) -> None:
        self.costs.observe(clip_work(name), self.clip_s, self.clip_s)

    def classify(self, model: str, clips: Sequence[Pictures], keys: Sequence[tuple[int, int]]) -> np.ndarray:
        self.hold()
        means = [float(clip.stack().mean()) for clip in clips]
        self.judged += [(model, mean) for mean in means]
        share = np.array(means, np.float32) / 255
        return np.stack([1 - share, share], axis=1)

    def classify_beside(self, name: str, classifier: object, pictures: Pictures) -> np.ndarray:
        """A version that is tried says the opposite."""
        share = float(pictures.stack().mean()) / 255
        return np.array([share, 1 - share], np.float32)

    def loaded(self, name: str) -> bool:
        return name in self.there

    def note(self, name: str, text: str) -> None:
        self.notes[name] = text

    def forget(self, gone: object) -> None: ...

    def keep(self, names: Iterable[str]) -> None:
        self.retired -= set(names)

    def retire(self, names: Iterable[str]) -> None:
        self.retired |= set(names)

    def unload(self, name: str) -> None:
        self.there.discard(name)


class NodeInProcess:
    """A node's worker. ``close`` it."""

    def __init__(self, folder: Path, name: str, networks: Sequence[str], **lending: Any) -> None:
        folder.mkdir()
        self.name = name
        self.address = unix_address(folder / "inference.sock")
        self.engine = ScriptedEngine(folder, networks)
        self.failures: list[str] = []
        setup = LendingSetup(**{"token": TOKEN, "name": name, "borrow": Borrow.NEVER, **lending})
        self.server = NodeInferenceServer(self.engine, self.address, setup)  # type: ignore[arg-type]
        self.server.start(self.failures.append)
        self.clients: list[InferenceClient] = []

    @property
    def lender(self) -> Lender:
        return Lender(self.name, self.server.lends_at)

    def stream(self, model: str = "full", light: str = "light") -> InferenceClient:
        hello = Hello(f"str_{len(self.clients)}", model, light)
        client = InferenceClient(self.address, hello, Measures())
        wait_for(lambda: client.connected, 5, "the stream is connected")
        self.clients.append(client)
        return client

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = 10) -> Any:
        """Plans again and again until it is so."""

        def ticked() -> Any:
            self.server.tick()
            return condition()

        return wait_for(ticked, timeout_s, what)

    def count(self, name: str) -> float:
        self.server.report()
        return self.engine.measures.value(name)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()
        assert self.failures == []


def clip(track_id: int, value: int, model: str, end_s: float = 1.0) -> Clip:
    crops = tuple(np.full(SHAPE[1:], value, np.uint8) for _ in range(SHAPE[0]))
    return Clip(track_id, crops, 0.0, end_s, 5.0, time.monotonic(), SHAPE[0], model=model)


def answer(client: InferenceClient, node: NodeInProcess) -> ActionScores:
    """→ the next answer that the stream gets."""
    return node.until(client.take, "an answer")[0]
