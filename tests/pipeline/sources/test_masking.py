"""Passwords in a URL's path and query are shown under no name, known or not."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import SourceUrlError
from pipeline.sources.masking import MASK, mask_path, mask_query
from pipeline.sources.url import SourcePolicy, SourceUrl, redact, shown_url

SECRET = "s3cr3t"
OPEN = SourcePolicy()


@pytest.mark.parametrize(
    "name",
    [
        *("loginpas", "pw", "psw", "accesskey", "authbasic", "passwd", "pass", "passphrase", "usrpwd", "p", "a", "t"),
        *("sid", "x-api-key", "Authorization", "jwt", "hash", "egressToken", "hdnea", "PWD", "credential", "whatever"),
    ],
)
def test_value_of_any_field_but_the_harmless_is_masked(name: str) -> None:
    assert mask_query(f"channel=1&{name}={SECRET}&subtype=0") == f"channel=1&{name}={MASK}&subtype=0"
    assert mask_path(f"/cgi/{name}={SECRET}&channel=1") == f"/cgi/{name}={MASK}&channel=1"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("channel=1&subtype=0&unicast=true&proto=Onvif", "channel=1&subtype=0&unicast=true&proto=Onvif"),
        ("resolution=640x480&videocodec=h264&fps=25", "resolution=640x480&videocodec=h264&fps=25"),
        ("real_stream", "real_stream"),
        ("", ""),
        (f"user=admin:{SECRET}", "user=***"),
        (f"user=admin_password={SECRET}_channel=1", "user=***"),
        (f"channel=1%26pwd={SECRET}", "channel=***"),
        (f"channel=1%26pwd%3D{SECRET}", "channel=***"),
        (f"%70%77d={SECRET}&channel=1", "%70%77d=***&channel=1"),
        (f"{SECRET}", "***"),
        ("YWRtaW46cGFzcw==&channel=1", "***&channel=1"),
        ("YWRtaW46cGFzc3c=", "***"),
        (f"pwd=a&{SECRET}&b={SECRET}&&channel=1", "pwd=***&channel=1"),
        (f"pwd=a;{SECRET}?{SECRET}&channel=1&{SECRET}", "pwd=***&channel=1&***"),
        (f"stream={SECRET * 8}", "stream=***"),
    ],
)
def test_query_shows_harmless_fields_and_what_is_named(query: str, shown: str) -> None:
    assert mask_query(query) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/Streaming/Channels/101", "/Streaming/Channels/101"),
        ("/h264Preview_01_main", "/h264Preview_01_main"),
        ("/axis-media/media.amp", "/axis-media/media.amp"),
        ("/mode=real&idc=1&ids=2", "/mode=real&idc=1&ids=2"),
        ("/channel=1/stream=0", "/channel=1/stream=0"),
        ("/vod/mp4:film.mp4", "/vod/mp4:film.mp4"),
        (f"/user=admin&password={SECRET}&channel=1&stream=0.sdp", "/user=admin&password=***&channel=1&stream=0.sdp"),
        (f"/user=admin_password={SECRET}_channel=1.sdp", "/user=admin_password=***"),
        (f"/user=admin_psw=a_{SECRET}/{SECRET}_channel=1.sdp", "/user=admin_psw=***"),
        (f"/av0_0&user=admin&passwd={SECRET}", "/av0_0&user=admin&passwd=***"),
        (f"/0/admin:{SECRET}/main", "/0/admin:***"),
        (f"/0/admin:/{SECRET}/main", "/0/admin:***"),
        (f"/0/admin%3A{SECRET}/main", "/0/***"),
        (f"/user%3Dadmin_password%3D{SECRET}", "/***"),
        (f"/live/token={SECRET}/list.mp4", "/live/token=***"),
        ("/AbC123dEf456GhI7", "/***"),  # UniFi Protect
        ("/sdm_live_stream/CiUA2vuxr8f3HKxOcJyMiSNBAQw", "/sdm_live_stream/***"),
    ],
)
def test_path_shows_words_and_harmless_fields(path: str, shown: str) -> None:
    assert mask_path(path) == shown


def test_url_without_any_secret_stands_in_text_as_it_is() -> None:
    text = "(see 'http://10.0.0.1:80/a.mp4?channel=1', rtsp://[fe80::1]; file:///media/a=b.mp4): 404"
    assert redact(text) == text


def test_url_that_is_not_known_any_more_is_shown_as_such() -> None:
    assert shown_url("") == MASK
    assert shown_url("file:///media/walk.mp4?loop=true") == "file:///media/walk.mp4"


# What people choose as passwords, and what the grammar of URLs makes of it where nobody escaped it.
SIGNS = st.text("aZ9!$%&'()*+,-./:;=?@[]^_`{|}~#", max_size=6)
PASSWORDS = st.builds(lambda before, after: f"{before}{SECRET}{after}", SIGNS, SIGNS)
FORMS = st.sampled_from(
    [
        "rtsp://admin:{}@10.0.0.1/x",
        "http://10.0.0.1/s.cgi?loginuse=admin&loginpas={}&channel=1",
        "http://10.0.0.1/s.cgi?channel=1&zz={}",
        "http://10.0.0.1/s.cgi?{}",
        "rtsp://10.0.0.1/user=admin_psw={}_channel=1.sdp",
        "rtsp://10.0.0.1/user=admin&authbasic={}&channel=1",
        "rtsp://10.0.0.1/0/admin:{}/main",
    ]
)


@given(FORMS, PASSWORDS)
@example("http://10.0.0.1/s.cgi?{}", "=s3cr3t=")
@example("rtsp://10.0.0.1/0/admin:{}/main", "/s3cr3t/")
def test_no_password_in_any_place_shows(form: str, password: str) -> None:
    text = form.format(password)
    try:
        url = SourceUrl.parse(text, OPEN)
    except SourceUrlError as error:
        assert SECRET not in str(error)
    else:
        assert SECRET not in str(url)
    assert SECRET not in redact(f"cannot open '{text}', retry")


TEXTS = st.one_of(st.text(), st.from_regex(r"(rtsp|http|file|v4l2|usb|rtsps)://[ -~]{0,60}", fullmatch=True))


@given(TEXTS)
@example("rtsp://[::1")
@example("http://h:٣/x")
@example("rtsp://h\N{FULLWIDTH SOLIDUS}x")
def test_any_text_is_a_url_or_refused_in_words(text: str) -> None:
    try:
        url = SourceUrl.parse(text, OPEN)
    except SourceUrlError as error:
        assert re.match(r"expected |HLS |cameras |this file ", str(error))
        return
    assert url.host or url.path
    assert url.port is None or 0 <= url.port <= 65535
    assert url.is_live in (True, False)
    assert SourceUrl.parse(url.reveal(), OPEN) == url
    assert shown_url(url.redacted) == url.redacted


@given(TEXTS)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
    assert mask_query(mask_query(text)) == mask_query(text)
    assert mask_path(mask_path(text)) == mask_path(text)
