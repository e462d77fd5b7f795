"""Raw packets to a server, and what comes back; silence is told from slowness by a question asked behind it.

Servers here have one worker and answer in order: once the answer to a later question is in, no other will come. But
authdns may answer in two ways, by its engine and by Python, each in order; so there is a question for each.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from authdns.wire.types import Class, Type
from tests.peers import Endpoint
from tests.unit.answer.packets import query

SENTINEL = 0xFEED
DECLINED = query(b"\2id\6server\0", Type.TXT, Class.CH)  # the engine leaves it to Python
SECONDS = 5.0


class ServerSilent(Exception):
    """Not even the question behind the packet was answered."""


class Udp:
    """One socket to one server. `sentinels` are queries that it answers, one for each way in which it does; their ids
    are replaced."""

    def __init__(self, endpoint: Endpoint, *sentinels: bytes) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(SECONDS)
        self._socket.connect((endpoint.address, endpoint.port))
        self._sentinels = {
            (SENTINEL + number).to_bytes(2, "big"): sentinel[2:] for number, sentinel in enumerate(sentinels)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def exchange(self, packet: bytes) -> bytes | None:
        """The response to `packet`, or None if there is none."""
        assert packet[:2] not in self._sentinels
        self._socket.send(packet)
        for ident, sentinel in self._sentinels.items():
            self._socket.send(ident + sentinel)
        found = None
        waiting = set(self._sentinels)
        while waiting:
            try:
                response = self._socket.recv(65_535)
            except TimeoutError:
                raise ServerSilent(packet.hex()) from None
            if response[:2] in waiting:
                waiting.remove(response[:2])
            else:
                found = response
        return found

    def ask(self, query: bytes) -> bytes:
        """The response to a query that every server answers; others' are passed over."""
        self._socket.send(query)
        while True:
            try:
                response = self._socket.recv(65_535)
            except TimeoutError:
                raise ServerSilent(query.hex()) from None
            if response[:2] == query[:2]:
                return response


def over_tcp(endpoint: Endpoint, packet: bytes, sentinel: bytes) -> bytes | None:
    """The response to `packet` on a connection of its own; None if it is passed over or the connection closed."""
    sentinel = SENTINEL.to_bytes(2, "big") + sentinel[2:]
    with socket.create_connection((endpoint.address, endpoint.port), timeout=SECONDS) as connection:
        connection.sendall(_framed((packet, sentinel)))
        with connection.makefile("rb") as stream:
            found = None
            for _ in range(2):
                try:
                    length = stream.read(2)
                    response = stream.read(int.from_bytes(length, "big"))
                except ConnectionResetError:
                    return found
                except TimeoutError:
                    raise ServerSilent(packet.hex()) from None
                if not response or response[:2] == sentinel[:2]:
                    return found
                found = response
            return found


def _framed(messages: Sequence[bytes]) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)
