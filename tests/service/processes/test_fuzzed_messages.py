"""What a broken or hostile peer may send: any bytes end in a message or in one of two errors, never in another."""

import asyncio
import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from service.processes.ipc import ChannelClosed, Packet, decode, encode
from service.processes.messages import UnexpectedMessage, pack, read_message, unpack
from tests.service.processes.test_messages import ARRAYS, PLAIN

KINDS = ["stream_setup", "state", "stats", "segment", "detect", "detections", "clip", "scores", "hello", "plan"]
PLAIN_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
SPECS = some.lists(
    some.fixed_dictionaries(
        {
            "name": PLAIN_JSON,
            "dtype": some.sampled_from(["uint8", "float32", "int64", "object", "<U9", ""]) | PLAIN_JSON,
            "shape": some.lists(some.integers(-(2**70), 2**70) | some.integers(-2, 9) | PLAIN_JSON, max_size=5)
            | PLAIN_JSON,
        }
    ),
    max_size=3,
)
HEADS = some.fixed_dictionaries({"kind": PLAIN_JSON, "fields": PLAIN_JSON, "arrays": SPECS | PLAIN_JSON})
QUICK = settings(max_examples=150, deadline=None)


def check_decoded(head: bytes, body: bytes) -> None:
    """Whatever came out is within the body; whatever is refused is refused by name."""
    try:
        packet = decode(head, bytearray(body))
    except ChannelClosed as error:
        assert "expected a message" in str(error)
        return
    assert sum(array.nbytes for array in packet.arrays.values()) <= len(body) * max(1, len(packet.arrays))


@QUICK
@given(some.binary(max_size=60), some.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(head: bytes, body: bytes):
    check_decoded(head, body)


@pytest.mark.parametrize(
    "head", [b"[" * 200_000, b'{"kind": "x", "fields": ' + b'{"a":' * 100_000], ids=["lists", "objects"]
)
def test_depth_without_end_is_refused(head: bytes):
    with pytest.raises(ChannelClosed, match="expected a message"):
        decode(head, bytearray())


@QUICK
@given(HEADS, some.binary(max_size=60))
@example({"kind": "x", "fields": {}, "arrays": [{"name": "a", "dtype": "uint8", "shape": [2**80]}]}, b"1234")
@example({"kind": "x", "fields": {}, "arrays": [{"name": "a", "dtype": "uint8", "shape": [1e400]}]}, b"1234")
@example({"kind": "x", "fields": {}, "arrays": [{"name": "a", "dtype": "uint8", "shape": [2**40, 0]}]}, b"1234")
def test_any_head_is_a_message_or_refused(head: Any, body: bytes):
    check_decoded(json.dumps(head).encode(), body)


@pytest.mark.parametrize("shape", [[-1], [2, -2], [-2, -2], ["4"], [4.0], [True], 4, "4", {"4": 4}])
def test_shape_that_is_none_is_refused(shape: Any):
    head = {"kind": "x", "fields": {}, "arrays": [{"name": "a", "dtype": "uint8", "shape": shape}]}
    with pytest.raises(ChannelClosed, match="shape"):
        decode(json.dumps(head).encode(), bytearray(b"1234"))


@QUICK
@given(some.sampled_from(KINDS) | some.text(max_size=9), some.dictionaries(some.text(max_size=9), PLAIN_JSON))
def test_any_fields_are_a_message_or_refused_by_name(kind: str, fields: dict[str, Any]):
    try:
        unpack(Packet(kind, fields))
    except UnexpectedMessage as error:
        assert repr(kind) in str(error)


@some.composite
def changed_fields(draw: some.DrawFn) -> Packet:
    """A real message of which one field, at any depth, is something else."""
    packet = pack(draw(some.sampled_from([*PLAIN, *ARRAYS])))
    fields = json.loads(json.dumps(packet.fields))
    place: Any = fields
    while True:
        key = draw(some.sampled_from(sorted(place)))
        if not (isinstance(place[key], dict) and place[key] and draw(some.booleans())):
            break
        place = place[key]
    place[key] = draw(PLAIN_JSON)
    arrays = {name: draw(some.sampled_from([array, array.astype(np.int64)])) for name, array in packet.arrays.items()}
    return Packet(packet.kind, fields, arrays)


@QUICK
@given(changed_fields())
def test_message_with_one_field_changed_is_a_message_or_refused_by_name(packet: Packet):
    try:
        unpack(packet)
    except UnexpectedMessage as error:
        assert repr(packet.kind) in str(error)


@pytest.mark.parametrize("content", ARRAYS, ids=lambda content: type(content).__name__)
def test_array_of_another_type_is_refused_by_name(content: Any):
    packet = pack(content)
    arrays = {name: array.astype(np.int64) for name, array in packet.arrays.items()}
    with pytest.raises(UnexpectedMessage, match=r"expected an array of (uint8|float32), got int64"):
        unpack(Packet(packet.kind, packet.fields, arrays))


@QUICK
@given(
    some.sampled_from([*PLAIN, *ARRAYS]),
    some.lists(some.tuples(some.integers(0, 2**16), some.integers(0, 255)), min_size=1, max_size=9),
    some.integers(0, 2**16),
)
def test_bytes_of_a_real_message_changed_and_cut_are_a_message_or_refused(
    content: Any, changes: list[tuple[int, int]], end: int
):
    packet = pack(content)
    data = bytearray(b"".join(encode(packet.kind, packet.fields, packet.arrays)))
    for place, value in changes:
        data[place % len(data)] = value
    head_length, body_length = struct.unpack("!IQ", data[:12])
    if head_length + body_length < 1 << 24:  # a longer one would be waited for
        with_end = bytes(data[: len(data) - end % 40])
        with contextlib.suppress(ChannelClosed, UnexpectedMessage):  # any other error fails
            asyncio.run(_read(with_end))


async def _read(data: bytes) -> Any:
    reader = asyncio.StreamReader(limit=1 << 22)
    reader.feed_data(data)
    reader.feed_eof()
    return await read_message(reader)
