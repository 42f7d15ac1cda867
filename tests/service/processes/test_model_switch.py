"""When a version is to blame that nothing runs, and what is done about it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from service.processes.model_switch import DEATHS, ModelSwitch
from service.settings import Settings
from service.versions.pointer import Pointer, Pointers, VersionChange
from tests.service.conftest import MODEL, write_model

NEXT = f"{MODEL}@2"


class ScriptedInference:
    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.model = NEXT
        self.did: list[Any] = []

    async def load(self, serving: tuple[str, str], wanted: tuple[str, str]) -> None:
        self.did.append((serving, wanted))

    def start_anew(self) -> None:
        self.did.append("anew")

    def try_beside(self, pairs: dict[str, str]) -> None:
        """Nothing is tried here."""


@pytest.fixture
def bench(settings: Settings) -> Any:
    """The second version serves; ``inference`` calls what the switch hung into it."""
    write_model(settings.weights_dir / NEXT)
    pointers, inference = Pointers.of(settings), ScriptedInference()
    change = VersionChange("promoted", NEXT, MODEL, 1.0, "nina", "")
    pointers.write(Pointer(MODEL, MODEL).with_change(change))
    switch = ModelSwitch(settings, inference, lambda: (), lambda *_: None)  # type: ignore[arg-type]
    broken: list[str] = []
    switch.on_broken = lambda version, reason: broken.append(version)
    return SimpleNamespace(
        switch=switch, inference=inference, broken=broken, pointers=pointers, weights=settings.weights_dir
    )


@pytest.mark.parametrize(
    ("reason", "blamed"),
    [
        ("model '{next}' cannot be loaded: out of memory", True),
        ("{weights}/{next}/card.json: classes: Input should be greater than 0", True),
        ("{weights}/{next} is no weights folder", True),
        ("{weights}/{next}0/card.json: classes: Input should be greater than 0", False),
        ("{weights}/detector.onnx does not exist", False),
    ],
)
def test_version_is_blamed_where_the_error_names_it_or_a_file_of_it(bench: Any, reason: str, blamed: bool):
    bench.inference.on_failed(reason.format(next=NEXT, weights=bench.weights.resolve()))
    assert bench.broken == ([NEXT] if blamed else [])


def test_promoted_version_whose_processes_end_without_a_word_is_blamed_after_some(bench: Any):
    for _ in range(DEATHS - 1):
        bench.inference.on_early_end(NEXT, "it was ended by signal 9")
    assert bench.broken == []
    bench.inference.on_early_end(NEXT, "it was ended by signal 9")
    assert bench.broken == [NEXT]


@pytest.mark.parametrize("why", ["it was ready once", "another was loaded", "it was gone back to"])
def test_ends_that_are_no_fault_of_the_version_are_not_blamed_on_it(bench: Any, why: str):
    version = NEXT
    if why == "it was ready once":
        bench.inference.on_ready(NEXT)
    elif why == "another was loaded":
        version = MODEL
    else:
        version = MODEL
        change = VersionChange("automatic", MODEL, NEXT, 2.0, "actoscope", "")
        bench.pointers.write(bench.pointers.read(MODEL).with_change(change))
    for _ in range(2 * DEATHS):
        bench.inference.on_early_end(version, "it was ended by signal 9")
    assert bench.broken == []


@pytest.mark.parametrize(
    ("version", "what", "blamed"),
    [
        (NEXT, f"model {NEXT}", True),
        (NEXT, "the person detector", False),  # another version would wait for it as well
        (MODEL, f"model {MODEL}", False),  # nothing else could answer, and a slow machine may need so long
    ],
)
def test_version_that_loads_for_ever_gives_way_where_another_can_serve(
    bench: Any, version: str, what: str, blamed: bool
):
    assert bench.inference.on_stuck(version, what, "not within 900 s") is blamed
    assert bench.broken == ([NEXT] if blamed else [])


@pytest.mark.parametrize(("ready", "loads", "did"), [(False, MODEL, ["anew"]), (False, NEXT, []), (True, MODEL, [])])
def test_process_that_still_loads_what_serves_no_more_begins_anew(bench: Any, ready: bool, loads: str, did: list[str]):
    bench.inference.model = loads
    if ready:
        bench.inference.ready.set()
    asyncio.run(bench.switch.follow(MODEL))
    assert bench.inference.did == did


def test_version_is_left_although_its_card_cannot_be_read(bench: Any):
    (bench.weights / NEXT / "card.json").write_text("{")
    asyncio.run(bench.switch.load(MODEL, MODEL))
    (((serving, _), (wanted, _)),) = bench.inference.did
    assert (serving, wanted) == (NEXT, MODEL)
