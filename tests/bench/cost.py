"""`python -m tests.bench.cost`: what the worst packets cost here, and what they cost general message parsers.

For each class of sizes: the median over ordinary packets, and the packets of `tests/unit/answer/hostile.py` that cost
most here, in dnspython's `dns.message.from_wire` and in dnslib's `DNSRecord.parse`. Here means the whole answer, there
parsing alone. CPU time of one thread in microseconds, the median of several runs; an exception is an end like any
other.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import dns.message
import dnslib

from tests.unit.answer.hostile import MAX_UDP_OCTETS, SIZES, WORST, ordinary, responder, size_class

RUNS = 9
RUN_SECONDS = 0.002  # so many calls as fit, in each run
LONG_SECONDS = 0.5  # what takes longer is measured once


def ours(packet: bytes) -> object:
    return responder(tcp=len(packet) > MAX_UDP_OCTETS).respond(packet)


def dnspython(packet: bytes) -> object:
    return dns.message.from_wire(packet, keyring=False)


def in_dnslib(packet: bytes) -> object:
    return dnslib.DNSRecord.parse(packet)


def microseconds(function: Callable[[bytes], object], packet: bytes) -> float:
    first = _seconds(function, packet, 1)
    if first > LONG_SECONDS:
        return first * 1e6
    calls = max(1, int(RUN_SECONDS / max(first, 1e-6)))
    return statistics.median(_seconds(function, packet, calls) for _ in range(RUNS)) * 1e6


def _seconds(function: Callable[[bytes], object], packet: bytes, calls: int) -> float:
    begun = time.thread_time()
    for _ in range(calls):
        try:
            function(packet)
        except Exception:
            pass  # most are no messages
    return (time.thread_time() - begun) / calls


def main() -> None:
    columns = {"authdns": ours, "dnspython": dnspython, "dnslib": in_dnslib}
    print(f"{'octets':>6} {'authdns':>10} {'dnspython':>12} {'dnslib':>12}  us of CPU")
    for size in SIZES:
        found = {name: packet for name, packet in WORST.items() if size_class(packet) == size}
        usual = [[microseconds(function, packet) for packet in ordinary(size)] for function in columns.values()]
        _row(size, [statistics.median(each) for each in usual], "the median of ordinary packets")
        measured = {name: [microseconds(f, packet) for f in columns.values()] for name, packet in found.items()}
        for number, column in enumerate(columns):
            if measured:
                name = max(measured, key=lambda each: measured[each][number])
                _row(size, measured[name], f"the worst for {column}: {name}")


def _row(size: int, figures: list[float], what: str) -> None:
    print(f"{size:6} {figures[0]:10,.1f} {figures[1]:12,.1f} {figures[2]:12,.1f}  {what}", flush=True)


if __name__ == "__main__":
    main()
