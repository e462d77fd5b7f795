"""What a response says: the octets taken apart into rows, names in lower case and without compression.

A reader of its own, because it must be quick (dnspython takes longer than the servers do) and must share nothing with
the code under test. Rdata in which names are not compressed and not lower-cased anyway is taken as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

A, NS, CNAME, SOA, MX, AAAA, SRV, NAPTR, DNAME, OPT, DS = 1, 2, 5, 6, 15, 28, 33, 35, 39, 41, 43
RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, SVCB, HTTPS, ANY = 46, 47, 48, 50, 51, 64, 65, 255

AA, TC, RA, AD = 0x0400, 0x0200, 0x0080, 0x0020
FLAGS = ((AA, "AA"), (TC, "TC"), (RA, "RA"), (AD, "AD"))

# Rdata that holds names: the octets before the first one, and how many names follow each other. Types newer than RFC
# 3597 have names that are neither compressed nor compared without case (§4, §7); spelling is not compared here.
NAMES_IN_RDATA = {
    **dict.fromkeys((NS, CNAME, DNAME, 3, 4, 7, 8, 9, 12, 23), (0, 1)),  # MD, MF, MB, MG, MR, PTR, NSAP-PTR
    **dict.fromkeys((MX, 18, 21, 36, SVCB, HTTPS, 107), (2, 1)),  # AFSDB, RT, KX, LP
    **dict.fromkeys((SOA, 14, 17, 58), (0, 2)),  # MINFO, RP, TALINK
    SRV: (6, 1),
    26: (2, 2),  # PX
    RRSIG: (18, 1),
    24: (18, 1),  # SIG
    NSEC: (0, 1),
}


class Row(NamedTuple):
    """One record."""

    owner: bytes  # wire format, lower case
    ttl: int
    type: int
    rdata: bytes

    def __str__(self) -> str:
        owner = dns.name.from_wire(self.owner, 0)[0].to_text()
        try:
            rrtype = dns.rdatatype.RdataType.make(self.type)
            rdata = dns.rdata.from_wire(dns.rdataclass.IN, rrtype, self.rdata, 0, len(self.rdata)).to_text()
        except (dns.exception.DNSException, ValueError):
            rdata = self.rdata.hex()
        return f"{owner} {self.ttl} {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.type))} {rdata}"

    @property
    def covers(self) -> int:
        """The type that a signature is for; the type itself of anything else."""
        return int.from_bytes(self.rdata[:2], "big") if self.type == RRSIG else self.type


class Message(NamedTuple):
    rcode: str
    flags: int
    question: bytes  # as it was spelled
    answer: list[Row]
    authority: list[Row]
    additional: list[Row]  # without OPT
    edns: int | None  # the flags of OPT


class NotUnderstood(Exception):
    """The octets are not a message."""


def read(wire: bytes) -> Message:
    """Take a response apart; raises NotUnderstood."""
    try:
        return _read(wire)
    except (IndexError, ValueError) as error:
        raise NotUnderstood(f"{error}: {wire.hex()}") from error


def _read(wire: bytes) -> Message:
    flags, questions, *counts = (int.from_bytes(wire[at : at + 2], "big") for at in range(2, 12, 2))
    position, question = 12, b""
    for _ in range(questions):
        _, position = read_name(wire, position)
        position += 4
        question = wire[12:position]
    sections: list[list[Row]] = []
    edns, rcode = None, flags & 15
    for count in counts:
        rows = []
        for _ in range(count):
            owner, position = read_name(wire, position)
            rrtype = int.from_bytes(wire[position : position + 2], "big")
            ttl = int.from_bytes(wire[position + 4 : position + 8], "big")
            start = position + 10
            position = start + int.from_bytes(wire[position + 8 : start], "big")
            if position > len(wire):
                raise ValueError("rdata is cut off")
            if rrtype == OPT:
                edns, rcode = ttl & 0xFFFF, rcode | ttl >> 24 << 4
            else:
                rows.append(Row(owner, ttl, rrtype, rdata_of(wire, rrtype, start, position)))
        sections.append(rows)
    if position != len(wire):
        raise ValueError("octets behind the last record")
    answer, authority, additional = sections
    return Message(dns.rcode.to_text(dns.rcode.Rcode.make(rcode)), flags, question, answer, authority, additional, edns)


def read_name(wire: bytes, position: int) -> tuple[bytes, int]:
    """The name at `position` in lower case, and where it ends."""
    labels, end, octets = [], 0, 1
    while length := wire[position]:
        if length >= 0xC0:
            end = end or position + 2
            target = (length & 0x3F) << 8 | wire[position + 1]
            if target >= position:
                raise ValueError("a pointer that does not point back")
            position = target
        else:
            labels.append(wire[position : position + length + 1])
            position += length + 1
            octets += length + 1
            if octets > 255:
                raise ValueError("a name that is too long")
    return b"".join(labels).lower() + b"\0", end or position + 1


def rdata_of(wire: bytes, rrtype: int, start: int, end: int) -> bytes:
    """The rdata between `start` and `end`, its names written out and in lower case."""
    if rrtype == NAPTR:
        position = start + 4
        for _ in range(3):
            position += wire[position] + 1
        before, names = position - start, 1
    elif rrtype in NAMES_IN_RDATA:
        before, names = NAMES_IN_RDATA[rrtype]
    else:
        return wire[start:end]
    position = start + before
    parts = [wire[start:position]]
    for _ in range(names):
        name, position = read_name(wire, position)
        parts.append(name)
    return b"".join([*parts, wire[position:end]])


def targets(row: Row) -> list[bytes]:
    """The names whose addresses a client needs next, in lower case."""
    if row.type == NS:
        return [row.rdata]
    if row.type == MX:
        return [row.rdata[2:]]
    if row.type == SRV:
        return [row.rdata[6:]]
    if row.type in (SVCB, HTTPS):
        target, _ = read_name(row.rdata, 2)
        return [row.owner if target == b"\0" else target]
    return []
