"""What a page needs is told with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.routes.console import page
from service.routes.console.page_scripts import preloads
from tests.service.conftest import RunningApi

WEB = Path(page.__file__).parents[2] / "web"


def test_scripts_are_told_that_others_import_and_styles_come_first():
    told = re.findall("<(.*?)>; rel=(.*?)(?:,|$)", preloads(WEB / "incident.html"))
    assert told[:3] == [
        ("../web/page.css", "preload; as=style"),
        ("../web/review.css", "preload; as=style"),
        ("../web/incident.js", "modulepreload"),
    ]
    scripts = [place.removeprefix("../web/") for place, kind in told if kind == "modulepreload"]
    assert len(set(scripts)) == len(scripts)
    assert "lanes.js" not in scripts
    of_review = preloads(WEB / "review.html")
    assert "<web/lane_rows.js>" in of_review and "lane_rows.js" not in (WEB / "review.js").read_text()


@pytest.mark.parametrize("path", ["/", "/events", "/review", "/settings", "/login"])
def test_every_page_tells_what_there_is(api: RunningApi, path: str):
    link = api.client.get(path).headers["Link"]
    for place in re.findall("<(.*?)>", link):
        assert api.client.get(f"/{place}").status_code == 200, place
    assert "Link" not in api.client.get("/web/page.js").headers
