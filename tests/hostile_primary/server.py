"""The primary on a TCP socket: reads requests, and does what the fault of the zone says.

Each connection has a thread of its own, which waits, dribbles or resets as it is told.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from authdns.wire.query import parse_query
from authdns.wire.tsig import Key
from authdns.wire.types import Rcode
from tests.hostile_primary.actions import Action, Close, Raw, Reset, Wait
from tests.hostile_primary.faults import Talk
from tests.hostile_primary.messages import framed, message
from tests.hostile_primary.zones import Copy

NO_LINGER = b"\1\0\0\0\0\0\0\0"


class HostilePrimary:
    """A context manager; `address` is (host, port). `copies` may be edited, and given faults, while it runs."""

    def __init__(
        self,
        copies: Iterable[Copy],
        keys: Mapping[bytes, Key] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.copies = {copy.apex: copy for copy in copies}
        self.keys = keys or {}
        self.connections = 0
        self._stopping = threading.Event()
        self._socket = socket.create_server((host, port), backlog=128)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._accepting = threading.Thread(target=self._accept, name="hostile primary")
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in (self._accepting, *self._threads):
            thread.join()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), name="hostile primary")
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := self._request(connection)) is not None:
                for action in self._actions(request):
                    if self._stopping.is_set() or not self._do(connection, action):
                        return

    def _request(self, connection: socket.socket) -> bytes | None:
        octets = self._exactly(connection, 2)
        return None if octets is None else self._exactly(connection, int.from_bytes(octets, "big"))

    def _exactly(self, connection: socket.socket, number: int) -> bytes | None:
        found = b""
        while len(found) < number and not self._stopping.is_set():
            try:
                got = connection.recv(number - len(found))
            except TimeoutError:
                continue
            if not got:
                return None
            found += got
        return found if len(found) == number else None

    def _actions(self, request: bytes) -> Iterator[Action]:
        query = parse_query(request)
        copy = self.copies.get(query.qname)
        if copy is None:
            yield message(query.id, query.question, rcode=Rcode.REFUSED)
            return
        key = None if query.tsig is None else self.keys.get(query.tsig.key)
        talk = Talk(request, query, copy, key)
        fault = copy.fault
        if fault is None or talk.phase not in fault.phases:
            yield from talk.honest()
        else:
            copy.begun.set()
            yield from fault.commit(talk)

    def _do(self, connection: socket.socket, action: Action) -> bool:
        """Whether the conversation goes on."""
        match action:
            case Close():
                return False
            case Reset():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                return False
            case Wait(seconds):
                return not self._stopping.wait(seconds) and not self._has_gone(connection)
            case Raw(octets):
                self._send(connection, octets)
            case bytes():
                self._send(connection, framed(action))
        return True

    def _send(self, connection: socket.socket, octets: bytes) -> None:
        left = memoryview(octets)
        while left and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                left = left[connection.send(left) :]

    @staticmethod
    def _has_gone(connection: socket.socket) -> bool:
        """The secondary has closed the connection."""
        connection.setblocking(False)
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        finally:
            connection.settimeout(0.1)
