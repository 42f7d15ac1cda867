"""The message format between processes: round trips, bounds, and what happens when a peer misbehaves."""

import asyncio
import socket
import struct
import threading

import numpy as np
import pytest

from service.processes.ipc import MAX_BODY_BYTES, Channel, ChannelClosed, read_packet, write_packet


@pytest.fixture
def pair():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    channels = Channel(left, send_timeout_s=1.0), Channel(right, send_timeout_s=1.0)
    yield channels
    for channel in channels:
        channel.close()


def test_message_with_arrays_arrives_unchanged(pair):
    sender, receiver = pair
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    sender.send("detect", {"request": 7, "note": "é"}, {"image": image, "boxes": boxes, "none": boxes[:0]})
    message = receiver.receive()
    assert (message.kind, message.fields) == ("detect", {"request": 7, "note": "é"})
    np.testing.assert_array_equal(message.arrays["image"], image)
    np.testing.assert_array_equal(message.arrays["boxes"], boxes)
    assert message.arrays["none"].shape == (0, 4)


def test_array_that_is_not_contiguous_arrives_unchanged(pair):
    sender, receiver = pair
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[:, ::-1]
    sender.send("x", arrays={"image": image})
    np.testing.assert_array_equal(receiver.receive().arrays["image"], image)


def test_large_message_crosses_while_both_sides_run(pair):
    sender, receiver = pair
    clip = np.random.default_rng(0).integers(0, 255, (64, 224, 224, 3), np.uint8)
    thread = threading.Thread(target=sender.send, args=("clip", {}, {"crops": clip}))
    thread.start()
    message = receiver.receive()
    thread.join(5)
    np.testing.assert_array_equal(message.arrays["crops"], clip)


def test_closed_peer_raises_channel_closed(pair):
    sender, receiver = pair
    sender.close()
    with pytest.raises(ChannelClosed):
        receiver.receive()


def test_sending_on_a_channel_that_another_thread_closed_raises_channel_closed(pair):
    sender, _ = pair
    sender.close()
    with pytest.raises(ChannelClosed):
        sender.send("x")


def test_peer_that_does_not_read_closes_the_channel_after_the_timeout(pair):
    sender, _ = pair
    with pytest.raises(ChannelClosed):
        for _ in range(100):
            sender.send("x", arrays={"a": np.zeros(1 << 20, np.uint8)})
    assert sender.closed


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("!IQ", 1 << 30, 0),
        struct.pack("!IQ", 2, MAX_BODY_BYTES + 1),
        struct.pack("!IQ", 5, 0) + b"nojso",
        struct.pack("!IQ", 2, 0) + b"{}",
    ],
)
def test_malformed_message_raises_channel_closed(raw):
    left, right = socket.socketpair()
    receiver = Channel(right)
    left.sendall(raw)
    with pytest.raises(ChannelClosed):
        receiver.receive()
    left.close()
    receiver.close()


def test_array_of_a_type_that_is_not_allowed_raises_channel_closed(pair):
    sender, receiver = pair
    sender.send("x", arrays={"a": np.zeros(3, np.complex128)})
    with pytest.raises(ChannelClosed, match="array type"):
        receiver.receive()


def test_event_loop_side_speaks_the_same_format():
    async def talk():
        left, right = socket.socketpair()
        channel = Channel(left)
        reader, writer = await asyncio.open_connection(sock=right)
        channel.send("stats", {"a": 1}, {"jpeg": np.arange(5, dtype=np.uint8)})
        message = await read_packet(reader)
        write_packet(writer, "stop", {"why": "test"})
        await writer.drain()
        answer = channel.receive()
        writer.close()
        channel.close()
        with pytest.raises(ChannelClosed):
            await read_packet(reader)
        return message, answer

    message, answer = asyncio.run(talk())
    assert message.fields == {"a": 1}
    assert message.arrays["jpeg"].tolist() == [0, 1, 2, 3, 4]
    assert (answer.kind, answer.fields) == ("stop", {"why": "test"})
