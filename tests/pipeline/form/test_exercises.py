import pytest

from pipeline.form.exercises import DEFAULTS, Exercise, exercise_of, rules_with


def test_later_overrides_stand_over_earlier_ones_and_change_nothing_else():
    rules = rules_with({"squat": {"low_deg": 90, "heels_up": None}}, None, {"squat": {"low_deg": 80}})
    assert (rules[Exercise.SQUAT].low_deg, rules[Exercise.SQUAT].heels_up) == (80, None)
    assert rules[Exercise.PUSH_UP] == DEFAULTS[Exercise.PUSH_UP]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"sqat": {}}, "expected one of squat, push-up, pull-up, got 'sqat'"),
        ({"squat": {"chin_over_bar": 1}}, "squat has no threshold 'chin_over_bar'"),
        ({"squat": {"flexed_deg": None}}, "squat.flexed_deg: expected a number"),
        ({"squat": {"flexed_deg": 170}}, "flexed_deg < extended_deg"),
        ({"squat": {"swing_deg": 0}}, "0 < swing_deg"),
        ({"squat": {"least_s": 13}}, "least_s < most_s"),
        ({"squat": {"low_deg": float("nan")}}, "squat.low_deg: expected a finite number"),
    ],
)
def test_wrong_overrides_are_refused_with_what_was_expected(overrides, message):
    with pytest.raises(ValueError, match="expected") as error:
        rules_with(overrides)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("label", "exercise"),
    [
        ("push up", Exercise.PUSH_UP),
        ("Push-ups", Exercise.PUSH_UP),
        ("pull ups", Exercise.PULL_UP),
        ("Pull_up", Exercise.PULL_UP),
        ("squat", Exercise.SQUAT),
        ("Squats", Exercise.SQUAT),
        ("Walking", None),
        ("", None),
    ],
)
def test_labels_name_exercises_however_they_are_written(label, exercise):
    assert exercise_of(label) is exercise
