"""Packets to begin with, and what can become of them.

The seeds are the header table and more of what strangers send; a mutation changes octets without understanding them,
or changes one thing with understanding (a name, a type, a record added and counted), which gets deeper.
"""

from __future__ import annotations

import random

from authdns.wire import name as names
from authdns.wire.types import Class, Flag, Opcode, Type
from tests.fuzz.zones import SIGNED
from tests.unit.answer.packets import APEX, CASES, WWW, header, opt, option, query, question, record, soa_record, tsig

MAX_SEED_OCTETS = 4096

IN_SIGNED_ZONES = (
    "",
    "nx.",
    "www.",
    "nx.www.",
    "alias.",
    "q.wild.",
    "q.wildalias.",
    "q.dn.",
    "secure.",
    "q.secure.",
    "insecure.",
    "q.insecure.",
    "insecureent.",
    "q.b.insecureent.",
    "ent.",
    "b.ent.",
    "d.d.d.d.d.d.d.d.d.d.deep.",
    "q.d.d.d.d.d.d.d.d.d.d.deep.",
    "big.",
    r"\000\000.",
    r"\255.zz.",
)
NAMES = [
    names.from_text(text)
    for text in (
        ".",
        "com.",
        "example.com.",
        "www.example.com.",
        "nx.www.example.com.",
        "mx.example.com.",
        "a.b.wild.example.com.",
        "loop.example.com.",
        "x.y.own.example.com.",
        "dn.example.com.",
        "a.dn.example.com.",
        "a.first.example.com.",
        "a.b.c.longer.example.com.",
        "sub.example.com.",
        "t.sub.example.com.",
        "child.example.com.",
        "q.child.example.com.",
        "ns.other.example.com.",
        "ent.example.com.",
        "b.ent.example.com.",
        "svc.example.com.",
        "big.example.com.",
        "huge.example.com.",
        "many.example.com.",
        r"\000.example.com.",
        r"a\.b.example.com.",
        "d." * 90 + "end.example.com.",
        "d." * 30 + "d.example.com.",
        "a." * 121 + "example.com.",
        "x" * 63 + "." + "y" * 63 + "." + "z" * 63 + ".example.com.",
        "1.168.192.in-addr.arpa.",
        "gone.",
        "x.gone.",
        "id.server.",
        "hostname.bind.",
        "version.bind.",
        "example.org.",
        *(f"{labels}{zone}." for zone in SIGNED for labels in IN_SIGNED_ZONES),
    )
]
TYPES = (0, 1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 41, 43, 46, 47, 48, 50, 51, 64, 65, 249, 250, 251, 252, 253, 254, 255)
TYPES_OF_ANY_SIZE = (256, 32769, 65280, 65535)
CLASSES = (0, 1, 3, 4, 254, 255)
OPTIONS = (
    b"",
    option(3),  # NSID
    option(8, b"\0\1\x18\0\xc0\0\2"),  # client subnet
    option(10, b"12345678"),
    option(10, b"12345678" + b"abcdefgh12345678"),
    option(10, b"short"),
    option(11, b"\0\x64"),  # keepalive
    option(12, bytes(100)),
    option(15, b"\0\0"),
    option(65001) * 64,
    option(65001) * 65,
    b"\0\x0a\0\xff",
)
OPTS = (
    opt(),
    opt(payload=0),
    opt(payload=512),
    opt(payload=4096, flags=0x8000),
    opt(payload=65535, flags=0xFFFF),
    opt(version=1),
    *(opt(options=options) for options in OPTIONS),
    *(opt(flags=0x8000, options=options) for options in OPTIONS),
)
TSIGS = (
    tsig(),
    tsig(owner=b"\xc0\x0c"),
    tsig(owner=b"\3key\xc0\x10"),
    tsig(owner=NAMES[28], algorithm=NAMES[29]),
    tsig(mac=b""),
    tsig(mac=bytes(600), other=bytes(6)),
    tsig(algorithm=b"\x08hmac-md5\x07sig-alg\x03reg\x03int\0"),
)
MANY_LABELS = NAMES[28]
UPDATE = header(counts=(1, 1, 1, 0), opcode=Opcode.UPDATE) + question(APEX, Type.SOA)
SEEDS: list[bytes] = [
    *(case.packet for case in CASES),
    *(query(name, qtype, edns=edns) for name in NAMES for qtype in (1, 43, 255) for edns in (b"", opt(flags=0x8000))),
    *(query(WWW, qtype, edns=opt()) for qtype in (*TYPES, *TYPES_OF_ANY_SIZE)),
    *(query(edns=edns) for edns in (*OPTS, *TSIGS)),
    *(query(NAMES[21 + i % 3], Type.TXT, edns=e + t, more=1) for i, e in enumerate(OPTS[:6]) for t in TSIGS),
    *(query(name, Type.TXT, Class.CH, edns=opt()) for name in (b"\2id\6server\0", b"\7version\4bind\0")),
    *(query(APEX, qtype, edns=edns) for qtype in (Type.AXFR, Type.IXFR) for edns in (b"", opt(), tsig())),
    *(query(name, Type.SOA, edns=opt(512 + i, options=option(9))) for name in (APEX, WWW) for i in range(16)),
    *(header(counts=(1, 0, 1, 0)) + question(APEX, Type.IXFR) + soa_record(owner, serial)
      for owner in (APEX, b"\xc0\x0c", b"\xc0\x00", MANY_LABELS) for serial in (0, 6, 7, 8, 2**32 - 1)),
    header(counts=(1, 0, 1, 2)) + question(APEX, Type.IXFR) + soa_record(b"\xc0\x0c") + opt() + tsig(),
    header(Flag.AA, (1, 1, 0, 2), Opcode.NOTIFY) + question(APEX, Type.SOA) + soa_record(b"\xc0\x0c") + opt() + tsig(),
    UPDATE + record(WWW, Type.ANY, Class.ANY, 0, b"") + record(b"\xc0\x0c", Type.A, Class.IN, 60, b"\1\2\3\4"),
    UPDATE + record(WWW, Type.A, Class.NONE, 0, b"\1\2\3\4") + record(WWW, Type.A, Class.NONE, 0, b"\1\2\3\4"),
    header() + b"\xc0\x0c\0\1\0\1",
    header() + b"\1a\xc0\x0c\0\1\0\1",
    header() + b"".join((0xC000 | 12 + i).to_bytes(2, "big") for i in range(0, 1000, 2)),
    query(edns=tsig(owner=b"".join((0xC000 | 45 - i).to_bytes(2, "big") for i in range(0, 32, 2)))),
    header(counts=(65535, 65535, 65535, 65535)) + question() * 40,
    query() + bytes(3000),
    query(edns=opt(options=option(65001, bytes(3000)))),
    header(opcode=6, counts=(0, 0, 0, 0)) + b"\0\1\0\x08" + bytes(8),  # DSO
]  # fmt: skip
INTERESTING = (0, 1, 0x0C, 0x29, 0x3F, 0x40, 0x80, 0xC0, 0xC1, 0xFA, 0xFC, 0xFF)
LENGTHS = (1, 2, 11, 64, 300)


def mutated(random_: random.Random, seeds: list[bytes] = SEEDS) -> bytes:
    """A seed with one to six changes."""
    packet = bytearray(seeds[int(random_.random() * len(seeds))])
    for _ in range((1, 1, 1, 1, 1, 2, 2, 6)[int(random_.random() * 8)]):
        change(random_, packet, seeds)
    return bytes(packet)


def change(random_: random.Random, packet: bytearray, seeds: list[bytes] = SEEDS) -> None:
    """One change, in place."""
    below = random_.random
    if len(packet) < 12:
        packet += random_.randbytes(int(below() * 20))
        return
    position = int(below() * len(packet))
    match int(below() * 24):  # half of them with understanding
        case 0:
            packet[position] ^= 1 << int(below() * 8)
        case 1:
            packet[position] = INTERESTING[int(below() * len(INTERESTING))]
        case 2:
            packet[position] = int(below() * 256)
        case 3:
            del packet[position:]
        case 4:
            del packet[position : position + 1 + int(below() * 4)]
        case 5:
            packet[position:position] = random_.randbytes(LENGTHS[int(below() * len(LENGTHS))])
        case 6:  # the end of another one
            packet[position:] = random_.choice(seeds)[position:]
        case 7:  # a part twice
            packet[position:position] = packet[position : position + 1 + int(below() * 40)]
        case 8:  # a flag or the opcode
            packet[2 + int(below() * 2)] ^= 1 << int(below() * 8)
        case 9:  # a count
            packet[5 + 2 * int(below() * 4)] = (0, 1, 1, 2, 3, 255)[int(below() * 6)]
        case 10:  # a pointer
            packet[position : position + 2] = (0xC000 | int(below() * (len(packet) + 4))).to_bytes(2, "big")
        case 11:  # the same name, spelled otherwise
            packet[12:] = packet[12:].swapcase()
        case _:
            _change_meaning(random_, packet)


def _change_meaning(random_: random.Random, packet: bytearray) -> None:
    end = 12
    while end < len(packet) and packet[end]:
        end += packet[end] + 1
    end += 1
    if end + 4 > len(packet):
        packet[12:] = question()
        return
    match int(random_.random() * 6):
        case 0:
            packet[12:end] = random_.choice(NAMES)
        case 1:
            label = random_.choice((b"a", b"*", b"\0", b"x" * 63, b"nx"))
            packet[12:12] = bytes((len(label),)) + label
        case 2:
            packet[end : end + 2] = random_.choice(TYPES).to_bytes(2, "big")
        case 3:
            packet[end : end + 2] = random_.randbytes(2)
        case 4:
            packet[end + 2 : end + 4] = random_.choice(CLASSES).to_bytes(2, "big")
        case _:
            packet += random_.choice((*OPTS, *TSIGS))
            packet[11] = (packet[11] + 1) & 255
