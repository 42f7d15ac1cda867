"""Names of anybody's making in topics: one id each, and nothing that a broker takes for a level or a wildcard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.environment.values import node_name
from service.settings import Settings
from service.sinks.mqtt_topics import ID, Topics, slugs

NASTY = ["a/b", "a+b", "a#b", "a\0b", "😀", "", " ", "../..", "$SYS", "x" * 100_000, "Fighting", "fighting", "\ud800"]


def test_ordinary_labels_keep_their_words():
    assert slugs(["Fighting", "push up", "Rückwärts"]) == {
        "Fighting": "fighting",
        "push up": "push_up",
        "Rückwärts": "ruckwarts",
    }


def test_labels_that_would_share_an_id_get_one_each():
    both = slugs(["push up", "push-up", "Push Up", "walk"])
    assert len(set(both.values())) == 4 and both["walk"] == "walk"
    assert all(slug.startswith("push_up-") for name, slug in both.items() if name != "walk")


def test_a_reserved_word_is_nobodys_id():
    assert slugs(["Incident"], reserved=["incident"])["Incident"].startswith("incident-")


@given(st.lists(st.one_of(st.text(max_size=80), st.sampled_from(NASTY)), max_size=30, unique=True))
def test_ids_are_one_to_one_and_safe_in_a_topic(names):
    found = slugs(names, reserved=["incident"])
    assert found.keys() == set(names)
    assert len(set(found.values())) == len(names)
    assert all(ID.fullmatch(slug) and slug != "incident" for slug in found.values())


@given(st.text(max_size=80))
def test_what_is_no_id_makes_no_topic(text):
    topics = Topics("actoscope", "gate")
    if ID.fullmatch(text):
        assert topics.stream(text, "people").split("/") == ["actoscope", "gate", text, "people"]
    else:
        with pytest.raises(ValueError, match="expected 1 to 64 letters"):
            topics.stream(text, "people")


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/#", "+", "a b"])
def test_a_prefix_that_is_no_path_is_refused(prefix):
    with pytest.raises(ValueError, match="expected a prefix"):
        Topics(prefix, "gate")


def test_a_node_is_named_after_its_host_unless_the_operator_says_otherwise():
    assert node_name("cam-1.lan") == "cam-1-lan" and node_name("...") == "actoscope"
    assert Settings(node="hall").node_name == "hall"
    assert ID.fullmatch(Settings().node_name)
    with pytest.raises(ValueError, match="node"):
        Settings(node="a/b")
