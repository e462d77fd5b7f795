"""The parser for what strangers send: it raises Malformed or nothing, and reads what dnspython reads."""

import random

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TSIG
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.query import MAX_OPTIONS, MAX_POINTERS, Malformed, Query, is_request, parse_query
from authdns.wire.types import Class, Opcode, Rcode, Type
from tests.unit.answer.packets import (
    APEX,
    CASES,
    WWW,
    below_apex,
    header,
    opt,
    option,
    query,
    question,
    record,
    soa_record,
    tsig,
)

PARSED = [case.packet for case in CASES if is_request(case.packet)]


def malformed(packet: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse_query(packet)
    return caught.value


def test_a_plain_query() -> None:
    spelled = b"\x03WwW\x07example\x03com\0"
    found = parse_query(query(spelled, Type.AAAA, flags=0x0100))
    assert found == Query(
        id=0x1234,
        flags=0x0100,
        opcode=Opcode.QUERY,
        question=question(spelled, Type.AAAA),
        qname=WWW,
        qtype=Type.AAAA,
        qclass=Class.IN,
        edns=None,
        tsig=None,
        ixfr_serial=None,
    )


@pytest.mark.parametrize(
    ("said", "meant"), [(0, 512), (511, 512), (512, 512), (513, 513), (1232, 1232), (65535, 65535)]
)
def test_the_payload_is_at_least_512(said: int, meant: int) -> None:
    edns = parse_query(query(edns=opt(payload=said, flags=0x8001, version=3, options=option(7, b"x")))).edns
    assert edns is not None
    assert (edns.payload, edns.dnssec_ok, edns.version, edns.options) == (meant, True, 3, option(7, b"x"))


def test_dnssec_ok_is_one_bit() -> None:
    for flags in (0x7FFF, 0x4000, 0):
        edns = parse_query(query(edns=opt(flags=flags))).edns
        assert edns is not None
        assert not edns.dnssec_ok


def test_options_up_to_a_limit() -> None:
    edns = parse_query(query(edns=opt(options=option(65001) * MAX_OPTIONS))).edns
    assert edns is not None
    error = malformed(query(edns=opt(options=option(65001) * (MAX_OPTIONS + 1))))
    assert error.edns is not None


def test_tsig_is_read_whole() -> None:
    record_of_tsig = tsig(owner=b"\3KEY\xc0\x10", algorithm=b"\x0bHMAC-sha256\0", mac=b"\1\2\3", other=b"abc")
    packet = query(edns=opt() + record_of_tsig, more=1)
    found = parse_query(packet).tsig
    assert found is not None
    assert found.key == names.from_text("key.example.com.")
    assert found.algorithm == names.from_text("hmac-sha256.")
    assert (found.time_signed, found.fudge, found.original_id) == (1_700_000_000, 300, 0x1234)
    assert (found.mac, found.error, found.other) == (b"\1\2\3", 0, b"abc")
    assert packet[found.begins_at :] == record_of_tsig


@pytest.mark.parametrize("cut", range(1, len(tsig()) - 5 - 10))
def test_the_rdata_of_tsig_cut_off_anywhere_is_malformed(cut: int) -> None:
    """The record itself is whole: its length says what is left."""
    whole = tsig()
    rdata = whole[15:-cut]
    error = malformed(query(edns=opt() + record(b"\3key\0", Type.TSIG, Class.ANY, 0, rdata), more=1))
    assert error.question == question()
    assert error.edns is not None


def test_pointers_lead_strictly_backward_into_the_message() -> None:
    at = len(query())
    for target, sound in (
        (12, True),
        (16, True),
        (0, False),
        (11, False),
        (at, False),
        (at + 2, False),
        (0x3FFF, False),
    ):
        packet = query(edns=tsig(owner=(0xC000 | target).to_bytes(2, "big")))
        if sound:
            assert parse_query(packet).tsig is not None
        else:
            assert malformed(packet).question == question()


def test_a_name_behind_pointers_is_at_most_255_octets() -> None:
    long = below_apex(251)
    for owner, sound in ((b"\3abc\xc0\x0c", True), (b"\4abcd\xc0\x0c", False), (b"\3abc\1d\xc0\x0c", False)):
        packet = query(long, edns=tsig(owner=owner))
        if sound:
            found = parse_query(packet).tsig
            assert found is not None
            assert len(found.key) == 255
        else:
            malformed(packet)


def test_pointers_up_to_a_limit() -> None:
    # One label: a zero octet, then pointers, each to the one before it and the first to the zero octet.
    chain = b"\0" + b"".join((0xC000 | (13 if i == 0 else 12 + 2 * i)).to_bytes(2, "big") for i in range(20))
    qname = bytes((len(chain),)) + chain + b"\0"
    for hops in (1, MAX_POINTERS - 1, MAX_POINTERS, MAX_POINTERS + 1):
        owner = (0xC000 | (12 + 2 * (hops - 1)) if hops > 1 else 0xC00D).to_bytes(2, "big")
        packet = query(qname, edns=tsig(owner=owner))
        if hops <= MAX_POINTERS:
            found = parse_query(packet).tsig
            assert found is not None
            assert found.key == names.ROOT
        else:
            malformed(packet)


@pytest.mark.parametrize("owner", [APEX, b"\xc0\x0c", b"\3www\xc0\x0c"])
def test_the_serial_of_an_ixfr_query(owner: bytes) -> None:
    packet = header(counts=(1, 0, 1, 1)) + question(APEX, Type.IXFR) + soa_record(owner, 0xFEDCBA98) + opt()
    found = parse_query(packet)
    assert found.ixfr_serial == 0xFEDCBA98
    assert found.edns is not None


def test_an_authority_section_belongs_to_ixfr_only() -> None:
    for qtype in (Type.A, Type.AXFR, Type.SOA):
        malformed(header(counts=(1, 0, 1, 0)) + question(APEX, qtype) + soa_record())


def test_an_error_carries_what_could_be_read() -> None:
    assert malformed(header()).question == b""
    assert malformed(query() + b"\0").question == question()
    error = malformed(query(edns=opt(flags=0x8000)) + b"\0")
    assert error.edns is not None
    assert error.edns.dnssec_ok
    assert error.rcode is Rcode.FORMERR
    assert str(error)


def test_what_gets_no_answer_at_all() -> None:
    assert is_request(query())
    assert not is_request(b"")
    assert not is_request(query()[:11])
    assert is_request(query()[:12])
    assert not is_request(query(flags=0x8000))


# dnspython as the second opinion

positions = st.integers(0, 400)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    packet = bytearray(draw(st.sampled_from(PARSED)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(positions) % (len(packet) + 1)
        match draw(st.integers(0, 3)):
            case 0:
                packet[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case 1:
                del packet[at : at + draw(st.integers(1, 12))]
            case 2:
                packet[at:at] = draw(st.binary(min_size=1, max_size=12))
            case 3:
                packet[at:] = draw(st.sampled_from(PARSED))[at:]
    return bytes(packet)


HEADERS = st.sampled_from(
    [header(), header(counts=(1, 0, 0, 1)), header(counts=(1, 0, 0, 2)), header(counts=(1, 0, 1, 0))]
)


@settings(max_examples=3000, deadline=None)
@given(st.one_of(damaged(), st.binary(max_size=400), st.tuples(HEADERS, st.binary(max_size=80)).map(b"".join)))
@example(b"")
@example(header(counts=(1, 0, 0, 1)) + question() + b"\0\0\x29")
def test_any_octets_are_malformed_or_what_dnspython_reads_too(packet: bytes) -> None:
    check_against_dnspython(packet)


def test_many_mutations_are_malformed_or_what_dnspython_reads_too() -> None:
    random_ = random.Random(4711)
    accepted = 0
    for _ in range(20_000):
        packet = bytearray(random_.choice(PARSED))
        for _ in range(random_.choice((1, 1, 2, 4))):
            packet[random_.randrange(len(packet))] = random_.choice((random_.randrange(256), 0, 1, 0xC0, 0x29, 0xFA))
        accepted += check_against_dnspython(bytes(packet))
    assert accepted > 1000


def check_against_dnspython(packet: bytes) -> bool:
    """True if the packet was accepted, by both."""
    if not is_request(packet):
        return False
    try:
        ours = parse_query(packet)
    except Malformed:
        return False
    if ours.opcode not in (Opcode.QUERY, Opcode.NOTIFY):
        return False  # nothing but the header and the question was read, since all of them are refused
    try:
        theirs = dns.message.from_wire(packet, keyring=False, one_rr_per_rrset=True)
    except dns.exception.DNSException:
        assert is_explained(packet, ours), packet.hex()
        return False
    assert theirs.id == ours.id
    assert int(theirs.opcode()) == ours.opcode
    (asked,) = theirs.question
    assert asked.name.to_wire() == ours.question[:-4]
    assert asked.name.canonicalize().to_wire() == ours.qname
    assert (int(asked.rdtype), int(asked.rdclass)) == (ours.qtype, ours.qclass)
    check_edns(theirs, ours)
    check_tsig(theirs, ours)
    if ours.ixfr_serial is not None:
        soa = theirs.authority[0][0]
        assert isinstance(soa, dns.rdtypes.ANY.SOA.SOA)
        assert soa.serial == ours.ixfr_serial
    return True


def check_edns(theirs: dns.message.Message, ours: Query) -> None:
    assert (theirs.edns >= 0) == (ours.edns is not None)
    if ours.edns is not None:
        assert theirs.edns == ours.edns.version
        assert max(theirs.payload, 512) == ours.edns.payload
        assert bool(theirs.ednsflags & dns.flags.DO) == ours.edns.dnssec_ok
        codes, position = [], 0
        while position < len(ours.edns.options):
            codes.append(int.from_bytes(ours.edns.options[position : position + 2], "big"))
            position += 4 + int.from_bytes(ours.edns.options[position + 2 : position + 4], "big")
        assert [int(each.otype) for each in theirs.options] == codes


def check_tsig(theirs: dns.message.Message, ours: Query) -> None:
    assert (theirs.tsig is not None) == (ours.tsig is not None)
    if theirs.tsig is not None and ours.tsig is not None:
        rdata = theirs.tsig[0]
        assert isinstance(rdata, dns.rdtypes.ANY.TSIG.TSIG)
        assert theirs.tsig.name.canonicalize().to_wire() == ours.tsig.key
        assert rdata.algorithm.canonicalize().to_wire() == ours.tsig.algorithm
        assert (rdata.time_signed, rdata.fudge, rdata.mac, rdata.original_id, rdata.error, rdata.other) == (
            ours.tsig.time_signed,
            ours.tsig.fudge,
            ours.tsig.mac,
            ours.tsig.original_id,
            ours.tsig.error,
            ours.tsig.other,
        )


def is_explained(packet: bytes, ours: Query) -> bool:
    """Why dnspython may refuse what is accepted here.

    It reads what is skipped: the rdata of EDNS options (a client subnet of a wrong length), the record in the answer
    section of NOTIFY, the names of IXFR's SOA, the error in TSIG (at most 4,095 for it).
    """
    if ours.tsig is not None:
        return True
    if ours.opcode == Opcode.NOTIFY and packet[6:8] != b"\0\0":
        return True
    return ours.ixfr_serial is not None or (ours.edns is not None and bool(ours.edns.options))
