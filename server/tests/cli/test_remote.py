"""Reading a stream, wherever the network breaks it."""

import pytest

from enginebay_core.api import ConfigError
from enginebay_server.cli.remote import Remote, read_events

STREAM = (
    b": hello\r\n\r\n"
    b'data: {"a":"\xe4\xbd\xa0\xe2\x80\xa8\xc2\x85"}\n\n'
    b"event: x\rdata:two\rdata: lines\r\r"
    b"\n\ndata: also\r\ndata: two\r\n\r\n"
    b"data: [DONE]\r\n\r\n"
    b"data: cut off"
)
EVENTS = ['{"a":"你\u2028\x85"}', "two\nlines", "also\ntwo", "[DONE]", "cut off"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_do_not_depend_on_chunks(size: int) -> None:
    chunks = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert list(read_events(chunks)) == EVENTS


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://[x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no base URL"):
        Remote(url)
