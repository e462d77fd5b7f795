"""The protocol's numbers: the same as dnspython's, and to text and back."""

import dns.flags
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire.types import (
    META_TYPES,
    Class,
    Flag,
    Opcode,
    Rcode,
    Type,
    rcode_to_text,
    type_from_text,
    type_to_text,
)


def test_the_numbers_are_those_of_dnspython() -> None:
    for rrtype in Type:
        assert int(dns.rdatatype.from_text(rrtype.name)) == rrtype
    for rrclass in Class:
        assert int(dns.rdataclass.from_text(rrclass.name)) == rrclass
    for opcode in Opcode:
        assert int(dns.opcode.from_text(opcode.name)) == opcode
    for rcode in Rcode:
        assert int(dns.rcode.from_text(rcode.name)) == rcode
    for flag in set(Flag):
        assert int(dns.flags.from_text(flag.name)) == flag


@given(st.integers(0, 65535))
def test_a_type_reads_back_what_it_shows(rrtype: int) -> None:
    assert type_from_text(type_to_text(rrtype)) == rrtype
    assert type_from_text(f"TYPE{rrtype}") == rrtype


@pytest.mark.parametrize("text", ["", "AXXX", "TYPE", "TYPE65536", "TYPE-1", "A B", "."])
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(ValueError):
        type_from_text(text)


def test_meta_types_are_those_that_dnspython_calls_so() -> None:
    for rrtype in range(65536):
        if dns.rdatatype.is_metatype(dns.rdatatype.RdataType.make(rrtype)):
            assert rrtype in META_TYPES
    assert Type.A not in META_TYPES
    assert 127 not in META_TYPES
    assert 256 not in META_TYPES


def test_rcodes_without_a_name_have_a_number() -> None:
    assert rcode_to_text(3) == "NXDOMAIN"
    assert rcode_to_text(16) == "BADVERS"
    assert rcode_to_text(15) == "RCODE15"
