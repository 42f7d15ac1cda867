"""A multipart answer read as it comes (RFC 2046), each part by the length that it says."""

from __future__ import annotations

from collections.abc import Iterator


def read_parts(pieces: Iterator[bytes], boundary: str) -> Iterator[tuple[str, bytes]]:
    """→ (media type, content) of each part, until the pieces end."""
    held = b""
    first = f"--{boundary}".encode()

    def filled(until: int) -> bytes:
        nonlocal held
        while len(held) < until:
            held += next(pieces)
        return held[:until]

    while True:
        while b"\r\n\r\n" not in held:
            piece = next(pieces, None)
            if piece is None:
                assert held == b"", f"a part that was broken off: {held[:100]!r}"
                return
            held += piece
        head, _, held = held.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        assert line == first, line
        fields = dict(each.decode().lower().split(": ", 1) for each in lines)
        length = int(fields["content-length"])
        content = filled(length + 2)
        held = held[length + 2 :]
        assert content.endswith(b"\r\n")
        yield fields["content-type"], content[:-2]
