"""Messages of a primary: read as dnspython reads them, or refused with a reason, at a cost in line with their size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.transfer.reading import MAX_TTL, Answer, BadMessage, read_answer
from authdns.wire.message import EXPIRE, opt_record
from authdns.wire.query import MAX_POINTERS
from authdns.wire.tsig import Tsig, tsig_record
from authdns.wire.types import Class, Flag, Type
from authdns.zone.records import Record
from tests.hostile_primary.messages import ANSWER, message, name, raw_record, record, soa

IDENT = 0x1234
APEX = name("example.com.")
AXFR = APEX + b"\0\xfc\0\1"
SOA = APEX + b"\0\6\0\1"
ADDRESS = b"\1\2\3\4"
MAX_MESSAGE = 65535


def read(wire: bytes, question: bytes = AXFR) -> Answer:
    return read_answer(wire, IDENT, question)


def refused(wire: bytes, question: bytes = AXFR) -> str:
    with pytest.raises(BadMessage) as error:
        read(wire, question)
    return str(error.value)


def with_records(*records: Record | bytes, **changes: Any) -> bytes:
    return message(IDENT, AXFR, records, **changes)


def after(*records: Record | bytes) -> int:
    """Where the next record begins."""
    return len(with_records(*records))


def pointer(to: int) -> bytes:
    return (0xC000 | to).to_bytes(2, "big")


RECORDS = [
    soa(APEX, 5),
    record("example.com.", "NS", "ns1.example.com."),
    record("example.com.", "MX", "10 mail.example.com."),
    record("Www.Example.COM.", "CNAME", "host.example.com."),
    record("a.b.c.example.com.", "PTR", "b.c.example.com."),
    record("txt.example.com.", "TXT", '"one" "two"'),
    record("v6.example.com.", "AAAA", "2001:db8::1"),
    record("_s._tcp.example.com.", "SRV", "1 2 3 host.example.com."),
    record("n.example.com.", "NAPTR", '1 2 "s" "E2U+sip" "!x!y!" .'),
]


def meant(records: list[Record]) -> list[tuple[bytes, int, int, bytes]]:
    return [(owner.lower(), rrtype, ttl, rdata) for owner, rrtype, ttl, rdata in records]


def as_dnspython_reads(wire: bytes) -> list[tuple[bytes, int, int, bytes]]:
    parsed = dns.message.from_wire(wire, one_rr_per_rrset=True, keyring=False)
    return [
        (
            rrset.name.canonicalize().to_wire() or b"",
            int(rrset.rdtype),
            rrset.ttl,
            rdata.to_wire(origin=dns.name.root) or b"",
        )
        for rrset in parsed.answer
        for rdata in rrset
    ]


# --- what is read -----------------------------------------------------------------------------------------------------


def test_what_dnspython_writes_is_read() -> None:
    """It compresses owners, and the names in rdata where RFC 1035 allows that."""
    response = dns.message.Message(id=IDENT)
    response.flags = ANSWER
    response.question.append(dns.rrset.RRset(dns.name.from_text("example.com."), dns.rdataclass.IN, dns.rdatatype.AXFR))
    for owner, rrtype, ttl, rdata in RECORDS:
        written, _ = dns.name.from_wire(owner, 0)
        parsed = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrtype), rdata, 0, len(rdata))
        response.answer.append(dns.rrset.from_rdata(written, ttl, parsed))
    wire = response.to_wire()
    assert len(wire) < sum(len(each.owner) + 10 + len(each.rdata) for each in RECORDS)
    found = read(wire)
    assert meant(found.records) == meant(RECORDS) == as_dnspython_reads(wire)
    assert (found.rcode, found.authoritative, found.edns, found.tsig) == (0, True, None, None)


def test_owners_keep_their_spelling() -> None:
    assert read(with_records(*RECORDS)).records == RECORDS


# The rdata of each type in which names may be compressed (RFC 3597 §4), with N for a name.
COMPRESSED: dict[str, list[bytes | None]] = {
    **{rdtype: [None] for rdtype in ("NS", "MD", "MF", "CNAME", "MB", "MG", "MR", "PTR", "DNAME")},
    "SOA": [None, None, bytes(20)],
    "MINFO": [None, None],
    "RP": [None, None],
    "MX": [b"\0\1", None],
    "AFSDB": [b"\0\1", None],
    "RT": [b"\0\1", None],
    "KX": [b"\0\1", None],
    "PX": [b"\0\1", None, None],
    "SRV": [b"\0\1\0\2\0\3", None],
    "NAPTR": [b"\0\1\0\2\1s\0\3a!b", None],
    "SIG": [bytes(18), None, b"signature"],
    "NXT": [None, b"\x60\0"],
}
OPAQUE_TO_DNSPYTHON = {"MD", "MF", "MB", "MG", "MR", "MINFO", "SIG", "NXT"}
NOT_READ_BY_DNSPYTHON = OPAQUE_TO_DNSPYTHON | {"DNAME", "KX"}  # where newer releases take no pointers


@pytest.mark.parametrize("rdtype", COMPRESSED)
def test_names_in_rdata_are_written_out(rdtype: str) -> None:
    """Each of them a label and a pointer to the question, and a whole pointer."""
    rrtype = int(dns.rdatatype.from_text(rdtype))
    for octets, written_out in ((b"\4host" + pointer(12), b"\4host" + APEX), (pointer(12), APEX)):
        parts = COMPRESSED[rdtype]
        wire = with_records(
            raw_record(b"\1x" + pointer(12), rrtype, b"".join(octets if each is None else each for each in parts))
        )
        expected = b"".join(written_out if each is None else each for each in parts)
        assert read(wire).records == [Record(b"\1x" + APEX, rrtype, 300, expected)]
        if rdtype not in NOT_READ_BY_DNSPYTHON:
            assert as_dnspython_reads(wire) == [(b"\1x" + APEX, rrtype, 300, expected)]


def test_a_name_in_rdata_is_known_to_the_records_behind_it() -> None:
    at = after() + 2 + 10  # of the target
    wire = with_records(
        raw_record(pointer(12), Type.NS, b"\3ns1" + pointer(12)), raw_record(pointer(at), Type.A, ADDRESS)
    )
    assert read(wire).records[1] == Record(b"\3ns1" + APEX, Type.A, 300, ADDRESS)
    assert meant(read(wire).records) == as_dnspython_reads(wire)


@pytest.mark.parametrize("rdtype", ["RRSIG", "NSEC", "SVCB", "HTTPS", "LP", "NSAP-PTR"])
def test_names_in_newer_types_are_not_compressed(rdtype: str) -> None:
    rrtype = int(dns.rdatatype.from_text(rdtype))
    rdata = {"RRSIG": bytes(18), "SVCB": b"\0\1", "HTTPS": b"\0\1", "LP": b"\0\1"}.get(rdtype, b"") + pointer(12)
    assert "are not those of its type" in refused(with_records(raw_record(pointer(12), rrtype, rdata)))


def test_what_looks_like_a_pointer_in_other_rdata_is_none() -> None:
    opaque = raw_record(pointer(12), 65280, pointer(12))
    assert read(with_records(opaque)).records[0].rdata == pointer(12)


def test_a_ttl_with_the_highest_bit_is_0() -> None:
    wire = with_records(raw_record(APEX, Type.A, ADDRESS, ttl=MAX_TTL), raw_record(APEX, Type.A, ADDRESS, ttl=1 << 31))
    assert [each.ttl for each in read(wire).records] == [MAX_TTL, 0]


def test_the_question_may_be_missing_or_spelled_otherwise() -> None:
    assert read(message(IDENT, b"", RECORDS)).records == RECORDS
    assert read(message(IDENT, APEX.swapcase() + AXFR[-4:], RECORDS)).records == RECORDS


def test_opt_and_tsig_are_read_and_name_servers_passed_over() -> None:
    tsig = tsig_record(Tsig(name("key."), name("hmac-sha256."), 1, 300, IDENT), bytes(32))
    others = [raw_record(name("ns1.example.com."), Type.A, ADDRESS)] * 3
    option = EXPIRE.to_bytes(2, "big") + b"\0\4\0\0\0\x2a"
    wire = message(IDENT, SOA, [soa(APEX, 1)], additional=[*others, opt_record(1232, 0, False, option), tsig])
    found = read(wire, SOA)
    assert found.edns is not None
    assert found.edns.option(EXPIRE) == b"\0\0\0\x2a"
    assert found.tsig is not None
    assert (found.tsig.key, found.tsig.begins_at) == (name("key."), len(wire) - len(tsig))
    authority = raw_record(APEX, Type.NS, name("ns1.example.com."))
    plain = message(IDENT, SOA, [soa(APEX, 1), authority])
    assert read(plain[:7] + b"\1\0\1" + plain[10:], SOA).records == [soa(APEX, 1)]


# --- what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"", "a message of 0 octets, shorter than a header"),
        (bytes(11), "a message of 11 octets"),
        (message(IDENT + 1, AXFR), "has the id 4661, not 4660"),
        (message(IDENT, AXFR, flags=Flag.AA), "no answer to a query"),
        (message(IDENT, AXFR, flags=ANSWER | 4 << 11), "no answer to a query"),
        (message(IDENT, AXFR, flags=ANSWER | 15 << 11), "no answer to a query"),
        (message(IDENT, AXFR, flags=ANSWER | Flag.TC), "cut off (TC)"),
        (message(IDENT, SOA), "another question"),
        (message(IDENT, AXFR[:-1] + b"\3"), "another question"),
        (message(IDENT, name("example.org.") + AXFR[-4:]), "another question"),
        (message(IDENT, b"\3www" + AXFR), "another question"),
        (message(IDENT, AXFR, questions=2), "another question"),
        (message(IDENT, AXFR)[:20], "another question"),
        (message(IDENT, b"", questions=1), "another question"),
        (with_records(count=1), "cut off"),
        (with_records() + b"\0", "1 octets behind the end"),
        (with_records(raw_record(APEX, Type.A, ADDRESS, rrclass=Class.CH)), "is of class 3, not IN"),
        (with_records(raw_record(APEX, Type.A, ADDRESS, rrclass=0)), "is of class 0, not IN"),
        (with_records(raw_record(APEX, Type.A, b"\1\2\3")), "are not those of its type"),
        (with_records(raw_record(APEX, Type.TXT, b"")), "are not those of its type"),
        (with_records(raw_record(APEX, Type.NS, APEX + b"x")), "are not those of its type"),
        (with_records(raw_record(APEX, Type.NS, b"")), "cut off"),
        (with_records(raw_record(APEX, Type.NS, b"\1a"), raw_record(APEX, Type.A, ADDRESS)), "beyond the end"),
        (with_records(raw_record(APEX, 35, b"\0\1\0\2\1s")), "cut off"),
        (with_records(raw_record(APEX, Type.A, ADDRESS))[:-1], "a record is cut off"),
        (with_records(APEX[:-1]), "cut off"),
    ],
)
def test_what_is_refused(wire: bytes, reason: str) -> None:
    assert reason in refused(wire)


@pytest.mark.parametrize("rrtype", [0, Type.OPT, Type.TKEY, Type.TSIG, Type.IXFR, Type.AXFR, Type.ANY, 128, 200])
def test_types_that_no_zone_holds(rrtype: int) -> None:
    assert "a type that no zone holds" in refused(with_records(raw_record(APEX, rrtype, b"\1a")))


@pytest.mark.parametrize("section", [8, 10])
def test_other_sections_are_looked_at_as_well(section: int) -> None:
    wire = bytearray(with_records(raw_record(APEX, Type.A, b"\1\2\3")))
    wire[7], wire[section + 1] = 0, 1 if section == 8 else 3
    assert refused(bytes(wire))


def test_two_opts_and_a_tsig_that_is_not_last() -> None:
    opt = opt_record(1232, 0, False)
    tsig = tsig_record(Tsig(name("key."), name("hmac-sha256."), 1, 300, IDENT), bytes(32))
    assert "cannot be read" in refused(message(IDENT, AXFR, additional=[opt, opt]))
    assert "cannot be read" in refused(message(IDENT, AXFR, additional=[tsig, opt]))
    assert refused(message(IDENT, AXFR, additional=[opt, tsig, opt]))


@pytest.mark.parametrize("to", [0, 11, after(), after() + 1, after() + 2, 0x3FFF])
def test_pointers_lead_backward(to: int) -> None:
    for owner in (pointer(to), b"\1a" + pointer(to)):
        if to < after() + len(owner) - 2 and to >= 12:
            continue
        assert "does not lead backward" in refused(with_records(raw_record(owner, Type.A, ADDRESS)))


@pytest.mark.parametrize("octet", [0x40, 0x80, 0xBF])
def test_label_types_that_are_none(octet: int) -> None:
    assert "unknown label type" in refused(with_records(raw_record(bytes((octet, 12)), Type.A, ADDRESS)))


def test_a_label_that_a_pointer_leads_into_its_own_middle() -> None:
    """`a` and then a pointer to that `a`: a name without end."""
    assert "compression pointers" in refused(with_records(raw_record(b"\1a" + pointer(after()), Type.A, ADDRESS)))


def chained(pointers: int) -> bytes:
    """An owner that is so many pointers away from its labels."""
    at = after() + 12
    chain = b"".join(pointer(to) for to in (12, *(at + 2 * i for i in range(pointers - 2))))
    return with_records(
        raw_record(pointer(12), 65280, chain), raw_record(pointer(at + 2 * (pointers - 2)), Type.A, ADDRESS)
    )


def test_so_many_pointers_are_followed() -> None:
    assert read(chained(MAX_POINTERS)).records[1].owner == APEX
    assert f"more than {MAX_POINTERS} compression pointers" in refused(chained(MAX_POINTERS + 1))
    assert "more than" in refused(chained(8000))


def test_each_name_may_be_a_label_before_the_one_before() -> None:
    """As a tree of fifty levels is compressed: each pointer leads to a name that was read already."""
    records: list[Record | bytes] = []
    at, before = 12, after()
    for _ in range(50):
        records.append(raw_record(b"\1a" + pointer(at), Type.A, ADDRESS))
        at, before = before, after(*records)
    assert read(with_records(*records)).records[-1].owner == b"\1a" * 50 + APEX


def test_names_of_255_octets_and_of_one_more() -> None:
    room = 255 - len(APEX)
    labels = b"\x3f" + b"x" * 63 + b"\x3f" + b"y" * 63 + b"\x3f" + b"z" * 63
    last = room - len(labels)
    for octets, fits in ((last, True), (last + 1, False)):
        owner = labels + bytes((octets - 1,)) + b"w" * (octets - 1)
        for wire in (
            with_records(raw_record(owner + pointer(12), Type.A, ADDRESS)),
            with_records(raw_record(owner + APEX, Type.A, ADDRESS)),
            with_records(raw_record(APEX, Type.NS, owner + pointer(12))),
        ):
            if fits:
                assert len(max((read(wire).records[0].owner, read(wire).records[0].rdata), key=len)) == 255
            else:
                assert "longer than 255 octets" in refused(wire)


def test_no_record_becomes_larger_than_rdata_can_be() -> None:
    """The one with the most to gain: all of a message, and a signer of two octets that is one of 255."""
    apex = b"".join(b"\x3f" + bytes((letter,)) * 63 for letter in b"xyz") + b"\x3d" + b"w" * 61 + b"\0"
    assert len(apex) == 255
    question = apex + AXFR[-4:]
    rdata = bytes(18) + pointer(12)
    rdata += bytes(MAX_MESSAGE - len(message(IDENT, question)) - 12 - len(rdata))
    wire = message(IDENT, question, [raw_record(pointer(12), Type.SIG, rdata)])
    assert len(wire) == MAX_MESSAGE
    assert len(rdata) < len(read(wire, question).records[0].rdata) <= 65535


# --- anything at all --------------------------------------------------------------------------------------------------

WHOLE = message(
    IDENT,
    AXFR,
    [*RECORDS, raw_record(b"\1x" + pointer(12), Type.MX, b"\0\1\4mail" + pointer(12))],
    additional=[opt_record(1232, 0, False), tsig_record(Tsig(name("k."), name("hmac-sha256."), 1, 300, 1), bytes(32))],
)


def only_bad_message(wire: bytes) -> Answer | None:
    try:
        return read(wire)
    except BadMessage:
        return None


def test_a_message_that_is_cut_anywhere_is_refused() -> None:
    assert read(WHOLE).tsig is not None
    for end in range(len(WHOLE)):
        assert only_bad_message(WHOLE[:end]) is None, end


def test_every_single_bit() -> None:
    """What is read all the same, dnspython reads too, and as the same records."""
    read_still = 0
    for bit in range(len(WHOLE) * 8):
        wire = bytearray(WHOLE)
        wire[bit >> 3] ^= 1 << (bit & 7)
        found = only_bad_message(bytes(wire))
        read_still += found is not None
    assert 100 < read_still < len(WHOLE) * 8


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_message_with_several_changes(data: st.DataObject) -> None:
    wire = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(wire) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                wire[at] = data.draw(st.integers(0, 255))
            case 1:
                wire[at : at + 2] = pointer(data.draw(st.integers(0, len(wire) + 2)))
            case 2:
                del wire[at : at + data.draw(st.integers(1, 9))]
            case _:
                wire[at:at] = data.draw(st.binary(max_size=9))
        if not wire:
            break
    found = only_bad_message(bytes(wire))
    if found is not None:
        for owner, _, ttl, rdata in found.records:
            assert 0 < len(owner) <= 255
            assert 0 <= ttl <= MAX_TTL
            assert len(rdata) <= 65535


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_octets_behind_a_header(octets: bytes) -> None:
    only_bad_message(message(IDENT, AXFR, [octets], count=3))


# --- the cost ---------------------------------------------------------------------------------------------------------


def cost_of(wire: bytes) -> int:
    """Lines of Python that are executed: each does a bounded amount of work on at most 255 octets, or copies once."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        only_bad_message(wire)
    finally:
        sys.settrace(before)
    return lines


def filled(each: Callable[[int], bytes]) -> bytes:
    """A message of 64 KiB; `each` gives a record from its number."""
    parts, octets = [], after()
    number = 0
    while octets + len(part := each(number)) <= MAX_MESSAGE:
        parts.append(part)
        octets += len(part)
        number += 1
    return with_records(*parts)


def plain() -> bytes:
    """As zones are: small owners below the apex, addresses."""
    return filled(lambda number: raw_record(b"\4%04d" % (number % 10_000) + pointer(12), Type.A, ADDRESS))


MANY_LABELS = b"\1a" * 115
_START = after()
EXPENSIVE: dict[str, Callable[[], bytes]] = {
    "owners of 127 labels": lambda: filled(lambda _: raw_record(MANY_LABELS + pointer(12), Type.A, ADDRESS)),
    "pointers to a name of 127 labels": lambda: filled(
        lambda number: raw_record(pointer(_START) if number else MANY_LABELS + pointer(12), Type.A, b"\1\2\3\4")
    ),
    "pointers into each label of it": lambda: filled(
        lambda number: raw_record(
            pointer(_START + 2 * (number % 115)) if number else MANY_LABELS + pointer(12), Type.A, ADDRESS
        )
    ),
    "SOAs with two such names": lambda: filled(
        lambda number: raw_record(
            pointer(_START) if number else MANY_LABELS + pointer(12),
            Type.SOA,
            pointer(_START + 2) + pointer(_START + 4) + bytes(20),
        )
    ),
    "the smallest records": lambda: filled(lambda _: raw_record(b"\0", 65280, b"")),
    "type bitmaps": lambda: filled(lambda _: raw_record(b"\0", Type.NSEC, b"\0" + b"".join(
        bytes((window, 1, 1)) for window in range(256)))),
    "strings": lambda: filled(lambda _: raw_record(b"\0", Type.TXT, bytes(1000))),
    "parameters": lambda: filled(lambda _: raw_record(b"\0", Type.SVCB, b"\0\1\0" + b"".join(
        key.to_bytes(2, "big") + b"\0\0" for key in range(1000)))),
    "rdata that is one chain of pointers": lambda: filled(lambda number: raw_record(
        b"\0", 65280, b"".join(pointer(to) for to in range(12, 0x3FFF, 2))) if number == 0 else raw_record(
        pointer(_START + 11 + 2 * (number % 8000)), Type.A, ADDRESS)),
    "chains of sixteen": lambda: filled(lambda number: raw_record(
        b"\0", 65280, b"".join(pointer(12) if i % 16 == 0 else pointer(_START + 9 + 2 * i) for i in range(8000)))
        if number == 0 else raw_record(pointer(_START + 11 + 2 * ((number * 16 + 14) % 8000)), Type.A, ADDRESS)),
}  # fmt: skip
TIMES = 30  # of queries it is 20; but a primary was chosen by the operator, and a plain record costs very little


def test_what_a_plain_message_costs() -> None:
    """Some tens of lines for each record; else nothing was counted."""
    wire = plain()
    assert len(wire) > 65_000
    records = int.from_bytes(wire[6:8], "big")
    assert 10 * records < cost_of(wire) < 60 * records
    assert len(read(wire).records) == records


@pytest.mark.parametrize("what", EXPENSIVE)
def test_the_most_expensive_messages_cost_a_few_times_a_plain_one(what: str) -> None:
    wire = EXPENSIVE[what]()
    assert 60_000 < len(wire) <= MAX_MESSAGE
    assert cost_of(wire) < TIMES * cost_of(plain())
