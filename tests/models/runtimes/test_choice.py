from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.runtimes import choice as runtime_choice
from models.runtimes import load as runtime_load
from models.runtimes.choice import YARDSTICK, candidates, choose, decide
from models.runtimes.host import cores
from models.runtimes.load import load_runner
from models.runtimes.runner import Precision, RuntimeOptions
from models.runtimes.timing import Timing
from models.runtimes.trial import Candidate, Trial
from models.weights.cards import MODEL_FILE, ModelCard, read_card
from models.weights.export_record import EXPORTS_FOLDER, RECORD_FILE, ExportFormat, ExportRecord, Parity

BF16, F32 = Candidate("openvino", Precision.BF16), Candidate("openvino", Precision.F32)
INT8 = Candidate("openvino", Precision.INT8)
SURE, OTHERWISE = (0.1, 2.0, 0.3), (2.0, 0.1, 0.3)


def trial(candidate: Candidate, cost_s: float, logits: tuple[float, ...] = SURE) -> Trial:
    """Two clips, the first of them disturbed; ``cost_s`` of wall clock and as much of the machine's cores."""
    timings = tuple(Timing(wall_s=c, cpu_s=c * cores(), logits=logits) for c in (cost_s * 3, cost_s))
    return Trial(candidate, f"{candidate.runtime} 1.0 {candidate.precision.value} on CPU", timings)


def test_decide_takes_the_cheapest_and_says_what_it_is_compared_with() -> None:
    choice = decide([trial(INT8, 0.3), trial(BF16, 0.5), trial(F32, 0.9), trial(YARDSTICK, 1.0)])
    assert choice is not None
    assert (choice.runtime, choice.precision) == ("openvino", Precision.INT8)
    assert choice.reason == "chosen on this host: 0.30 of tensorflow 1.0 f32's time"
    assert [each.name for each in choice.measured] == ["openvino:int8", "openvino:bf16", "openvino:f32", str(YARDSTICK)]
    assert choice.measured[0].wall_s == pytest.approx(0.3)


def test_decide_leaves_out_whoever_answers_otherwise_than_the_reference() -> None:
    choice = decide([trial(INT8, 0.3, OTHERWISE), trial(BF16, 0.5), trial(YARDSTICK, 1.0)])
    assert choice is not None
    assert choice.precision is Precision.BF16
    assert [each.same_top1 for each in choice.measured] == [False, True, True]


def test_decide_without_the_yardstick_refers_to_what_computes_in_f32() -> None:
    out_of_time = Trial(YARDSTICK, problem="no time was left for it")
    choice = decide([trial(BF16, 0.3, OTHERWISE), trial(F32, 0.9), out_of_time])
    assert choice is not None
    assert choice.precision is Precision.F32
    assert choice.measured[-1].problem == "no time was left for it"
    alone = decide([trial(F32, 0.9), out_of_time])
    assert alone is not None
    assert alone.reason == "the only runtime that could be measured on this host"


def test_decide_keeps_the_earlier_of_two_that_are_as_good_as_equal() -> None:
    choice = decide([trial(BF16, 0.500), trial(F32, 0.490), trial(YARDSTICK, 1.0)])
    assert choice is not None
    assert choice.precision is Precision.BF16


def test_decide_on_nothing_timed_is_none() -> None:
    assert decide([Trial(BF16, problem="broken"), Trial(YARDSTICK, problem="broken")]) is None


def write_export(card: ModelCard, name: str, runtime: str, agreement: float, latency_ms: float) -> None:
    folder = card.folder / EXPORTS_FOLDER / name
    folder.mkdir(parents=True)
    form, _, precision = name.rpartition("-")
    parity = Parity(
        clips=100,
        source="a test",
        max_logit_difference=0.1,
        mean_logit_difference=0.01,
        top1_agreement=agreement,
        latency_ms=latency_ms,
        reference_latency_ms=100,
        runner=runtime,
        reference="TensorFlow",
        host="a test's",
    )
    record = ExportRecord(
        format=ExportFormat(form),
        precision=precision,
        runtime=runtime,
        file="model",
        clip_shape=card.clip_shape,
        model_sha256=card.sha256[MODEL_FILE],
        sha256={"model": "0" * 64},
        size_bytes=1,
        parity=parity,
        usable_by_default=agreement >= 0.99,
    )
    (folder / RECORD_FILE).write_text(record.model_dump_json(), "utf-8")


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    """A weights folder whose network is never loaded."""
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "labels.txt").write_text("a\nb\nc\n", "utf-8")
    sums = {"model.keras": "0" * 64, "labels.txt": "1" * 64}
    card = ModelCard(name="m", kind="se_i3d", num_classes=3, provenance="a test", licence="none", sha256=sums)
    (folder / "card.json").write_text(card.model_dump_json(), "utf-8")
    return read_card(folder)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the CPU can and whether there is a GPU."""

    def become(*flags: str, gpu: bool = False) -> None:
        monkeypatch.setattr(runtime_choice, "cpu_flags", lambda: frozenset(flags))
        monkeypatch.setattr(runtime_choice, "gpu_present", lambda: gpu)

    return become


def test_candidates_follow_the_cpu_and_the_gpu(card: ModelCard, host: Callable[..., None]) -> None:
    host("avx2")
    assert candidates(card, card.clip_shape) == [F32, YARDSTICK]
    host("avx512f", "avx512_bf16")
    assert candidates(card, card.clip_shape) == [BF16, F32, YARDSTICK]
    host("amx_bf16", "avx512_bf16")
    assert candidates(card, card.clip_shape) == [BF16, YARDSTICK]
    host("avx2", gpu=True)
    names = [str(each) for each in candidates(card, card.clip_shape)]
    assert names == ["tensorflow", "tensorflow-xla", "tensorflow:f32"]


def test_candidates_are_exports_that_may_be_used_by_default(card: ModelCard, host: Callable[..., None]) -> None:
    host("avx2")
    write_export(card, "onnx-f32", "onnx", 1.0, latency_ms=90)
    write_export(card, "openvino-int8-int8", "openvino", 0.995, latency_ms=30)
    write_export(card, "litert-int8", "litert", 0.97, latency_ms=20)  # refused
    write_export(card, "openvino-f32", "openvino", 1.0, latency_ms=80)  # what runtime openvino loads anyway
    assert [str(each) for each in candidates(card, card.clip_shape)] == [
        "openvino:int8",
        "onnx",
        "openvino:f32",
        "tensorflow:f32",
    ]
    assert candidates(card, (16, 64, 64, 3)) == [F32, YARDSTICK]


def test_choose_measures_once_and_load_runner_says_why(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    card = read_card(tiny_folder)
    impossible = Candidate("savedmodel", Precision.INT8)
    monkeypatch.setattr(runtime_choice, "candidates", lambda *_: [impossible, F32])
    options = RuntimeOptions(threads=1)
    assert choose(card, card.clip_shape, options) is None  # nobody allowed it to measure
    with caplog.at_level(logging.INFO):
        choice = choose(card, card.clip_shape, replace(options, measure=True))
    assert choice is not None
    assert (choice.runtime, choice.precision) == ("openvino", Precision.F32)
    failed, best = choice.measured
    assert failed.wall_s is None and "int8" in failed.problem
    assert best.cpu_s is not None and best.description.endswith("f32 on CPU, 1 threads")
    assert "measures openvino:f32 (2 of 2)" in caplog.text
    assert "runtime auto takes openvino:f32" in caplog.text

    monkeypatch.setattr(runtime_choice, "candidates", lambda *_: pytest.fail("measured again"))
    assert choose(card, card.clip_shape, options) == choice
    runner = load_runner(card, "auto", options)
    assert runner.description == f"{best.description}; the only runtime that could be measured on this host"
    assert choose(card, card.clip_shape, RuntimeOptions(threads=2)) is None

    gone = choice.model_copy(update={"precision": Precision.INT8})  # its export was there when it was chosen
    monkeypatch.setattr(runtime_choice, "_read", lambda _notes: gone)
    monkeypatch.setattr(runtime_load, "rule", lambda: "openvino")
    assert " int8 " not in load_runner(card, "auto", options).description
    assert "takes openvino instead of its first choice: tiny has no int8 network" in caplog.text
    monkeypatch.undo()

    (notes,) = (tiny_folder / "converted").glob("*.runtime.json")
    notes.write_text("{", "utf-8")
    assert choose(card, card.clip_shape, options) is None
    notes.unlink()


def test_choose_without_time_takes_what_usually_is_the_fastest(
    card: ModelCard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtime_choice, "BUDGET_S", 0.0)
    monkeypatch.setattr(runtime_choice, "_prepare", lambda *_: None)  # there is no network to convert
    with caplog.at_level(logging.INFO):
        assert choose(card, card.clip_shape, RuntimeOptions(measure=True)) is None
    assert "no time was left for it" in caplog.text
    assert "takes what usually is the fastest" in caplog.text
    assert not list(card.folder.glob("**/*.runtime.json"))
