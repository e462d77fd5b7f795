"""Mutated queries to the engine and to the Python executor: the same octets, or the engine declines.

    python -m tests.fuzz.engine [--queries 10000000] [--processes 2] [--seed 1]

It may decline for the reasons in `Reason` only; how often it does is reported.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.image import write_image
from authdns.answer.lookup import lookup
from authdns.answer.native import _native as native
from authdns.answer.respond import Chaos, Responder
from authdns.wire.query import HEADER_OCTETS, Query
from authdns.wire.types import Class, Opcode, Type
from authdns.zone.zone import RRset
from tests.fuzz.invariants import OPT, TSIG, Violation, is_request, name_end
from tests.fuzz.packets import endless
from tests.fuzz.zones import table

SEED = 0x1234_5678_9ABC_DEF0
DO = 0x80


class Reason(StrEnum):
    """Why a query may be declined."""

    OPCODE = "another opcode than QUERY"
    TSIG = "TSIG in the packet"
    TRANSFER = "AXFR or IXFR"
    CHAOS = "class CH"
    ABSENT = "a zone that is not in the engine"
    DNAME = "the answer holds a DNAME that moves a name"


class Transport(NamedTuple):
    """What is the same for all queries to one socket."""

    payload: int = 1232
    tcp: bool = False
    identity: str | None = None

    def responder(self, zones: ZoneTable) -> Responder:
        return Responder(zones, tcp=self.tcp, payload=self.payload, chaos=self.chaos)

    @property
    def chaos(self) -> Chaos:
        return Chaos(identity=self.identity, version="v")


TRANSPORTS = (
    Transport(),
    Transport(identity="n" * 128),
    Transport(payload=512),
    Transport(payload=512, identity="n" * 128),
    Transport(payload=513, identity=""),
    Transport(payload=1400, identity="ns1"),
    Transport(payload=4096, identity="n" * 200),
    Transport(tcp=True),
    Transport(payload=4096, tcp=True, identity="ns1"),
)


class Pair:
    """The engine and the executor over the same zones. Zones that cannot be served are not in the engine."""

    def __init__(self, zones: ZoneTable, transports: Iterable[Transport] = TRANSPORTS) -> None:
        self.zones = zones
        self.engine = native.Engine(SEED)
        for apex, served in zones.by_apex.items():
            image = native.Image(write_image(served.zone), SEED, RRset) if isinstance(served, ServedZone) else None
            self.engine.publish(apex, image)
        self._sides = [(each, each.responder(zones), each.chaos.nsid) for each in transports]

    def check(self, packet: bytes, choice: int = 0) -> str:
        """What became of it over one of the transports. Raises Violation."""
        transport, python, nsid = self._sides[choice % len(self._sides)]
        got = self.engine.respond(packet, transport.payload, transport.tcp, nsid)
        if got == native.DECLINED:
            reason = self.reason(packet)
            if reason is None:
                raise Violation(f"declined without a reason: {packet.hex()}")
            return f"declined: {reason}"
        expected = python.respond(packet)
        if got != (native.DROPPED if expected is None else expected):
            raise Violation(f"they differ ({transport})\nrequest {packet.hex()}\nengine {_shown(got)}\n"
                            f"Python {_shown(expected)}")  # fmt: skip
        return "silence" if isinstance(got, int) else f"rcode {got[3] & 15}"

    def reason(self, packet: bytes) -> Reason | None:
        """Why the engine may decline this request, if it may. It is read here as far as that needs, and no further."""
        if not is_request(packet):
            return None
        if packet[2] >> 3 & 15 != Opcode.QUERY:
            return Reason.OPCODE
        end = name_end(packet, HEADER_OCTETS) + 4
        one_question = packet[4:6] == b"\0\1" and end <= len(packet)
        qtype, qclass = (int.from_bytes(packet[at : at + 2], "big") for at in (end - 4, end - 2))
        if one_question and qtype in (Type.AXFR, Type.IXFR):
            return Reason.TRANSFER
        if packet[11] and TSIG.to_bytes(2, "big") in packet[HEADER_OCTETS:]:
            return Reason.TSIG
        if not one_question:
            return None
        if qclass == Class.CH:
            return Reason.CHAOS
        qname = packet[HEADER_OCTETS : end - 4].lower()
        zone = self.zones.find(qname, qtype)
        if zone is None:
            return None
        if not isinstance(zone, ServedZone):
            return Reason.ABSENT
        dnssec_ok = packet[end + 1 : end + 3] == OPT.to_bytes(2, "big") and bool(packet[end + 7] & DO)
        answer = lookup(zone.zone, qname, qtype, dnssec_ok)
        moves = any(rrset.type == Type.DNAME for owner, rrset in answer.answer if owner not in (b"", qname))
        return Reason.DNAME if moves else None


def _shown(response: bytes | int | Query | None) -> str:
    return response.hex() if isinstance(response, bytes) else repr(response)


@cache
def pair() -> Pair:
    return Pair(table())


def run(queries: int, seed: int) -> Counter[str]:
    """So many mutated queries. Raises Violation."""
    random_ = random.Random(seed)
    source = endless(random_)
    check = pair().check
    return Counter(check(next(source), number) for number in range(queries))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=10_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    share = -(-given.queries // given.processes)
    begun = time.monotonic()
    with multiprocessing.Pool(given.processes) as pool:
        parts = pool.starmap(run, [(share, given.seed + number) for number in range(given.processes)])
    outcomes: Counter[str] = sum(parts, Counter())
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({"queries": outcomes.total(), "seconds": seconds, **dict(outcomes.most_common())}, indent=1))


if __name__ == "__main__":
    main()
