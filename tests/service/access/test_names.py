"""Names of users."""

import pytest

from service.access.names import name_key, shown_name
from service.errors_base import InvalidRequest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna", "anna"),
        (" anna ", "ANNA"),
        ("ａｎｎａ", "anna"),  # full width
        ("Jose\u0301", "Jos\u00e9"),
        ("Straße", "STRASSE"),
        ("ﬁona", "fiona"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_spellings_of_a_name_are_one(one: str, other: str):
    assert name_key(one) == name_key(other)


def test_different_names_stay_different():
    assert len({name_key(name) for name in ("anna", "anne", "annа", "Jose", "José")}) == 5


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\x00", "x" * 65, "\u200b", "...", "\u202eanna"])
def test_names_that_cannot_be_told_are_refused(name: str):
    with pytest.raises(InvalidRequest, match="name: expected 1 to 64 characters"):
        shown_name(name)


@pytest.mark.parametrize(("given", "shown"), [(" Anna ", "Anna"), ("李小龍", "李小龍"), ("o'neill@x.y", "o'neill@x.y")])
def test_name_is_shown_as_it_was_given(given: str, shown: str):
    assert shown_name(given) == shown
