"""Small real videos, made when a test asks for them: any size, rate, codec and timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 90000)


def picture(index: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB: red left half, blue right half, and a white bar that moves with ``index``."""
    height, width = size_hw
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 200
    image[:, width // 2 :, 2] = 200
    top = (index * 4) % max(height - 8, 1)
    image[top : top + 8] = 255
    return image


def write_video(
    path: Path,
    frames: int = 25,
    size_hw: tuple[int, int] = (120, 160),
    rate: int = 25,
    codec: str = "libx264",
    *,
    times_s: Sequence[float] | None = None,
    b_frames: int = 0,
    gop: int = 10,
    container: str | None = None,
    pixel_aspect: Fraction | None = None,
    audio_s: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write ``frames`` pictures at ``rate`` a second, or at ``times_s``; silence of ``audio_s`` beside. → path.

    ``options`` are the muxer's.
    """
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        sound = _sound_track(out, path) if audio_s else None
        stream.width, stream.height = size_hw[1], size_hw[0]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if codec == "libx264":
            stream.codec_context.time_base = TIME_BASE
            stream.options = {"preset": "ultrafast", "bf": str(b_frames), "x264-params": f"bframes={b_frames}"}
        elif stream.codec_context.time_base is None:
            stream.codec_context.time_base = Fraction(1, rate)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, size_hw), format="rgb24")
            time_s = times_s[index] if times_s is not None else index / rate
            base = stream.codec_context.time_base
            frame.time_base, frame.pts = base, round(Fraction(time_s) / base)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _write_silence(out, sound, audio_s)
    return path


def _sound_track(out: av.container.OutputContainer, path: Path) -> av.AudioStream:
    codec = {".webm": "libopus", ".asf": "mp2"}.get(path.suffix, "aac")
    track: av.AudioStream = out.add_stream(codec, rate=48000 if codec == "libopus" else 44100, layout="mono")
    return track


def _write_silence(out: av.container.OutputContainer, track: av.AudioStream, seconds: float) -> None:
    rate, size = track.codec_context.sample_rate, 960
    kind = track.codec_context.format.name
    silence = np.zeros((1, size), np.int16 if kind.startswith("s16") else np.float32)
    for index in range(round(seconds * rate / size)):
        frame = av.AudioFrame.from_ndarray(silence, format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, index * size, Fraction(1, rate)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def write_audio(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no picture. → path."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        for index in range(round(seconds * 16000 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, index * 1024, Fraction(1, 16000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def jpeg(index: int, size_hw: tuple[int, int] = (120, 160)) -> bytes:
    """One JPEG picture."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height = size_hw[1], size_hw[0]
    codec.pix_fmt, codec.time_base = "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture(index, size_hw), format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))
