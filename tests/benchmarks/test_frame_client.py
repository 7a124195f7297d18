"""Frames are counted wherever the bytes are cut."""

import socket

import pytest
from tests.benchmarks.frame_client import count_frames

STREAM = b"HTTP/1.1 200 OK\r\n\r\n" + b'data: {"x": 1}\n\n' * 5 + b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 3, 5, 6, 7, len(STREAM)])
def test_a_mark_that_is_cut_in_two_is_one_frame(size: int) -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    for start in range(0, len(STREAM), size):
        ours.sendall(STREAM[start : start + size])
    ours.close()
    assert count_frames([theirs]) == 6
