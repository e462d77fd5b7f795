"""How long a UDP query waits for its answer, at a fixed rate, whatever comes back: from when it is sent to when the
kernel has the answer (its own time stamp: what keeps this program waiting does not count)."""

from __future__ import annotations

import contextlib
import gc
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.peers import Endpoint

RATE = 2000  # queries a second: far from what the server can do, so that it is latency that is seen
SO_TIMESTAMPNS = 35  # asm-generic/socket.h


@dataclass(frozen=True)
class Latency:
    """Of one round, in microseconds."""

    p50: float
    p99: float
    longest: float
    lost: int


def latency(server: Endpoint, query: bytes, done: Callable[[], bool], check_every: int = 20) -> Latency:
    """Asks at RATE until `done()`, which is called before every `check_every`th query."""
    sent: list[int] = [0] * 65536
    taken: list[float] = []
    request = bytearray(query)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        sock.connect(server)

        def receive() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    wire, control, _, _ = sock.recvmsg(512, 64)
                    seconds, nanoseconds = struct.unpack("=qq", control[0][2])
                    ident = int.from_bytes(wire[:2], "big")
                    taken.append((seconds * 1_000_000_000 + nanoseconds - sent[ident]) / 1000)

        number = 0
        begun = time.perf_counter()
        gc.disable()
        try:
            while number % check_every or not done():
                number += 1
                while time.perf_counter() - begun < number / RATE:
                    receive()
                request[:2] = (number & 0xFFFF).to_bytes(2, "big")
                sent[number & 0xFFFF] = time.time_ns()
                with contextlib.suppress(OSError):
                    sock.send(request)
            deadline = time.perf_counter() + 2
            while len(taken) < number and time.perf_counter() < deadline:
                receive()
        finally:
            gc.enable()
    taken.sort()
    return Latency(percentile(taken, 0.5), percentile(taken, 0.99), taken[-1], number - len(taken))


def for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
