import pytest

from enginebay_server.bench import EventDecoder

STREAM = b'data: {"a": 1}\n\n: keep-alive\n\ndata:{"b": 2}\r\n\r\nevent: x\ndata: [DONE]\n\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
def test_events_are_whole_however_bytes_arrive(size: int) -> None:
    decoder = EventDecoder()
    parts = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    found = [event for part in parts for event in decoder.feed(part)]
    assert found == [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]


def test_an_event_comes_when_it_is_complete_and_not_before() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: x\n") == []
    assert decoder.feed(b"\n") == [b"x"]
