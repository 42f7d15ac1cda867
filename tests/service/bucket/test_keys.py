import pytest

from service.bucket.keys import key_of, path_of, sidecar_keys_of, video_key_of

VIDEO = "recordings/str_a/2026/11/28/20261128T083346123Z.mp4"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("recordings/str_a/20261128T083346123Z.mp4", VIDEO),
        (
            "recordings/str_a/20261128T083346123Z.jsonl.gz",
            "recordings/str_a/2026/11/28/20261128T083346123Z.jsonl.gz",
        ),
        ("incidents/inc_1/clip.mp4", "incidents/inc_1/clip.mp4"),
        ("incidents/inc_1/snapshot.jpg", "incidents/inc_1/snapshot.jpg"),
    ],
)
def test_keys_have_days_and_lead_back_to_their_files(path: str, key: str):
    assert key_of(path) == key
    assert path_of(key) == path


@pytest.mark.parametrize(
    "key",
    [
        "recordings/OWNER",
        "recordings/str_a/2026/11/29/20261128T083346123Z.mp4",  # of another day
        "recordings/str_a/20261128T083346123Z.mp4",
        "recordings/../2026/11/28/20261128T083346123Z.mp4",
        "recordings/str_a/2026/11/28/20261128T083346123Z.exe",
        "incidents/inc_1/other.mp4",
        "datasets/gym/tree.json",
    ],
)
def test_what_is_none_of_ours_has_no_path(key: str):
    assert path_of(key) is None


def test_video_and_messages_are_found_from_each_other():
    assert {video_key_of(key) for key in sidecar_keys_of(VIDEO)} == {VIDEO}
