"""When a download of a case is a new one."""

from __future__ import annotations

import pytest

from service.exports import downloads
from service.exports.downloads import HOUR_S, Downloads
from service.rights import Principal

NINA, VERA = (Principal("user", f"usr_{name}", name) for name in ("nina", "vera"))


def test_download_is_a_new_one_for_everybody_every_case_and_after_an_hour():
    now = [0.0]
    known = Downloads(lambda: now[0])
    asked = [(NINA, "exp_1"), (NINA, "exp_1"), (VERA, "exp_1"), (NINA, "exp_2")]
    assert [known.begins(who, case) for who, case in asked] == [True, False, True, True]
    now[0] = HOUR_S - 1
    assert not known.begins(NINA, "exp_1")
    now[0] = HOUR_S
    assert known.begins(NINA, "exp_1") and not known.begins(NINA, "exp_1")


def test_so_many_downloads_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(downloads, "MOST", 2)
    known = Downloads(lambda: 0.0)
    assert all(known.begins(NINA, case) for case in ("exp_1", "exp_2", "exp_3"))
    assert len(known._begun) == 2
    assert not known.begins(NINA, "exp_3") and known.begins(NINA, "exp_1")
