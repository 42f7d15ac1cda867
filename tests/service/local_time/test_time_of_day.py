from __future__ import annotations

import pytest

from service.local_time.time_of_day import TimeOfDay


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-06:00", (0, 21_599, 79_200, 86_399), (21_600, 43_200, 79_199)),
        ("08:30-17:00", (30_600, 61_199), (30_599, 61_200, 0)),
        ("18:00-24:00", (64_800, 86_399), (64_799, 0)),
        ("18:00-00:00", (64_800, 86_399), (64_799, 0)),
        ("24:00-06:00", (0, 21_599), (21_600, 86_399)),
    ],
)
def test_span_of_the_day_has_its_begin_and_not_its_end(text: str, inside: tuple[int, ...], outside: tuple[int, ...]):
    span = TimeOfDay.parse(text)
    assert [span.has(second) for second in (*inside, *outside)] == [True] * len(inside) + [False] * len(outside)
    assert TimeOfDay.parse(str(span)) == span


@pytest.mark.parametrize("text", ["", "22-6", "22:00", "25:00-06:00", "10:60-11:00", "08:00-08:00", "00:00-24:00x"])
def test_other_texts_are_refused(text: str):
    with pytest.raises(ValueError, match="expected"):
        TimeOfDay.parse(text)
