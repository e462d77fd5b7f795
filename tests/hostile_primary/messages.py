"""Messages of a primary as octets, right or wrong: nothing here asks whether they make sense."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from authdns.wire.types import Class, Flag, Type
from authdns.zone.records import Record

ANSWER = Flag.QR | Flag.AA
TTL = 300
MAX_POINTER = 0x3FFF


def name(text: str) -> bytes:
    return dns.name.from_text(text).to_wire() or b""


def record(owner: str, rdtype: str, text: str, ttl: int = TTL) -> Record:
    """From a line of a zone file; names are absolute."""
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rdtype), text).to_wire()
    assert rdata is not None
    return Record(name(owner), int(dns.rdatatype.from_text(rdtype)), ttl, rdata)


def soa(apex: bytes, serial: int, *, refresh: int = 86400, retry: int = 7200, expire: int = 2419200) -> Record:
    numbers = b"".join(number.to_bytes(4, "big") for number in (serial, refresh, retry, expire, TTL))
    return Record(apex, Type.SOA, TTL, b"\3ns1" + apex + b"\4host" + apex + numbers)


def serial_of(each: Record) -> int:
    return int.from_bytes(each.rdata[-20:-16], "big")


def raw_record(owner: bytes, rrtype: int, rdata: bytes, *, rrclass: int = Class.IN, ttl: int = TTL) -> bytes:
    fixed = rrtype.to_bytes(2, "big") + rrclass.to_bytes(2, "big") + ttl.to_bytes(4, "big")
    return owner + fixed + len(rdata).to_bytes(2, "big") + rdata


class Writer:
    """Records one after the other, their owners compressed against everything before as other primaries do it."""

    def __init__(self, start: int, question: bytes) -> None:
        self.octets = bytearray()
        self._start = start
        self._known: dict[bytes, int] = {}
        if question:
            self._remember(question[:-4], start - len(question))

    def _remember(self, whole: bytes, at: int) -> None:
        end = 0
        while whole[end] and at + end <= MAX_POINTER:
            self._known.setdefault(whole[end:], at + end)
            end += whole[end] + 1

    def add(self, each: Record | bytes) -> None:
        if isinstance(each, bytes):
            self.octets += each
            return
        at = self._start + len(self.octets)
        owner = each.owner
        end = 0
        while owner[end] and owner[end:] not in self._known:
            end += owner[end] + 1
        written = owner
        if owner[end]:
            written = owner[:end] + (0xC000 | self._known[owner[end:]]).to_bytes(2, "big")
        self._remember(owner, at)
        self.octets += raw_record(written, each.type, each.rdata, ttl=each.ttl)


def message(
    ident: int,
    question: bytes,
    records: Iterable[Record | bytes] = (),
    *,
    flags: int = ANSWER,
    rcode: int = 0,
    count: int | None = None,
    questions: int | None = None,
    additional: Sequence[bytes] = (),
) -> bytes:
    """`records` may be octets as they stand. `count`, `questions`: what the header says of them."""
    writer = Writer(12 + len(question), question)
    number = 0
    for each in records:
        writer.add(each)
        number += 1
    counts = (
        bool(question) if questions is None else questions,
        number if count is None else count,
        0,
        len(additional),
    )
    head = (ident, flags | rcode, *counts)
    return b"".join((*(word.to_bytes(2, "big") for word in head), question, bytes(writer.octets), *additional))


def framed(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets


def in_messages(records: Sequence[Record], per_message: int) -> list[Sequence[Record]]:
    return [records[at : at + per_message] for at in range(0, len(records), per_message)]
