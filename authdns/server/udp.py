"""The UDP loop: drain the socket, answer, send.

`asyncio.DatagramProtocol` costs four times what this loop costs and queues without limit when the socket is full. So
the socket is ours, non-blocking; the event loop only says that it is readable. What cannot be sent at once is dropped,
as the network would have done. A socket bound to one address answers from it by nature; one bound to a wildcard takes
the address that was asked from IP_PKTINFO / IPV6_PKTINFO and answers from it (on hosts with several addresses the
kernel would choose another, and resolvers drop such answers).
"""

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from authdns.answer.respond import Responder
from authdns.server.counters import Counters
from authdns.server.listen import IP_PKTINFO, is_wildcard
from authdns.wire.query import Query

# Datagrams answered before the event loop gets its turn: enough to spread its cost, short enough for TCP and timers.
DRAIN_BATCH = 128
RECEIVE_OCTETS = 4096  # no query is longer; what is cut off ends as FORMERR

Address = tuple[Any, ...]
Handed = Callable[[bytes, Query, Address], bytes | None]


class UdpListener:
    """Answers what arrives on one socket. `handed` decides on requests that depend on who asks; `failed` is told of
    an exception with the packet that caused it (the barrier: one packet never ends the process)."""

    def __init__(
        self,
        sock: socket.socket,
        responder: Responder,
        counters: Counters,
        handed: Handed,
        failed: Callable[[bytes, Address], None],
    ) -> None:
        self.socket = sock
        self._responder = responder
        self.counters = counters
        self._handed = handed
        self._failed = failed
        self.on_readable = self._drain_wildcard if is_wildcard(sock) else self._drain

    def _drain(self) -> None:
        receive, send = self.socket.recvfrom, self.socket.sendto
        respond = self._responder.respond
        now = time.time_ns()
        for _ in range(DRAIN_BATCH):
            try:
                request, source = receive(RECEIVE_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier answer, where the system reports those
            if not source[1]:
                self.counters.dropped += 1  # nobody can be there: forged, to make two servers talk to each other
                continue
            try:
                response = respond(request, source[0], now)
                if type(response) is not bytes:
                    response = self._not_bytes(request, response, source)  # type: ignore[arg-type]
                    if response is None:
                        continue
            except Exception:
                response = self._barrier(request, source)
                if response is None:
                    continue
            try:
                send(response, source)
            except OSError:
                self.counters.unsent += 1

    def _drain_wildcard(self) -> None:
        receive, send = self.socket.recvmsg, self.socket.sendmsg
        now = time.time_ns()
        for _ in range(DRAIN_BATCH):
            try:
                request, control, _, source = receive(RECEIVE_OCTETS, 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            if not source[1]:
                self.counters.dropped += 1
                continue
            response = self.answer(request, source, now)
            if response is None:
                continue
            try:
                send((response,), from_same_address(control), 0, source)
            except OSError:
                self.counters.unsent += 1

    def answer(self, request: bytes, source: Address, now: int) -> bytes | None:
        """What to send, if anything. `now` in nanoseconds since 1970."""
        try:
            response = self._responder.respond(request, source[0], now)
            if type(response) is bytes:
                return response
            return self._not_bytes(request, response, source)  # type: ignore[arg-type]
        except Exception:
            return self._barrier(request, source)

    def _not_bytes(self, request: bytes, response: Query | None, source: Address) -> bytes | None:
        if response is None:
            self.counters.dropped += 1
            return None
        return self._handed(request, response, source)

    def _barrier(self, request: bytes, source: Address) -> bytes | None:
        self._failed(request, source)
        return self._responder.server_failure(request)


def from_same_address(control: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Ancillary data for sendmsg: answer from the address that was asked; the kernel chooses the interface."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            _, local, _ = struct.unpack("=I4s4s", data)
            return [(level, kind, struct.pack("=I4s4s", 0, local, b"\0\0\0\0"))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            # A link-local address means nothing without its interface; others leave by the routing table.
            interface = data[16:20] if data[:2] == b"\xfe\x80" else b"\0\0\0\0"
            return [(level, kind, data[:16] + interface)]
    return []
