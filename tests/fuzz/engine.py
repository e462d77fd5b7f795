"""Mutated queries to the engine and to the Python executor: the same octets, or the engine declines.

    python -m tests.fuzz.engine [--queries 10000000] [--processes 2] [--seed 1]

It may decline for the reasons in `Reason` only; how often it does is reported. Both have cookies and limit responses;
time goes on with each query, whose source and cookie are drawn from a few.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from ipaddress import ip_network
from itertools import takewhile
from typing import NamedTuple
from zlib import adler32

from authdns.answer.cookies import Cookies
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.image import write_image
from authdns.answer.limiter import Limiter, RateLimit
from authdns.answer.lookup import lookup
from authdns.answer.native import _native as native
from authdns.answer.respond import NANOSECONDS, Chaos, Responder
from authdns.server.engine import limiter_arguments
from authdns.wire.address import address_octets
from authdns.wire.message import EXPIRE
from authdns.wire.name import ancestors, is_at_or_below
from authdns.wire.query import HEADER_OCTETS, Query
from authdns.wire.types import Class, Opcode, Type
from authdns.zone.zone import RRset
from tests.fuzz.invariants import OPT, TSIG, Violation, is_request, name_end
from tests.fuzz.packets import endless
from tests.fuzz.zones import table
from tests.unit.answer.packets import header, opt, option

SEED = 0x1234_5678_9ABC_DEF0
NOW = 1_795_000_000 * NANOSECONDS
SECRETS = (b"the first secret", b"secret after it.")
FOREIGN = (b"not our secret..",)
HOSTS = ("192.0.2.1", "192.0.2.2", "192.0.3.1", "127.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::1")
STEPS = (0, 0, 1_000_000, 5_000_000, 20_000_000)
LIMIT = RateLimit(per_second=10, burst=30, slip=3, exempt=(ip_network("127.0.0.0/8"), ip_network("::1")))
DO = 0x80


class Reason(StrEnum):
    """Why a query may be declined."""

    OPCODE = "another opcode than QUERY"
    TSIG = "TSIG in the packet"
    TRANSFER = "AXFR or IXFR"
    EXPIRE = "EXPIRE in an SOA query"
    CHAOS = "class CH"
    ABSENT = "a zone that is not in the engine"
    DNAME = "the answer holds a DNAME that moves a name"
    CHANGED = "the name has changed since the image was made"


class Transport(NamedTuple):
    """What is the same for all queries to one socket."""

    payload: int = 1232
    tcp: bool = False
    identity: str | None = None

    def responder(self, zones: ZoneTable, cookies: Cookies | None = None, limiter: Limiter | None = None) -> Responder:
        limited = None if self.tcp else limiter
        return Responder(zones, tcp=self.tcp, payload=self.payload, chaos=self.chaos, cookies=cookies, limiter=limited)

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


class Client(NamedTuple):
    """Who asks, and when (in nanoseconds since 1970)."""

    host: str = "192.0.2.1"
    now: int = NOW


A_CLIENT = Client()


class Pair:
    """The engine and the executor over the same zones. Zones that cannot be served are not in the engine.

    With `limit` they limit responses, and with `secrets` they have cookies. In each zone the engine must not answer for
    the names that are in `changed`."""

    def __init__(
        self,
        zones: ZoneTable,
        transports: Iterable[Transport] = TRANSPORTS,
        limit: RateLimit | None = None,
        secrets: Sequence[bytes] = (),
        changed: Collection[bytes] = (),
    ) -> None:
        self.zones = zones
        self._changed = changed
        self.cookies = Cookies(secrets) if secrets else None
        self.engine = native.Engine(SEED)
        for apex, served in zones.by_apex.items():
            image = native.Image(write_image(served.zone), SEED, RRset) if isinstance(served, ServedZone) else None
            if image is not None and changed:
                image = image.with_changes([name for name in changed if is_at_or_below(name, apex)])
            self.engine.publish(apex, image)
        self.engine.use_secrets(list(secrets) or None)
        limiter = None
        if limit is not None:
            limiter = Limiter(limit)
            self.engine.use_limiter(SEED, *limiter_arguments(limit))
        self._sides = [(each, each.responder(zones, self.cookies, limiter), each.chaos.nsid) for each in transports]

    def check(self, packet: bytes, choice: int = 0, client: Client = A_CLIENT) -> str:
        """What became of it over one of the transports. Raises Violation."""
        transport, python, nsid = self._sides[choice % len(self._sides)]
        address = address_octets(client.host)
        got = self.engine.respond(packet, transport.payload, transport.tcp, nsid, address, client.now)
        if got == native.DECLINED:
            reason = self.reason(packet)
            if reason is None:
                raise Violation(f"declined without a reason: {packet.hex()}")
            return f"declined: {reason}"
        expected = python.respond(packet, client.host, client.now)
        if got != (native.DROPPED if expected is None else expected):
            raise Violation(f"they differ ({transport}, {client})\nrequest {packet.hex()}\nengine {_shown(got)}\n"
                            f"Python {_shown(expected)}")  # fmt: skip
        if isinstance(got, int):
            return "silence" if not is_request(packet) else "limited"
        return f"rcode {got[3] & 15}"

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
        if qtype == Type.SOA and EXPIRE.to_bytes(2, "big") in packet[end:]:
            return Reason.EXPIRE
        qname = packet[HEADER_OCTETS : end - 4].lower()
        zone = self.zones.find(qname, qtype)
        if zone is None:
            return None
        if not isinstance(zone, ServedZone):
            return Reason.ABSENT
        dnssec_ok = packet[end + 1 : end + 3] == OPT.to_bytes(2, "big") and bool(packet[end + 7] & DO)
        if any(name in self._changed for name in _down_to(qname, zone.zone.apex)):
            return Reason.CHANGED
        answer = lookup(zone.zone, qname, qtype, dnssec_ok)
        moves = any(rrset.type == Type.DNAME for owner, rrset in answer.answer if owner not in (b"", qname))
        return Reason.DNAME if moves else None


def _down_to(qname: bytes, apex: bytes) -> Iterator[bytes]:
    """The name itself and those above it that are below the apex."""
    yield qname
    yield from takewhile(lambda name: name != apex, ancestors(qname))


def _shown(response: bytes | int | Query | None) -> str:
    return response.hex() if isinstance(response, bytes) else repr(response)


@cache
def pair() -> Pair:
    return Pair(table(), secrets=SECRETS)


@cache
def some_names() -> frozenset[bytes]:
    """Of all zones one in ten, and the apex of every other zone."""
    zones = [each.zone for each in table().by_apex.values() if isinstance(each, ServedZone)]
    found = {name for zone in zones for name in zone.names if adler32(name) % 10 == 1}
    return frozenset(found.union(zone.apex for zone in zones[::2]))


class Clients:
    """Clients, one after the other, with cookies of all kinds."""

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._now = NOW

    def next(self, packet: bytes) -> tuple[bytes, Client]:
        """The packet, perhaps with a cookie in the place of its OPT or of its end, and who sends it."""
        random_ = self._random
        self._now += random_.choice(STEPS)
        client = Client(random_.choice(HOSTS), self._now)
        if random_.random() < 0.5:
            return packet, client
        client_cookie = bytes((random_.randrange(4),)) * 8
        moment = client.now // NANOSECONDS - random_.choice((0, 0, 0, 60, 1790, 1860, 3590, 3720, -290, -400))
        cookie, _ = Cookies(random_.choice((SECRETS, SECRETS, SECRETS[1:], FOREIGN))).answer(
            client_cookie, random_.choice((client.host, client.host, HOSTS[0])), moment
        )
        content = random_.choice((cookie, cookie, cookie, client_cookie, cookie[: random_.randrange(25)], cookie * 2))
        if random_.random() < 0.1:
            content = random_.randbytes(random_.randrange(44))
        options = option(10, content)
        options = random_.choice((options, options, options, option(3) + options, options + option(10), options[:-1]))
        edns = opt(payload=random_.choice((512, 1232)), flags=random_.choice((0, 0x8000)), options=options)
        if random_.random() < 0.1:
            return header(counts=(0, 0, 0, 1)) + edns, client
        end = name_end(packet, HEADER_OCTETS) + 4
        if end > len(packet) or not is_request(packet):
            return packet, client
        return packet[:4] + b"\0\1\0\0\0\0\0\1" + packet[12:end] + edns, client


def run(queries: int, seed: int) -> Counter[str]:
    """So many mutated queries. Raises Violation."""
    random_ = random.Random(seed)
    source = endless(random_)
    clients = Clients(random_)
    both = Pair(table(), limit=LIMIT, secrets=SECRETS, changed=some_names())
    outcomes: Counter[str] = Counter()
    for number in range(queries):
        packet, client = clients.next(next(source))
        outcomes[both.check(packet, number, client)] += 1
    if both.cookies is not None:
        outcomes.update({f"cookies: {state.name.lower()}": n for state, n in both.cookies.counts.items()})
    return outcomes


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
    print(
        json.dumps({"queries": share * given.processes, "seconds": seconds, **dict(outcomes.most_common())}, indent=1)
    )


if __name__ == "__main__":
    main()
