"""The benchmark of recording: its figures come from its rounds, its table stands in the document."""

import json

from benchmarks.recording_cost import DOCUMENT, RESULTS, Cost, summary, table


def rounds() -> list[dict[str, Cost]]:
    return [
        {"copied": Cost(0.3, 3_000_000), "encoded": Cost(3.0, 1_500_000), "drawn": Cost(4.5, 1_500_000)},
        {"copied": Cost(0.6, 3_000_000), "encoded": Cost(3.0, 1_500_000), "drawn": Cost(6.0, 1_500_000)},
        {"copied": Cost(0.3, 3_000_000), "encoded": Cost(6.0, 1_500_000), "drawn": Cost(6.0, 1_500_000)},
    ]


def test_figures_are_medians_and_ratios_of_single_rounds():
    ways = summary(rounds())["ways"]
    assert isinstance(ways, dict)
    assert ways["copied"] == {"cpu_ms": 2.0, "core_share": 0.05, "ratio": 1.0, "ratios": [1.0] * 3, "mbit_s": 4.0}
    assert (ways["encoded"]["ratio"], ways["encoded"]["ratios"]) == (10.0, [10.0, 5.0, 20.0])


def test_document_shows_what_was_measured():
    assert table(json.loads(RESULTS.read_text())) in DOCUMENT.read_text()
