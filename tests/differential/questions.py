"""What a zone is asked: every class of question, and the ways to send it.

A class is a position (an owner, a name between owner and apex, below one, beside one, where a wildcard may apply) with
a type (there, not there, or one that is answered specially).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.types import type_from_text, type_to_text
from tests.differential.zones import ZoneText, ancestors
from tests.unit.answer.packets import header, opt, option, question

DO = 0x8000
SPECIAL_TYPES = ("ANY", "DS", "NS", "SOA", "CNAME", "DNAME", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS")
OTHER_TYPES = ("A", "AAAA", "TXT", "MX", "SRV", "HTTPS", "SVCB", "PTR", "NAPTR", "CAA", "TYPE65280", "TYPE731")
BESIDE = (b"\1q", b"\1a", b"\1*", b"\1q\1r", b"\1*\1q", b"\1A\1b", b"\1b\1*", b"\2\0\1", b"\1\xff", b"\1-")
MOST_NAMES = 40  # of one zone


class Mode(NamedTuple):
    """How a question is sent."""

    name: str
    opt: bytes = b""
    tcp: bool = False
    opcode: int = 0
    qclass: int = 1

    @property
    def limit(self) -> int:
        """The octets that a response may have: what was asked for, and not more than servers send (1,232)."""
        if self.tcp:
            return 65_535
        return min(max(int.from_bytes(self.opt[3:5], "big"), 512), 1232) if self.opt else 512


PLAIN, TCP, TCP_DO = Mode("UDP"), Mode("TCP", tcp=True), Mode("TCP, DO", opt(flags=DO), tcp=True)
# Each with the weight that it has in an unsigned and in a signed zone.
MODES = {
    PLAIN: (6, 2),
    Mode("EDNS 1232", opt()): (2, 1),
    Mode("EDNS 512", opt(payload=512)): (1, 1),
    Mode("EDNS 4096", opt(payload=4096)): (1, 1),
    Mode("EDNS 1232, DO", opt(flags=DO)): (2, 9),
    Mode("EDNS 512, DO", opt(payload=512, flags=DO)): (1, 3),
    Mode("EDNS 4096, DO", opt(payload=4096, flags=DO)): (1, 2),
    Mode("EDNS 0", opt(payload=0)): (0.2, 0.2),
    Mode("EDNS 700, DO", opt(payload=700, flags=DO)): (0.5, 2),
    Mode("EDNS, options", opt(options=option(65001, b"\0\xff") + option(12, bytes(7)))): (0.2, 0.2),
    Mode("class CH", qclass=3): (0.1, 0.1),
    Mode("class HS", qclass=4): (0.1, 0.1),
    Mode("class NONE, EDNS", opt(), qclass=254): (0.1, 0.1),
    Mode("class 65280, DO", opt(flags=DO), qclass=65280): (0.1, 0.1),
    Mode("opcode 1", opcode=1): (0.1, 0.1),
    Mode("opcode 9, EDNS", opt(), opcode=9): (0.1, 0.1),
    Mode("EDNS 1", opt(version=1)): (0.1, 0.1),
    TCP: (0.5, 0.5),
    TCP_DO: (0.5, 1.5),
}
HEADER_FLAGS = (0, 0, 0, 0, 0x0100, 0x0010, 0x0020, 0x0130, 0x0040)  # RD, CD, AD, all three, Z


class Question(NamedTuple):
    name: bytes  # wire format, as it is spelled
    type: int
    mode: Mode
    flags: int = 0

    def packet(self, ident: int) -> bytes:
        head = header(self.flags, (1, 0, 0, bool(self.mode.opt)), self.mode.opcode)
        return ident.to_bytes(2, "big") + head[2:] + question(self.name, self.type, self.mode.qclass) + self.mode.opt

    def __str__(self) -> str:
        return f"{names.to_text(self.name)} {type_to_text(self.type)} ({self.mode.name})"


def questions(zone: ZoneText, random: Random, each_name: int = 4) -> Iterator[Question]:
    """Questions to one zone: for each of its names and of those around them the types there and `each_name` others."""
    there: dict[bytes, set[str]] = {}
    for record in zone.records:
        there.setdefault(names.from_text(zone.absolute(record.owner)).lower(), set()).add(record.type)
    weights = [weight[zone.signed is not None] for weight in MODES.values()]
    for name in asked_names(zone, random):
        asked = set(random.sample(SPECIAL_TYPES, each_name // 2)) | set(random.sample(OTHER_TYPES, each_name // 2))
        for rrtype in sorted(asked | there.get(name.lower(), set())):
            mode = random.choices(list(MODES), weights)[0]
            yield Question(respelled(name, random), type_from_text(rrtype), mode, random.choice(HEADER_FLAGS))


def asked_names(zone: ZoneText, random: Random) -> list[bytes]:
    """All owners and what lies between them and the apex, names beside and below them, targets; not more than are
    reasonable for one zone."""
    apex = names.from_text(zone.origin)
    found: dict[bytes, None] = {}

    def add(name: bytes) -> None:
        if len(name) <= names.MAX_NAME_OCTETS:
            found.setdefault(name)

    for text in dict.fromkeys(above for record in zone.records for above in ancestors(record.owner)):
        name = names.from_text(zone.absolute(text))
        add(name)
        for labels in BESIDE:
            if random.random() < 0.3:
                add(labels + name)
        if len(name) > len(apex):
            if name[0] < 63 and random.random() < 0.4:  # beside it: the neighbour in canonical order
                add(bytes((name[0] + 1,)) + name[1 : name[0] + 1] + b"\0" + name[name[0] + 1 :])
            if random.random() < 0.1:
                add(b"\1!" + name[name[0] + 1 :])
        if random.random() < 0.04:
            add(longest(name))
    chosen = list(found)
    return chosen if len(chosen) <= MOST_NAMES else [chosen[0], *random.sample(chosen, MOST_NAMES - 1)]


def longest(name: bytes) -> bytes:
    """The name with labels in front, as long as names can be."""
    while (room := names.MAX_NAME_OCTETS - len(name)) > 1:
        length = min(63, room - 1) - (room == 65)
        name = bytes((length,)) + b"y" * length + name
    return name


def respelled(name: bytes, random: Random) -> bytes:
    """Now and then in random case."""
    if random.random() < 0.85:
        return name
    letters = bytearray(name)
    for at, octet in enumerate(letters):
        if 0x61 <= octet <= 0x7A and random.random() < 0.5:
            letters[at] -= 0x20
    return bytes(letters)
