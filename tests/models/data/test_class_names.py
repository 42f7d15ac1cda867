from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.class_names import same_class, tidy, unify


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Walking", "WALKING"),
        ("Push up", "push\u00a0 up "),
        ("Push up", "pushup"),
        ("Écart", "E\u0301cart"),
        ("Walk\u200bing", "Walking"),
        ("\ufeffWalking", "Walking"),
        ("Straße", "STRASSE"),
        ("🤸\u200d♂\ufe0f", "🤸♂"),
        ("Wal\u00adking\t", "walking"),
    ],
)
def test_spellings_of_one_class_are_the_same(first: str, second: str) -> None:
    assert same_class(first) == same_class(second)


@pytest.mark.parametrize(
    ("first", "second"), [("Kick (left)", "Kick left"), ("🥊", "🤸"), ("Ecart", "Écart"), ("a-b", "a b"), ("1", "2")]
)
def test_other_names_are_other_classes(first: str, second: str) -> None:
    assert same_class(first) != same_class(second)


def test_unify_keeps_the_most_frequent_spelling_and_tells_of_the_others() -> None:
    unified = unify(["walking", "Walking", "Walking ", "Fight", "E\u0301cart", "Écart", ""])
    assert unified.names == {
        "walking": "Walking",
        "Walking": "Walking",
        "Walking ": "Walking",
        "Fight": "Fight",
        "E\u0301cart": "Écart",
        "Écart": "Écart",
    }
    walking, accent = unified.notes
    assert walking == "'Walking' is also written 'walking': taken as one class"
    assert r"'E\u0301cart'" in accent


def test_unify_takes_known_names_and_leaves_apart_what_was_apart() -> None:
    assert unify(["WALKING", "WALKING"], known=["walking"]).names == {"WALKING": "walking"}
    assert unify(["Walk", "walk"], known=["Walk", "walk"]).names == {"Walk": "Walk", "walk": "walk"}


def test_tidy_keeps_an_emoji_whole() -> None:
    assert tidy(" 🤸\u200d♂\ufe0f ") == "🤸\u200d♂\ufe0f"


@given(st.text(max_size=30))
def test_tidy_and_same_class_of_anything_are_settled_at_once(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    assert same_class(tidy(text)) == same_class(text)
    assert same_class(text) or not tidy(text)


@given(st.lists(st.text(max_size=8), max_size=12))
def test_unify_gives_every_spelling_one_name_of_its_own_class(spellings: list[str]) -> None:
    names = unify(spellings).names
    assert set(names) == {text for text in spellings if tidy(text)}
    for text, name in names.items():
        assert same_class(text) == same_class(name)
    assert len(set(names.values())) == len({same_class(text) for text in names})


@pytest.mark.parametrize("text", ["\u200d", "\ufe0f", " \u200b \ufe0e "])
def test_spelling_without_a_visible_sign_is_no_label(text: str) -> None:
    assert tidy(text) == "" and not unify([text]).names
