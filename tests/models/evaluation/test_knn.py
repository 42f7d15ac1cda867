"""k nearest neighbours: who votes, with what weight, what is refused, and how their number is chosen."""

import numpy as np
import pytest

from models.evaluation.knn import NearestNeighbours, choose_neighbours, unit_length

LABELS = ("Jump", "Run", "Sit")


def directions(*degrees: float) -> np.ndarray:
    """Vectors (N, 2) of different lengths at these angles."""
    angles = np.radians(np.array(degrees))
    lengths = np.arange(1, len(degrees) + 1)[:, None]
    return (lengths * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)


def test_predict_one_neighbour_is_the_nearest_by_angle_whatever_the_length():
    search = NearestNeighbours(directions(0, 40, 90), [0, 1, 2], LABELS, neighbours=1)
    votes = search.predict(directions(15, 30, 80))
    np.testing.assert_array_equal(votes, np.eye(3, dtype=np.float32))
    assert votes.dtype == np.float32 and search.labels == LABELS


def test_predict_votes_weigh_the_inverse_of_the_distance():
    search = NearestNeighbours(directions(0, 30, 170), [0, 2, 1], LABELS, neighbours=2)
    near, far = (2 * np.sin(np.radians(angle) / 2) for angle in (10, 20))  # chords of the unit circle
    expected = np.array([1 / near, 0, 1 / far]) / (1 / near + 1 / far)
    np.testing.assert_allclose(search.predict(directions(10))[0], expected, rtol=1e-4)


def test_predict_stored_example_itself_takes_the_whole_vote():
    search = NearestNeighbours(directions(0, 10, 20), [0, 1, 1], LABELS, neighbours=3)
    np.testing.assert_allclose(search.predict(directions(0)), [[1, 0, 0]], atol=1e-6)


def test_predict_class_without_example_gets_nothing_and_keeps_its_column():
    search = NearestNeighbours(directions(0, 90), [0, 2], LABELS, neighbours=2)
    votes = search.predict(directions(20, 60))
    assert votes.shape == (2, 3) and not votes[:, 1].any()
    np.testing.assert_allclose(votes.sum(axis=1), 1, rtol=1e-6)


def test_predict_nothing_gives_no_rows():
    search = NearestNeighbours(directions(0, 90), [0, 2], LABELS, neighbours=1)
    assert search.predict(np.zeros((0, 2), np.float32)).shape == (0, 3)


def test_predict_other_width_is_refused():
    search = NearestNeighbours(directions(0, 90), [0, 2], LABELS, neighbours=1)
    with pytest.raises(ValueError, match=r"\(M, 2\), got \(1, 3\)"):
        search.predict(np.ones((1, 3), np.float32))


def test_memory_grows_with_the_examples():
    rng = np.random.default_rng(0)
    few, many = (NearestNeighbours(rng.random((count, 8), np.float32), [0] * count, LABELS, 1) for count in (10, 1000))
    assert (len(few), len(many)) == (10, 1000)
    assert many.memory_bytes == 100 * few.memory_bytes == 1000 * 8 * 4


@pytest.mark.parametrize(
    ("features", "targets", "neighbours", "match"),
    [
        (np.ones((2, 3, 4)), [0, 1], 1, r"expected features \(N, D\)"),
        (np.ones((2, 3)), [0], 1, "2, 3.* and 1"),
        (np.ones((2, 3)), [0, 1], 3, "1 to the 2 examples, got 3"),
        (np.ones((2, 3)), [0, 1], 0, "got 0"),
        (np.ones((2, 3)), [0, 3], 1, r"0 to 2, got \[3\]"),
        (np.ones((2, 3)), [0, -1], 1, r"0 to 2, got \[-1\]"),
        (np.full((2, 3), np.nan), [0, 1], 1, "finite"),
        (np.zeros((2, 3)), [0, 1], 1, "no row all zero"),
    ],
)
def test_init_what_does_not_fit_is_refused(features, targets, neighbours, match):
    with pytest.raises(ValueError, match=match):
        NearestNeighbours(features.astype(np.float32), targets, LABELS, neighbours)


def test_unit_length_scales_rows_and_leaves_zeros():
    rows = unit_length(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(rows, np.array([[0.6, 0.8], [0, 0]]), rtol=1e-6)


def test_choose_neighbours_outlier_in_every_group_wants_more_than_one():
    """Beside each class's cluster lies one example of the other class: of other groups the nearest one misleads, more
    do not. Within the own group the nearest is right; did it vote, one neighbour would do.
    """
    features, targets, groups = [], [], []
    for number, group in enumerate("abc"):
        for label, middle in ((0, 10), (1, 70)):
            angles = (middle + number, middle + number + 0.3, middle + number + 0.6)
            features += [*angles, middle + number + 0.95]
            targets += [label] * 3 + [1 - label]
            groups += [group] * 4
    known = (directions(*features), targets, groups, LABELS)
    assert choose_neighbours(*known) > 1
    leaky = choose_neighbours(known[0], targets, [str(number) for number in range(len(targets))], LABELS)
    assert leaky == 1, "every example its own group: the others of its source vote"


def test_choose_neighbours_equal_quality_takes_the_smallest():
    angles = (0, 1, 2, 3, 80, 81, 82, 83)
    chosen = choose_neighbours(directions(*angles), [0] * 4 + [1] * 4, list("aabbaabb"), LABELS, candidates=(3, 1))
    assert chosen == 1


def test_choose_neighbours_more_than_a_fold_has_are_passed_over():
    angles = (0, 2, 80, 82)
    chosen = choose_neighbours(directions(*angles), [0, 0, 1, 1], list("abab"), LABELS, candidates=(2, 21))
    assert chosen == 2


@pytest.mark.parametrize(("groups", "candidates"), [("aaaa", (1,)), ("abab", (3,))])
def test_choose_neighbours_without_a_fold_to_choose_by_is_refused(groups, candidates):
    with pytest.raises(ValueError, match="expected two groups"):
        choose_neighbours(directions(0, 2, 80, 82), [0, 0, 1, 1], list(groups), LABELS, candidates)
