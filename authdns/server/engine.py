"""The engine in the server: which one runs, images for it, and the queries that it hands back.

The native engine's threads answer from images without waiting for Python. What they decline (transfers, TSIG, NOTIFY,
class CH, names below a DNAME, zones without an image) comes over a socket that holds DECLINED_OCTETS and is answered
here, through the socket that the query came in by; more than that is lost and counted, so that a flood of such queries
cannot starve the event loop.
"""

import asyncio
import importlib
import secrets
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from authdns.answer.image import Image
from authdns.answer.limiter import RateLimit
from authdns.answer.respond import Chaos, Responder
from authdns.server.counters import Counters
from authdns.server.listen import IP_PKTINFO, is_wildcard
from authdns.server.udp import DRAIN_BATCH, RECEIVE_OCTETS, Address, Handed, UdpListener, from_same_address
from authdns.zone.zone import RRset

if TYPE_CHECKING:
    from authdns.answer.native._native import Counts

Choice = Literal["auto", "native", "python"]

MAX_WORKERS = 1024  # in one process (native/module.c)
NO_TYPE = 0x10000  # in its counts: there was no question
DECLINED_OCTETS = 256 << 10  # of the socket's buffer: some hundred queries
RECLAIM_SECONDS = 1.0  # after a publish, what it replaced is freed: no batch takes so long

# What is in front of a query that is handed over (native/udp.h).
_LENGTHS = struct.Struct(">HH")
_ADDRESS_OCTETS = 28
_QUERY_AT = _LENGTHS.size + _ADDRESS_OCTETS + 20


class NoEngine(Exception):
    """The native engine was asked for and is not there; the message says why."""


def load_native(choice: Choice) -> tuple[ModuleType | None, str]:
    """(the engine's module, or None for Python; why it is that one). Raises NoEngine."""
    if choice == "python":
        return None, "the configuration says so"
    try:
        return importlib.import_module("authdns.answer.native._native"), "it is there"
    except ImportError as error:
        reason = f"the native engine was not built, or cannot be loaded: {error}"
        if choice == "native":
            raise NoEngine(reason) from error
        return None, reason


class NativeEngine:
    """The zones of the engine, and its threads. `load` and `checksum` may be called in other threads, the rest on the
    event loop."""

    def __init__(self, native: ModuleType) -> None:
        self._native = native
        self._seed = secrets.randbits(64)
        self._engine = native.Engine(self._seed)
        self._reclaiming = False

    def load(self, octets: bytes | memoryview) -> Image:
        """Checks an image and makes it ready to be published. Raises ValueError, MemoryError."""
        image: Image = self._native.Image(octets, self._seed, RRset)
        return image

    def checksum(self, octets: bytes | memoryview) -> int:
        """64 bits, against damage."""
        found: int = self._native.checksum(octets)
        return found

    def publish(self, apex: bytes, image: object | None) -> None:
        self._engine.publish(apex, image)
        self._reclaim_soon()

    def withdraw(self, apex: bytes) -> None:
        self._engine.withdraw(apex)
        self._reclaim_soon()

    def _reclaim_soon(self) -> None:
        if not self._reclaiming:
            self._reclaiming = True
            asyncio.get_running_loop().call_later(RECLAIM_SECONDS, self._reclaim)

    def _reclaim(self) -> None:
        self._reclaiming = False
        if not self._engine.reclaim():
            self._reclaim_soon()

    def start(self, listener: "DeclinedListener", payload: int, chaos: Chaos) -> None:
        """A thread for that listener's socket."""
        sock, handed = listener.socket, listener.handed
        self._engine.start(sock.fileno(), handed.fileno(), is_wildcard(sock), payload, chaos.nsid)

    def use_secrets(self, secrets: Sequence[bytes] | None) -> None:
        """Of cookies; None: there are none."""
        self._engine.use_secrets(None if secrets is None else list(secrets))
        self._reclaim_soon()

    def use_limiter(self, limit: RateLimit) -> None:
        self._engine.use_limiter(self._seed, *limiter_arguments(limit))
        self._reclaim_soon()

    def limited(self) -> tuple[tuple[int, int, int], bytes | None]:
        """(how many queries were limited: truncated, dropped, logged; the address of one since the last call)."""
        limited: tuple[tuple[int, int, int], bytes | None] = self._engine.limited()
        return limited

    def stop(self) -> None:
        self._engine.stop()

    def counts(self) -> "Counts":
        counts: Counts = self._engine.counts()
        return counts


def limiter_arguments(
    limit: RateLimit,
) -> tuple[
    int,
    tuple[list[tuple[int, int]], list[tuple[int, int]]],
    tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]],
    int,
    bool,
]:
    """What Engine.use_limiter wants behind the seed."""
    prefixes = (limit.prefixes(4), limit.prefixes(6))
    exempt = (limit.exempt_ranges(4), limit.exempt_ranges(6))
    return limit.window, prefixes, exempt, limit.slip, limit.log_only


class DeclinedListener(UdpListener):
    """Answers what one thread of the engine hands back, through the socket that it came in by. `handed` is the engine's
    end, `from_engine` is to be read here."""

    def __init__(
        self,
        sock: socket.socket,
        responder: Responder,
        counters: Counters,
        handed: Handed,
        failed: Callable[[bytes, Address], None],
    ) -> None:
        super().__init__(sock, responder, counters, handed, failed)
        self.handed, self.from_engine = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.handed.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, DECLINED_OCTETS)
        self.from_engine.setblocking(False)
        self.on_readable = self._drain_declined

    def _drain_declined(self) -> None:
        now = time.time_ns()
        for _ in range(DRAIN_BATCH):
            try:
                message = self.from_engine.recv(_QUERY_AT + RECEIVE_OCTETS)
            except BlockingIOError:
                return
            source, control = _where_from(message)
            response = self.answer(message[_QUERY_AT:], source, now)
            if response is None:
                continue
            try:
                self.socket.sendmsg((response,), from_same_address(control), socket.MSG_DONTWAIT, source)
            except OSError:
                self.counters.unsent += 1

    def close(self) -> None:
        self.handed.close()
        self.from_engine.close()


def _where_from(message: bytes) -> tuple[Address, list[tuple[int, int, bytes]]]:
    """The address that a query came from, and what the kernel said of the one that it came to."""
    octets, control_octets = _LENGTHS.unpack_from(message)
    address = message[_LENGTHS.size : _LENGTHS.size + octets]
    control = message[_LENGTHS.size + _ADDRESS_OCTETS :][:control_octets]
    port = int.from_bytes(address[2:4], "big")
    if octets == _ADDRESS_OCTETS:
        flow, scope = int.from_bytes(address[4:8], "big"), int.from_bytes(address[24:28], sys.byteorder)
        source: Address = (socket.inet_ntop(socket.AF_INET6, address[8:24]), port, flow, scope)
        return source, [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, control)] if control else []
    source = (socket.inet_ntop(socket.AF_INET, address[4:8]), port)
    return source, [(socket.IPPROTO_IP, IP_PKTINFO, control)] if control else []
