"""Where names stand in rdata: compared with dnspython, which parses all of it."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.rdata import COMPRESSIBLE, TARGET_OFFSET, folded, name_at, parse_soa, target
from authdns.wire.types import Type, type_from_text
from tests.unit.wire.test_name import wire_names

OWNER = names.from_text("owner.example.com.")
EXAMPLES = {
    "NS": "Ns1.example.com.",
    "CNAME": "Www.example.com.",
    "SOA": "Ns1.example.com. Host.master.example.com. 1 2 3 4 5",
    "PTR": "Www.example.com.",
    "MX": "10 Mail.example.com.",
    "SRV": "1 2 443 Www.example.com.",
    "DNAME": "Other.example.com.",
    "SVCB": "1 Www.example.com. alpn=h2",
    "HTTPS": "1 Www.example.com. alpn=h2",
    "TXT": '"Text"',
    "A": "192.0.2.1",
}


def wire(rrtype: str, text: str) -> bytes:
    found = dns.rdata.from_text(dns.rdataclass.IN, rrtype, text).to_wire()
    assert found is not None
    return found


def test_the_types_whose_names_are_compressed_are_those_that_everybody_expands() -> None:
    """RFC 3597 §4: no type defined after RFC 1035 may be compressed; its rarest ones are opaque to some readers."""
    assert set(COMPRESSIBLE) == {Type.NS, Type.CNAME, Type.SOA, Type.PTR, Type.MX}


@pytest.mark.parametrize("rrtype", [text for text in EXAMPLES if type_from_text(text) in COMPRESSIBLE])
def test_the_layout_covers_every_name_and_nothing_else(rrtype: str) -> None:
    rdata = wire(rrtype, EXAMPLES[rrtype])
    layout = COMPRESSIBLE[type_from_text(rrtype)]
    position = layout.skip
    for _ in range(layout.names):
        position += len(name_at(rdata, position))
    numbers = 20 if rrtype == "SOA" else 0
    assert position + numbers == len(rdata)


@given(wire_names, wire_names, st.binary(max_size=8))
def test_a_name_ends_where_it_ends(first: bytes, second: bytes, more: bytes) -> None:
    rdata = first + second + more
    assert name_at(rdata) == first
    assert name_at(rdata, len(first)) == second


@given(wire_names, wire_names, st.lists(st.integers(0, 2**32 - 1), min_size=5, max_size=5))
def test_the_soa_is_read_as_dnspython_reads_it(mname: bytes, rname: bytes, numbers: list[int]) -> None:
    rdata = mname + rname + b"".join(number.to_bytes(4, "big") for number in numbers)
    ours = parse_soa(rdata)
    theirs = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.SOA, rdata, 0, len(rdata))
    assert ours == (mname, rname, *numbers)
    assert [ours.serial, ours.refresh, ours.retry, ours.expire, ours.minimum] == [
        getattr(theirs, field) for field in ("serial", "refresh", "retry", "expire", "minimum")
    ]


@pytest.mark.parametrize(
    ("rrtype", "text", "expected"),
    [
        ("NS", "Ns1.Example.com.", "ns1.example.com."),
        ("MX", "10 Mail.example.com.", "mail.example.com."),
        ("MX", "0 .", "."),
        ("SRV", "0 0 443 Www.example.com.", "www.example.com."),
        ("SRV", "0 0 0 .", "."),
        ("SVCB", "1 Www.example.com. alpn=h2", "www.example.com."),
        ("HTTPS", "1 . alpn=h2", "owner.example.com."),
        ("HTTPS", "256 .", "owner.example.com."),
        ("SVCB", "1 .", "owner.example.com."),
        ("HTTPS", "0 .", "."),  # AliasMode to the root: there is no such service (RFC 9460 §2.5.1)
        ("HTTPS", "0 Www.example.com.", "www.example.com."),
    ],
)
def test_the_name_whose_addresses_come_along(rrtype: str, text: str, expected: str) -> None:
    rdata = wire(rrtype, text)
    assert target(type_from_text(rrtype), rdata, OWNER) == names.from_text(expected)


def test_types_with_a_target() -> None:
    assert set(TARGET_OFFSET) == {Type.NS, Type.MX, Type.SRV, Type.SVCB, Type.HTTPS}


@pytest.mark.parametrize("rrtype", ["NS", "CNAME", "PTR", "DNAME", "MX", "SRV"])
def test_records_that_differ_in_the_case_of_a_name_are_one(rrtype: str) -> None:
    number = type_from_text(rrtype)
    for text in (EXAMPLES[rrtype].lower(), EXAMPLES[rrtype].upper()):
        assert folded(number, wire(rrtype, text)) == folded(number, wire(rrtype, EXAMPLES[rrtype]))
    other = EXAMPLES[rrtype].replace("example", "exanple")
    assert folded(number, wire(rrtype, other)) != folded(number, wire(rrtype, EXAMPLES[rrtype]))


def test_text_that_differs_in_case_is_not_one() -> None:
    assert folded(Type.TXT, wire("TXT", '"Text"')) != folded(Type.TXT, wire("TXT", '"text"'))
    assert folded(Type.A, b"ABCD") != folded(Type.A, b"abcd")


def test_numbers_in_front_of_a_name_are_not_folded() -> None:
    assert folded(Type.MX, b"\x41\x41\1a\0") != folded(Type.MX, b"\x61\x61\1a\0")
    assert folded(Type.SRV, b"\0\x41\0\0\0\0\1a\0") != folded(Type.SRV, b"\0\x61\0\0\0\0\1a\0")
