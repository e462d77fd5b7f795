"""Small images of real zones, what can become of them, and queries that have the engine read them all over."""

from __future__ import annotations

import random
from functools import cache
from struct import pack_into

from authdns.answer.image import write_image
from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone.zone import Zone
from tests.unit.answer.packets import opt, query
from tests.unit.answer.zones import SIGNED, SOA, Record, signed, zone_from_records

OCTETS_AT = 8  # in an image: how many it has
APEX: list[Record] = [
    ("example.com.", 60, "SOA", SOA),
    ("example.com.", 60, "NS", "ns1.example.com."),
]
RECORDS: list[Record] = [
    *APEX,
    ("ns1.example.com.", 60, "A", "192.0.2.1"),
    ("ns1.example.com.", 60, "AAAA", "2001:db8::1"),
    ("*.wild.example.com.", 60, "SRV", "1 1 443 ns1.example.com."),
    ("child.example.com.", 60, "NS", "ns.child.example.com."),
    ("ns.child.example.com.", 60, "A", "192.0.2.2"),
]
MORE: list[Record] = [
    *RECORDS,
    ("*.wild.example.com.", 60, "MX", "20 a.wild.example.com."),
    ("alias.example.com.", 60, "CNAME", "a.wild.example.com."),
    ("*.loop.example.com.", 60, "CNAME", "a.loop.example.com."),
    ("dn.example.com.", 60, "DNAME", "wild.example.com."),
    ("a.ent.example.com.", 60, "AAAA", "2001:db8::1"),
]
LARGE: list[Record] = [*APEX, ("*.example.com.", 60, "TXT", " ".join(["x" * 200] * 3))]  # to be cut
SERVERS = 120  # of one service: with signatures more than a pointer reaches over
TYPES = (
    Type.A,
    Type.NS,
    Type.CNAME,
    Type.SOA,
    Type.MX,
    Type.TXT,
    Type.SRV,
    Type.DS,
    Type.RRSIG,
    Type.NSEC,
    Type.ANY,
    65280,
)
EXTREMES_16 = (0, 1, 2, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
EXTREMES_32 = (0, 1, 22, 0xFFFF, 0x10000, 0x10001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFEA, 0xFFFFFFFF)
NEAR_THE_END = (0, 1, 2, 12, 16, 22)  # of the image, an offset


@cache
def small_zones() -> dict[str, Zone]:
    zones = {name: zone_from_records("example.com.", records) for name, records in (("plain", MORE), ("large", LARGE))}
    for how in SIGNED:
        zones[how] = zone_from_records("example.com.", signed(RECORDS, how))
        zones[f"large, {how}"] = zone_from_records("example.com.", signed(LARGE, how))
    return zones


@cache
def crowded_zones() -> dict[str, Zone]:
    """In which what goes into an open plan pushes additional records on, some of them out of reach. By their apexes."""
    zones = {}
    for how in SIGNED:
        apex = f"{how}.test."
        records: list[Record] = [(apex, 60, "SOA", SOA), (apex, 60, "NS", f"ns1.{apex}")]
        for service, servers in (("few", 3), ("many", SERVERS)):
            records += [(f"*.{service}.{apex}", 60, "SRV", f"1 1 443 s{number}.{apex}") for number in range(servers)]
        for number in range(SERVERS):
            records += [(f"s{number}.{apex}", 60, "A", "192.0.2.1"), (f"s{number}.{apex}", 60, "AAAA", "2001:db8::1")]
        zones[apex] = zone_from_records(apex, signed(records, how, apex))
    return zones


def crowded_queries() -> list[bytes]:
    return [
        query(names.from_text(f"{front}.{service}.{apex}"), Type.SRV, edns=opt(payload=payload, flags=0x8000))
        for apex in crowded_zones()
        for service in ("few", "many")
        for front in ("a", "q" * 63, "w.x.y.z", "zz", ".".join("abcdefghijklmnopqrstuvwxyz"))
        for payload in (512, 700, 1000, 1232, 2000, 4096)
    ]


@cache
def small_images() -> dict[str, bytes]:
    return {how: bytes(write_image(zone)) for how, zone in small_zones().items()}


@cache
def queries(how: str) -> tuple[bytes, ...]:
    """For each name and a name below it, with the longest next label that there can be."""
    found = []
    for name in small_zones()[how].names:
        below = b"\x3f" + b"q" * 63 + name
        for qname in (name, below, b"\1a" + name):
            for edns in (b"", opt(payload=512, flags=0x8000), opt(payload=4096, flags=0x8000)):
                found += [query(qname, qtype, edns=edns) for qtype in TYPES]
    found += [query(b"\1a" * 121 + names.from_text("example.com."), edns=opt(flags=0x8000))]
    return tuple(found)


def with_flipped_bits(image: bytes, random_: random.Random) -> bytes:
    changed = bytearray(image)
    for _ in range(random_.choice((1, 1, 1, 2, 5))):
        changed[random_.randrange(len(image))] ^= 1 << random_.randrange(8)
    return bytes(changed)


def cut_off(image: bytes, random_: random.Random) -> bytes:
    """It may say that it is whole."""
    cut = bytearray(image[: random_.randrange(len(image))])
    if len(cut) >= OCTETS_AT + 4 and random_.random() < 0.8:
        pack_into("<I", cut, OCTETS_AT, len(cut))
    return bytes(cut)


def with_extremes(image: bytes, random_: random.Random) -> bytes:
    """Two octets somewhere, or four, with what is worst for a count or an offset."""
    changed = bytearray(image)
    at = random_.randrange(len(image) - 4)
    if random_.random() < 0.5:
        pack_into("<H", changed, at, random_.choice(EXTREMES_16))
    else:
        ends = (len(image) - back for back in NEAR_THE_END)
        pack_into("<I", changed, at, random_.choice((*EXTREMES_32, *ends)))
    return bytes(changed)


def with_other_words(image: bytes, random_: random.Random) -> bytes:
    """One to four words of the image, or numbers near them, at other places."""
    changed = bytearray(image)
    for _ in range(random_.randint(1, 4)):
        source, at = random_.randrange(len(image) - 4), random_.randrange(len(image) - 4)
        width = random_.choice((1, 2, 4))
        value = int.from_bytes(image[source : source + width], "little") + random_.choice((0, 0, 1, -1, 2, 6, 12))
        changed[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(changed)


CHANGES = (with_flipped_bits, cut_off, with_extremes, with_other_words)
