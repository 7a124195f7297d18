"""Count the frames that a server sends: ``frame_client.py HOST PORT PATH BODY STREAMS``.

Bare sockets and a count of bytes, so that one core is enough to take what another can send. Prints
``{"frames", "seconds"}``, from the first request to the last byte.
"""

import json
import selectors
import socket
import sys
import time

MARK = b"data: "


def main() -> None:
    host, port, path, body, streams = sys.argv[1:]
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
    request = (head + body).encode()
    sockets = [socket.create_connection((host, int(port))) for _ in range(int(streams))]
    started = time.perf_counter()
    for one in sockets:
        one.sendall(request)
    frames = count_frames(sockets)
    print(json.dumps({"frames": frames, "seconds": time.perf_counter() - started}))


def count_frames(sockets: list[socket.socket]) -> int:
    """Read all of them to their ends."""
    ready = selectors.DefaultSelector()
    rests = dict.fromkeys(sockets, b"")
    for opened in sockets:
        ready.register(opened, selectors.EVENT_READ, opened)
    frames = 0
    while rests:
        for key, _ in ready.select():
            one: socket.socket = key.data
            data = one.recv(1 << 18)
            if not data:
                ready.unregister(one)
                one.close()
                del rests[one]
                continue
            seen = rests[one] + data
            frames += seen.count(MARK)
            rests[one] = seen[-(len(MARK) - 1) :]  # a mark may be cut in two, and none fits in here
    return frames


if __name__ == "__main__":
    main()
