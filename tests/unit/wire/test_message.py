"""Response assembly: what is compressed must read back, in dnspython, as what was put in."""

import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.message import QUESTION, Encoder, header, opt_record, simple_response
from authdns.wire.query import Edns
from authdns.wire.rdata import COMPRESSIBLE
from authdns.wire.types import Flag, Rcode, Type
from tests.unit.answer.packets import IDENT, WWW, query, question, seen

APEX = names.from_text("example.com.")
LABELS = st.sampled_from([b"a", b"A", b"b", b"www", b"\0", b"x" * 63, b"a.b"])
owners = st.tuples(st.lists(LABELS, max_size=3), st.sampled_from([APEX, b"\0", names.from_text("Example.NET.")])).map(
    lambda parts: b"".join(bytes((len(label),)) + label for label in parts[0]) + parts[1]
)


@st.composite
def rrsets(draw: st.DrawFn) -> tuple[bytes, int, int, list[bytes]]:
    rrtype = draw(st.sampled_from([*COMPRESSIBLE, Type.A, Type.SRV, Type.DNAME, Type.TXT, Type.MB, 65280]))
    rdatas = []
    for _ in range(draw(st.integers(1, 3))):
        layout = COMPRESSIBLE.get(rrtype)
        if layout is not None:
            rdata = bytes(layout.skip) + b"".join(draw(owners) for _ in range(layout.names))
            rdatas.append(rdata + (bytes(20) if rrtype == Type.SOA else b""))
        else:
            fixed = {Type.A: b"abcd", Type.TXT: b"\3abc", 65280: b"\xc0\x0c"}
            rdatas.append(fixed.get(rrtype) or (bytes(6) if rrtype == Type.SRV else b"") + draw(owners))
    return draw(st.one_of(st.just(QUESTION), owners)), rrtype, draw(st.integers(0, 2**31 - 1)), rdatas


@settings(deadline=None)
@given(owners, st.lists(rrsets(), max_size=12))
@example(APEX, [(QUESTION, Type.NS, 1, [APEX])])
@example(b"\0", [(b"\0", Type.NS, 1, [b"\0", APEX, APEX])])
def test_what_is_encoded_reads_back(qname: bytes, added: list[tuple[bytes, int, int, list[bytes]]]) -> None:
    encoder = Encoder(qname)
    for owner, rrtype, ttl, rdatas in added:
        encoder.rrset(owner, rrtype, ttl, rdatas)
    count = sum(len(rdatas) for *_, rdatas in added)
    wire = header(IDENT, Flag.QR, 0, (1, count, 0, 0)) + question(qname) + bytes(encoder.wire)
    message = dns.message.from_wire(wire, one_rr_per_rrset=True)
    expected = [
        ((owner or qname).lower(), rrtype, ttl, rdata.lower())
        for owner, rrtype, ttl, rdatas in added
        for rdata in rdatas
    ]
    # Spelling is not compared: a name that points at another takes over its spelling (RFC 4343 §4.1).
    found = [
        ((each.name.to_wire() or b"").lower(), int(each.rdtype), each.ttl, (each[0].to_wire() or b"").lower())
        for each in message.answer
    ]
    assert found == expected


@given(owners, st.lists(rrsets(), max_size=6))
def test_pointers_stand_where_it_is_said(qname: bytes, added: list[tuple[bytes, int, int, list[bytes]]]) -> None:
    """Those into the body and into the base; not the question's own, which never moves."""
    encoder = Encoder(qname)
    for owner, rrtype, ttl, rdatas in added:
        encoder.rrset(owner, rrtype, ttl, rdatas)
    for offset in encoder.pointers:
        target = int.from_bytes(encoder.wire[offset : offset + 2], "big")
        assert target >= 0xC000
        assert 12 <= target & 0x3FFF < 12 + len(qname) + 4 + offset


def test_names_of_later_types_are_not_compressed() -> None:
    encoder = Encoder(WWW)
    encoder.rrset(QUESTION, Type.SRV, 0, [bytes(6) + WWW])
    assert bytes(encoder.wire).endswith(bytes(6) + WWW)
    encoder.rrset(QUESTION, Type.MX, 0, [bytes(2) + WWW])
    assert bytes(encoder.wire).endswith(b"\0\4\0\0\xc0\x0c")


def test_names_are_compressed_whatever_their_spelling() -> None:
    encoder = Encoder(APEX)
    encoder.rrset(b"\3WWW" + APEX.upper(), Type.NS, 0, [WWW])
    assert bytes(encoder.wire).startswith(b"\3WWW\xc0\x0c")
    assert bytes(encoder.wire).endswith(b"\0\2" + (0xC000 | 12 + len(APEX) + 4).to_bytes(2, "big"))


def test_a_long_body_points_at_its_beginning_only() -> None:
    """Beyond 14 bits there is nothing to point at: later names are written out."""
    encoder = Encoder(APEX)
    for number in range(2000):
        encoder.rrset(b"\5%05d" % number + APEX, Type.MX, 0, [bytes(2) + b"\6t%05d" % number + APEX])
    late = b"\6t01999" + APEX
    encoder.rrset(late, Type.NS, 0, [late])  # known, but from too far behind
    wire = header(IDENT, Flag.QR, 0, (1, 2001, 0, 0)) + question(APEX) + bytes(encoder.wire)
    assert len(wire) > 0x4000 + 1000
    message = dns.message.from_wire(wire, one_rr_per_rrset=True)
    found = [each.name.to_text() for each in message.answer]
    assert found == [*(f"{number:05d}.example.com." for number in range(2000)), "t01999.example.com."]
    assert message.answer[-2][0].to_text() == "0 t01999.example.com."
    assert message.answer[-1][0].to_text() == "t01999.example.com."
    largest = max(int.from_bytes(encoder.wire[offset : offset + 2], "big") & 0x3FFF for offset in encoder.pointers)
    assert largest + names.MAX_NAME_OCTETS <= 0x4000  # the question may still be that much longer


@pytest.mark.parametrize("rcode", [Rcode.NOERROR, Rcode.REFUSED, Rcode.BADVERS])
@pytest.mark.parametrize("dnssec_ok", [False, True])
def test_opt_holds_the_upper_bits_of_the_rcode(rcode: Rcode, dnssec_ok: bool) -> None:
    wire = header(IDENT, Flag.QR, rcode, (0, 0, 0, 1)) + opt_record(1232, rcode, dnssec_ok)
    message = dns.message.from_wire(wire)
    assert int(message.rcode()) == rcode
    assert (message.edns, message.payload, len(message.options)) == (0, 1232, 0)
    assert bool(message.ednsflags & dns.flags.DO) == dnssec_ok
    assert message.ednsflags & 0x7FFF == 0


@given(st.integers(0, 0x7FFF))
def test_of_the_flags_the_opcode_comes_back_and_in_query_rd_and_cd(flags: int) -> None:
    request = query(flags=flags)
    response = simple_response(request, question(), Rcode.REFUSED, None, 1232)
    assert response[:2] == request[:2]
    assert int.from_bytes(response[2:4], "big") == (flags & 0x7800 or flags & 0x0110) | 0x8000 | Rcode.REFUSED
    assert response[4:12] == b"\0\1" + bytes(6)
    assert response[12:] == question()


def test_a_simple_response_counts_what_it_holds() -> None:
    edns = Edns(4096, 0, True, b"")
    for asked in (b"", question()):
        for with_edns in (None, edns):
            response = simple_response(query(), asked, Rcode.NOTAUTH, with_edns, 1232)
            said = seen(query(), response)
            assert ("question" in said, "opt0:1232 do" in said) == (bool(asked), with_edns is not None)
