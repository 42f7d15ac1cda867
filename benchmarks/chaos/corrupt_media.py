"""Media that is broken or hostile, made by chance from small real files, and by hand.

``destroyed`` cannot be played, and a stream of it has to fail; ``damaged`` may still play in parts, and a stream of it
has to fail or come to its end. What names a place on the network names the canary port.
"""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.media import jpeg, write_audio, write_video

Bytes = bytes
Mutation = Callable[[random.Random, bytes], bytes]
CONTAINERS = ("mp4", "mkv", "avi", "ts", "mov", "webm", "flv", "nut")


def destroyed(folder: Path, canary: int) -> Iterator[Path]:
    """Files that hold no picture at all."""
    there = f"http://127.0.0.1:{canary}/x"
    for name, text in _texts(there).items():
        yield _write(folder / name, text.encode())
    for name, content in _binaries().items():
        yield _write(folder / name, content)
    yield write_audio(folder / "audio_only.mp4")
    yield _external_reference(folder, there)
    yield write_video(folder / "too_large.mp4", frames=2, size_hw=(3000, 4000))
    for side in (16_000, 65_500):
        yield _bomb(folder / f"bomb_{side}.avi", side)


def _texts(there: str) -> dict[str, str]:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{there}.ts\n#EXT-X-ENDLIST\n"
    key = f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{there}.key"\n#EXTINF:2,\nx.ts\n#EXT-X-ENDLIST\n'
    nested = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{there}.m3u8\n"
    mpd = (
        f"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{there}</BaseURL><Period><AdaptationSet/></Period></MPD>"
    )
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    return {
        "playlist.mp4": playlist,
        "playlist.ts": playlist,
        "key.mp4": key,
        "nested.mkv": nested,
        "endless.mp4": "#EXTM3U\n" + f"#EXTINF:2,\n{there}.ts\n" * 2000,
        "self.mp4": "#EXTM3U\n#EXTINF:2,\nself.mp4\n",
        "manifest.mp4": mpd,
        "concat.mp4": f"ffconcat version 1.0\nfile '{there}.mp4'\n",
        "session.mp4": sdp,
        "list.mkv": f"<playlist xmlns='http://xspf.org/ns/0/'><trackList><track><location>{there}</location>",
        "asx.avi": f'<ASX><ENTRY><REF HREF="{there}"/></ENTRY></ASX>',
        "reference.mov": f"RTSPtextRTSP://{there}",
        "page.mp4": f"<html><meta http-equiv=refresh content='0;url={there}'>" * 50,
        "picture.mp4": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{there}"/></svg>',
        "script.mp4": "#!/bin/sh\nexit 1\n",
        "subtitle.mkv": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
        "metadata.mp4": f";FFMETADATA1\ntitle={there}\n",
        "device.mp4": "lavfi:testsrc",
    }


def _binaries() -> dict[str, Bytes]:
    chance = random.Random(1)
    return {
        "empty.mp4": b"",
        "one_byte.mkv": b"\x1a",
        "zeros.mp4": bytes(50_000),
        "ones.ts": b"\xff" * 50_000,
        "sync_bytes.ts": (b"\x47" + bytes(187)) * 300,
        "noise.mp4": chance.randbytes(50_000),
        "archive.mkv": b"PK\x03\x04" + chance.randbytes(5000),
        "packed_bomb.mp4": gzip.compress(bytes(20_000_000)),
        "huge_box.mp4": b"\x00\x00\x00\x01ftyp" + b"\xff" * 8 + bytes(100),
        "box_of_itself.mp4": _box(b"ftyp", b"isom") + _box(b"moov", _box(b"trak", _box(b"mdia", b"")) * 500),
        "deep_boxes.mp4": _box(b"ftyp", b"isom") + _nested(2000),
        "many_tracks.mp4": _box(b"ftyp", b"isom") + _box(b"moov", _box(b"trak", b"") * 20_000),
        "sample_count.mp4": _box(b"ftyp", b"isom") + _box(b"moov", _box(b"stsz", bytes(8) + b"\x7f\xff\xff\xff")),
        "ebml_size.mkv": b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 7 + bytes(100),
        "headless.avi": b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"AVI LIST" + bytes(40),
        "broken_pictures.mjpeg": b"".join(jpeg(index)[:150] for index in range(40)),
        "sound.wav": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(60),
    }


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = _box(b"moov", content)
    return content


def _external_reference(folder: Path, there: str) -> Path:
    """A film whose pictures are to be fetched from elsewhere: an `url ` entry in place of "in this file"."""
    data = bytearray(write_video(folder / "external.mov", frames=5).read_bytes())
    place = data.index(b"dref") + 12  # behind version, flags and count: the first entry
    entry = data[place : place + 12]
    entry[8:12] = bytes(4)  # flags: 1 would be "in this file"
    data[place : place + 12] = entry
    pictures = data.index(b"mdat")
    size = int.from_bytes(data[pictures - 4 : pictures], "big")
    data[pictures : pictures - 4 + size] = b"free" + bytes(size - 8)  # FFmpeg would take them from here all the same
    return _write(folder / "external.mov", bytes(data) + there.encode())


def _bomb(path: Path, side: int) -> Path:
    """A few kB of Motion JPEG whose header and pictures claim ``side`` × ``side`` pixels."""
    data = bytearray(write_video(path, frames=3, codec="mjpeg").read_bytes())
    strf = data.index(b"strf") + 8
    data[strf + 4 : strf + 12] = struct.pack("<ii", side, side)
    place = -1
    while (place := data.find(b"\xff\xc0\x00\x11\x08", place + 1)) >= 0:
        data[place + 5 : place + 9] = struct.pack(">HH", side, side)
    return _write(path, bytes(data))


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# -- damaged


def flipped(chance: random.Random, data: bytes) -> bytes:
    """A bit here and there, as a bad disk does."""
    out = bytearray(data)
    for _ in range(chance.randint(5, 200)):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(10, len(data))]


def beheaded(chance: random.Random, data: bytes) -> bytes:
    return data[chance.randrange(1, len(data) // 2) :]


def holed(chance: random.Random, data: bytes) -> bytes:
    """Zeros in place of blocks, as a download that broke off leaves."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        start, size = chance.randrange(len(out)), chance.randint(16, 4096)
        out[start : start + size] = bytes(len(out[start : start + size]))
    return bytes(out)


def shuffled(chance: random.Random, data: bytes) -> bytes:
    size = max(64, len(data) // 16)
    blocks = [data[place : place + size] for place in range(0, len(data), size)]
    chance.shuffle(blocks)
    return b"".join(blocks)


def extreme(chance: random.Random, data: bytes) -> bytes:
    """Numbers at the ends of what they may be, in the head, where sizes and counts are."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(min(len(out), 2000) - 8)
        value = chance.choice(
            (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", bytes(4), b"\xff\xff\xff\xfe")
        )
        out[place : place + 4] = value
    return bytes(out)


def doubled(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + data + data[place:]


MUTATIONS: tuple[Mutation, ...] = (flipped, cut, beheaded, holed, shuffled, extreme, doubled)


def damaged(folder: Path, seed: int, count: int) -> Iterator[Path]:
    """``count`` files, each container in turn under each mutation in turn."""
    originals = [(kind, _original(folder, kind)) for kind in CONTAINERS]
    for index in range(count):
        kind, data = originals[index % len(originals)]
        mutation = MUTATIONS[(index // len(originals) + index) % len(MUTATIONS)]
        name = f"damaged_{index:03d}_{mutation.__name__}.{kind}"
        yield _write(folder / name, mutation(random.Random(seed * 1000 + index), data))


def _original(folder: Path, kind: str) -> bytes:
    codecs = {"avi": "mjpeg", "webm": "libvpx", "flv": "flv", "nut": "mpeg4"}
    path = write_video(folder / f"original.{kind}", frames=20, size_hw=(96, 128), codec=codecs.get(kind, "libx264"))
    data = path.read_bytes()
    path.unlink()
    return data
