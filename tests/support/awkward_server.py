"""A server of one behaviour, on a raw socket, so that it can break off where no HTTP library would.

Belongs here: how connections go wrong. Does not belong here: what a platform says (the servers of the platforms).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping

_BODY = b'{"ok": true}'
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%s\r\n"


@contextlib.contextmanager
def awkward_server(behaviour: str, headers: Mapping[str, str] | None = None, body: bytes = _BODY) -> Iterator[str]:
    """The URL of a server that answers every connection in this way: answer (with those headers and that body), refuse
    (no listener), reset, close, short_body, silent, trickle, garbage."""
    more = b"".join(f"{name}: {value}\r\n".encode() for name, value in (headers or {}).items())
    answer = _HEAD % (len(body), more) + body
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if behaviour == "refuse":
        listener.close()
        yield url
        return
    ending = threading.Event()
    threading.Thread(target=_accept, args=(listener, behaviour, answer, ending), daemon=True).start()
    try:
        yield url
    finally:
        ending.set()
        listener.close()


def _accept(listener: socket.socket, behaviour: str, answer: bytes, ending: threading.Event) -> None:
    while not ending.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, behaviour, answer, ending), daemon=True).start()


def _serve(connection: socket.socket, behaviour: str, answer: bytes, ending: threading.Event) -> None:
    with connection, contextlib.suppress(OSError):
        connection.recv(65536)
        match behaviour:
            case "answer":
                connection.sendall(answer)
            case "reset":
                # Linger 0: closing sends RST.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "short_body":
                connection.sendall(_HEAD % (1000, b"") + _BODY)
            case "silent":
                ending.wait(5)
            case "garbage":
                connection.sendall(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
            case "trickle":
                connection.sendall(_HEAD % (1000, b""))
                while not ending.is_set():
                    connection.sendall(b" ")
                    time.sleep(0.05)
