"""Opens a source with FFmpeg: what it may read, and nothing beside.

Allow-lists, never block-lists: FFmpeg would else read ``concat:``, ``subfile:``, playlists that name any host and
redirects to anywhere. FFmpeg cannot be told not to follow an RTSP server that redirects, so it is seen afterwards
whom it is connected to: another server has been asked by then, but none of its pictures is taken.
"""

from __future__ import annotations

import re
import time
from typing import Any

import av
import av.error

from pipeline.errors import SourceError
from pipeline.sources import peer, trust, words
from pipeline.sources.options import HLS_QUIET_S, SourceOptions
from pipeline.sources.url import SourceUrl

RTSP = ("rtsp", "rtsps")
RAW = "data"  # FFmpeg's format of bytes handed on as they come

_PROTOCOLS = {
    "file": "file",
    "rtsp": "tcp,rtp,rtsp,udp,tls",
    "rtsps": "tcp,rtp,rtsp,udp,tls",
    "http": "http,https,tcp,tls",
    "https": "http,https,tcp,tls",
}
_RECORDINGS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,h264,hevc,mjpeg,m4v,gif"
_FORMATS = {
    "file": _RECORDINGS,
    "rtsp": "rtsp,mpegts",
    "rtsps": "rtsp,mpegts",
    "http": "mpegts,mov,matroska,avi,flv",
    "https": "mpegts,mov,matroska,avi,flv",
}
_REDIRECTS_CAN_BE_REFUSED = (62, 12, 0)  # libavformat of FFmpeg 8.1
_ZONE = re.compile(r"(?<=[0-9a-fA-F:])%25(?=[^\]/]*\])")


def open_container(url: SourceUrl, options: SourceOptions, raw: bool = False) -> Any:
    """→ av.container.InputContainer; ``raw``: of bytes as they come, whatever they are.

    Raises SourceError, without FFmpeg's own error as context: it holds the URL.
    """
    address, ffmpeg_options = _address(url), _ffmpeg_options(url, options, raw)
    peers = peer.addresses(url) if url.scheme in RTSP else frozenset()
    wanted = "video4linux2" if url.scheme == "v4l2" else None
    read_timeout_s = options.read_timeout_s + (HLS_QUIET_S if url.hls else 0.0)
    began_s = time.monotonic()
    try:
        container = av.open(
            address,
            format=RAW if raw else wanted,
            options=ffmpeg_options,
            timeout=(options.open_timeout_s, read_timeout_s),
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        out_of_time = url.scheme != "file" and time.monotonic() - began_s >= 0.95 * options.open_timeout_s
        problem = words.explain_open(error, url, out_of_time)
    else:
        if url.scheme not in RTSP or peer.is_connected(peers | peer.addresses(url)):
            return container
        container.close()
        problem = words.redirected(url)
    raise _certificate_problem(url, options, problem) or problem


def _certificate_problem(url: SourceUrl, options: SourceOptions, problem: SourceError) -> SourceError | None:
    """FFmpeg says no more of a refused certificate than that something broke."""
    if not trust.is_asked_for(url, options) or problem.code != "disconnected":
        return None
    reason = trust.why_refused(url, options)
    return None if reason is None else words.untrusted(url, reason)


def _address(url: SourceUrl) -> str:
    """What FFmpeg opens. A file is opened by its protocol, so that no name can be taken for another one."""
    if url.path is None:
        # A URL writes the network interface of an IPv6 address behind %25 (RFC 6874); FFmpeg wants the plain %.
        return _ZONE.sub("%", url.reveal(), count=1) if "[" in url.reveal() else url.reveal()
    if url.scheme == "file":
        # The path was resolved when it was checked: a symlink put there since then must not lead elsewhere.
        if url.path.resolve() != url.path:
            raise words.moved(url)
        return f"file:{url.path}"
    return str(url.path)


def _ffmpeg_options(url: SourceUrl, options: SourceOptions, raw: bool) -> dict[str, str]:
    if url.scheme == "v4l2":
        return {}
    formats = _FORMATS[url.scheme] + (",hls" if url.hls else "")
    chosen = {
        "protocol_whitelist": _PROTOCOLS[url.scheme],
        "format_whitelist": RAW if raw else formats,
    }
    if not raw:
        chosen["max_pixels"] = str(options.max_pixels)
    if trust.is_asked_for(url, options):
        chosen |= {"tls_verify": "1", "ca_file": str(trust.ca_file(options))}
    if url.scheme in RTSP:
        chosen["rtsp_transport"] = options.transport
        chosen["allowed_media_types"] = "video"
        # FFmpeg's defaults look at several seconds of video to guess its rate. Not "nobuffer": it throws away what was
        # looked at, the first keyframe with it, and the first picture then comes a whole group of pictures later.
        chosen |= {"analyzeduration": "200000", "fpsprobesize": "0"}
    if url.over_http:
        if av.library_versions["libavformat"] < _REDIRECTS_CAN_BE_REFUSED:
            raise words.old_ffmpeg(url)  # it would pass over the option without a word
        chosen["max_redirects"] = "0"
        if raw:
            chosen |= {"seekable": "0", "icy": "0"}  # no range is asked of a camera
    return chosen
