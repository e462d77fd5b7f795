"""Mutated packets: no exception, no response that is too long, none to a response, and what is sent can be read."""

import random
from collections import Counter

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.executor import ServedZone, UnavailableZone, ZoneTable
from authdns.answer.respond import MAX_TCP_OCTETS, PLAIN_UDP_OCTETS, Chaos, Responder
from authdns.wire import name as names
from authdns.wire.query import Query
from authdns.wire.types import Class, Opcode, Type
from tests.unit.answer.packets import APEX, CASES, header, opt, query, question, soa_record
from tests.unit.answer.zones import zone_from_text

SEED = 4711
MUTATIONS = 20_000
READ_EVERY = 20  # of the responses, this part goes through dnspython: it costs more than all the rest

ZONE = f"""\
www.example.com. 60 A 192.0.2.1
*.example.com. 60 MX 10 www.example.com.
*.wild.example.com. 60 CNAME www.example.com.
dn.example.com. 60 DNAME www.example.com.
first.example.com. 60 DNAME longer.example.com.
longer.example.com. 60 DNAME x.longer.example.com.
child.example.com. 60 NS ns.child.example.com.
ns.child.example.com. 60 A 192.0.2.3
big.example.com. 60 TXT {" ".join(['"' + "x" * 250 + '"'] * 6)}
\\000.example.com. 60 A 192.0.2.4
"""


def responder(*, tcp: bool) -> Responder:
    table = ZoneTable()
    zone = zone_from_text(ZONE)
    table.publish(zone.apex, ServedZone(zone))
    child = zone_from_text("sub.example.com. 60 TXT t", apex="sub.example.com.")
    table.publish(child.apex, ServedZone(child))
    table.publish(b"\4gone\0", UnavailableZone("no such file"))
    return Responder(table, tcp=tcp, chaos=Chaos(identity="i" * 300, version="v"))


RESPONDERS = {tcp: responder(tcp=tcp) for tcp in (False, True)}
SEEDS = [
    *(case.packet for case in CASES),
    *(
        query(names.from_text(text), qtype, edns=edns)
        for text in (
            "a.b.wild.example.com.",
            "a.dn.example.com.",
            "a.first.example.com.",
            "q.child.example.com.",
            "big.example.com.",
            "sub.example.com.",
            "\\000.example.com.",
            "gone.",
            ".",
        )
        for qtype in (Type.A, Type.TXT, Type.DS, Type.ANY)
        for edns in (b"", opt(), opt(payload=4096, flags=0x8000))
    ),
    *(query(APEX, qtype, edns=edns) for qtype in (Type.AXFR, Type.IXFR) for edns in (b"", opt())),
    header(counts=(1, 0, 1, 0)) + question(APEX, Type.IXFR) + soa_record(b"\xc0\x0c"),
    *(query(name, Type.TXT, Class.CH, edns=opt()) for name in (b"\2id\6server\0", b"\7version\4bind\0")),
]
INTERESTING = (0, 1, 0x0C, 0x29, 0x3F, 0x40, 0x80, 0xC0, 0xC1, 0xFA, 0xFC, 0xFF)


def mutated(random_: random.Random) -> bytes:
    packet = bytearray(random_.choice(SEEDS))
    for _ in range(random_.choice((1, 1, 1, 2, 3, 8))):
        position = random_.randrange(len(packet)) if packet else 0
        match random_.randrange(8):
            case 0 if packet:
                packet[position] ^= 1 << random_.randrange(8)
            case 1 if packet:
                packet[position] = random_.choice(INTERESTING)
            case 2 if packet:
                packet[position] = random_.randrange(256)
            case 3:
                del packet[position:]
            case 4:
                del packet[position : position + random_.randrange(1, 5)]
            case 5:
                packet[position:position] = random_.randbytes(random_.choice((1, 2, 11, 64, 300)))
            case 6:
                other = random_.choice(SEEDS)
                packet[position:] = other[min(position, len(other)) :]
            case 7:  # a part twice
                packet[position:position] = packet[position : position + random_.randrange(1, 40)]
    return bytes(packet)


def limit(packet: bytes) -> int:
    """Octets that the asker takes by UDP, as far as any OPT in the packet may say so."""
    return 1232 if b"\0\0\x29" in packet[12:] else PLAIN_UDP_OCTETS


def check(packet: bytes, *, read: bool, tcp: bool) -> str:
    """One packet; returns what became of it, in a word."""
    to = RESPONDERS[tcp]
    response = to.respond(packet)
    if len(packet) < 12 or packet[2] & 0x80:
        assert response is None
        return "silence"
    assert response is not None
    if isinstance(response, Query):
        assert response.qtype in (Type.AXFR, Type.IXFR)
        assert response.qclass == Class.IN
        return "handed back"
    assert len(response) <= (MAX_TCP_OCTETS if tcp else limit(packet))
    assert response[:2] == packet[:2]
    assert response[2] & 0xF8 == packet[2] & 0x78 | 0x80  # QR, and the opcode that was asked
    if read and packet[2] >> 3 & 15 != Opcode.UPDATE:  # of an UPDATE's question dnspython asks more than form
        dns.message.from_wire(response, keyring=False)
    return f"rcode {response[3] & 15}"


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_mutated_packets(tcp: bool) -> None:
    random_ = random.Random(SEED)
    outcomes = Counter(check(mutated(random_), read=number % READ_EVERY == 0, tcp=tcp) for number in range(MUTATIONS))
    # What was sent reaches every rung of the ladder, or nothing was tested.
    expected = {"silence", "handed back", *(f"rcode {rcode}" for rcode in (0, 1, 2, 3, 4, 5, 9))}
    assert expected <= outcomes.keys()
    assert all(outcomes[outcome] > MUTATIONS / 1000 for outcome in expected)


HEADER = b"\x12\x34\0\0\0\1\0\0\0\0\0\1"


@settings(deadline=None, max_examples=500)
@given(st.one_of(st.binary(max_size=600), st.binary(max_size=300).map(lambda tail: HEADER + tail)))
def test_arbitrary_octets(packet: bytes) -> None:
    for tcp in (False, True):
        check(packet, read=True, tcp=tcp)
