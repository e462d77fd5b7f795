"""The printed zone can be read again, and says the same whatever the order of the file."""

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.zone.lexer import Source, Token
from authdns.zone.printer import print_zone, rdata_to_text
from authdns.zone.rdata_shape import SHAPES, fits
from authdns.zone.rdata_text import NameReader, RdataReader
from authdns.zone.reader import read_zone
from authdns.zone.zone import RRset, Zone
from tests.peers.availability import binary_of

APEX = names.from_text("example.com.")
TEXT = r"""
$ORIGIN example.com.
$TTL 1h
zulu    A 192.0.2.9
@       SOA ns1 hostmaster 2024010101 2h 1h 2w 1h
        NS  ns1
        NS  ns2.Example.NET.
        NS  ns0.example.net.
ns1     300 A 192.0.2.1
        AAAA 2001:db8::1
WWW     CNAME Web.Example.com.
web     A 192.0.2.3
text    TXT "two" "strings" "a \"quote\" and \\ and \195\188" ""
long    TXT ( "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
              "x;y" )
odd\.dot\@  TXT x
\000    TXT x
a.b.c.d TXT x
_sip._tcp SRV 0 5 5060 web
@       CAA 0 issue "ca.example.net"
@       HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.3
@       TYPE65280 \# 3 0a0b0c
@       NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp
"""


def read(text: str) -> Zone:
    reading = read_zone("test.zone", APEX, lambda path: text.encode("utf-8", "surrogateescape"))
    assert reading.zone is not None, list(map(str, reading.problems))
    return reading.zone


def contents(zone: Zone) -> dict[bytes, set[RRset]]:
    return {owner: {RRset(int(r.type), r.ttl, r.rdatas) for r in rrsets} for owner, rrsets in zone.names.items()}


def test_the_printed_zone_is_read_as_the_same_zone() -> None:
    zone = read(TEXT)
    again = read("\n".join(print_zone(zone)) + "\n")
    assert contents(again) == contents(zone)
    assert (again.spelling, again.cuts, again.dnames, again.records) == (
        zone.spelling,
        zone.cuts,
        zone.dnames,
        zone.records,
    )


def test_printing_twice_gives_the_same_text_whatever_the_order_of_the_file() -> None:
    lines = list(print_zone(read(TEXT)))
    single = [line for line in lines if "\tNS\t" not in line]  # the order inside an RRset is the file's
    name_servers = [line for line in lines if "\tNS\t" in line]
    random.Random(1).shuffle(single)
    assert list(print_zone(read("\n".join([*single, *name_servers]) + "\n"))) == lines


def test_the_soa_is_first_and_every_line_stands_alone() -> None:
    lines = list(print_zone(read(TEXT)))
    assert lines[0] == (
        "example.com.\t3600\tIN\tSOA\tns1.example.com. hostmaster.example.com. 2024010101 7200 3600 1209600 3600"
    )
    assert lines[1:4] == [
        f"example.com.\t3600\tIN\tNS\t{name}" for name in ("ns1.example.com.", "ns2.Example.NET.", "ns0.example.net.")
    ]
    assert "WWW.example.com.\t3600\tIN\tCNAME\tWeb.Example.com." in lines
    assert "ns1.example.com.\t300\tIN\tA\t192.0.2.1" in lines
    assert all(line.count("\t") >= 4 for line in lines)


def test_names_come_in_the_order_of_rfc_4034() -> None:
    """The example of §6.1."""
    ordered = [
        "example.",
        "a.example.",
        "yljkjljk.a.example.",
        "Z.a.example.",
        "zABC.a.EXAMPLE.",
        "z.example.",
        r"\001.z.example.",
        "*.z.example.",
        r"\200.z.example.",
    ]
    wire = [names.from_text(text) for text in ordered]
    backwards = wire[::-1]
    assert sorted(backwards, key=names.canonical_key) == wire


@pytest.mark.parametrize(
    "data",
    [
        "NID 10 14:4fff:ff20:ee64",
        "L64 10 0:0:0:0",
        "LOC 52 22 23 N 4 53 32 W 42849672.91m 0.01m 99999999m 8.2m",
        "LOC 90 30 S 180 0 0.001 E -100000m",
        r"LOC \# 16 00ffffff00000000ffffffff00000000",
        r"LOC \# 2 01ff",
        'GPOS "" "" ""',
        "GPOS -32.6882 116.8652 10.0",
        "ZONEMD 1 1 1 abcdef",
        "ZONEMD 1 0 0 abcdefabcdefabcdefabcdef",
        "IPSECKEY 10 0 0 .",
        "IPSECKEY 10 3 2 gateway",
        r'NAPTR 1 2 "u" "E2U+sip" "!^.*$!sip:\\1;\"\255é!" Here',
        r'URI 1 2 "\"\255é;"',
        'URI 1 2 ""',
        'HTTPS 1 . ech="ZWFzdGVyIGVnZyE="',
        "SVCB 1 . no-default-alpn port=53",
        "SVCB 0 . ech=AA==",
        r"TYPE262 \# 5 0000000000",
        r"AMTRELAY \# 2 01ff",
        r"CERT \# 5 0000000000",
        r"DNSKEY \# 4 01000308",
        r"RRSIG \# 19 00000000000000000000000000000000000000",
    ],
)
def test_what_dnspython_writes_otherwise_or_not_at_all_is_read_as_the_same_zone(data: str) -> None:
    zone = read(f"$ORIGIN example.com.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS a.example.net.\nx 60 {data}\n")
    assert contents(read("\n".join(print_zone(zone)) + "\n")) == contents(zone)


@given(st.sampled_from([*SHAPES, 35000]), st.binary(max_size=40))
def test_whatever_octets_a_type_has_are_printed_and_read_again(rrtype: int, rdata: bytes) -> None:
    if rrtype not in SHAPES or fits(rrtype, rdata):
        text = rdata_to_text(rrtype, rdata)
        entry = Source(b"", lambda line: False).entry(text.encode())
        token = Token(b"", False, 1, 1)
        assert RdataReader(NameReader(names.ROOT), lambda _, __: None).read(rrtype, entry.tokens, token) == rdata


def test_rdata_that_its_type_cannot_have_is_printed_as_octets() -> None:
    assert rdata_to_text(1, b"\x01\x02\x03") == r"\# 3 010203"
    assert rdata_to_text(65280, b"") == r"\# 0"


@pytest.mark.interop
def test_named_checkzone_reads_the_printed_zone_as_the_same_zone(tmp_path: Path) -> None:
    binary = binary_of("named-checkzone")
    zone = read(TEXT)
    path = tmp_path / "printed.zone"
    path.write_text("\n".join(print_zone(zone)) + "\n")
    # -D: print the zone as understood, every name and TTL in full (-s full)
    command = [binary, "-i", "none", "-k", "ignore", "-D", "-s", "full", "-o", "-", "example.com", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    printed = "\n".join(line for line in done.stdout.splitlines() if "loaded serial" not in line and line != "OK")
    assert unordered(read(printed + "\n")) == unordered(zone)


def unordered(zone: Zone) -> dict[bytes, set[tuple[int, int, frozenset[bytes]]]]:
    """BIND sorts the records of an RRset."""
    return {owner: {(r.type, r.ttl, frozenset(r.rdatas)) for r in rrsets} for owner, rrsets in contents(zone).items()}
