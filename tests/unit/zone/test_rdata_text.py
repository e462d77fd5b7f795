"""Rdata from text: what is right becomes the right octets, what is wrong is explained."""

import dns.ipv6
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.zone.problem import Severity
from authdns.zone.rdata_shape import SHAPES
from authdns.zone.rdata_text import parse_ttl
from tests.unit.zone.reading import added, errors, read, remarks, said


def rdata(text: str) -> bytes:
    (found,) = added(f"x {text}")
    return found[3]


@pytest.mark.parametrize(
    "text",
    [
        "A 192.0.2.1",
        "AAAA 2001:DB8::1",
        "AAAA ::",
        "AAAA ::ffff:192.0.2.1",
        "AAAA 1:2:3:4:5:6:7:8",
        "AAAA 1:2:3:4:5:6::",
        "CNAME Www.Example.net.",
        "PTR a",
        "DNAME a.b.c",
        "MX 10 mail",
        "MX 0 .",
        "SRV 1 2 65535 target",
        'TXT "a b" c "" "\\"\\\\\\200"',
        "SPF v=spf1",
        'CAA 0 issue "letsencrypt.org; policy=ev"',
        "DS 60485 5 1 ( 2BB183AF5F22588179A53B0A\n 98631FAD1A292118 )",
        "SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
        "TLSA 3 1 1 ( d2abde240d7cd3ee6b4b28c54df034b9\n 7983a1d16e8a410e4561cb106618e971 )",
        'NAPTR 100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp',
        'HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1',
        "SVCB 0 svc",
        "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
        'HINFO "CPU" OS',
        'URI 10 1 "https://example.com/"',
        "RP mbox txt",
        "AFSDB 1 host",
        "APL 1:192.168.32.0/21 !1:192.168.38.0/28",
        "CERT PKIX 1 RSASHA256 AQID",
        "NSEC3PARAM 1 0 0 -",
        "OPENPGPKEY AQID",
        "EUI48 00-00-5e-00-53-2a",
        "NID 10 0014:4fff:ff20:ee64",
        "L64 10 2001:0DB8:1140:1000",
        "L32 10 10.1.2.0",
        "LP 10 l64-subnet1",
        "LOC 0 N 0 E 0",
        "LOC 89 59 59.999 S 179 59 59.999 W -100000m 0.01 99.99m 90000000m",
        "LOC 052 0022 N 004 00 07.5 E 21474836m",
        "GPOS -32.6882 116.8652 10.0",
        "IPSECKEY 10 0 2 . AQNRU3mG7TVTO2BkR47us ntb102uFJtugbo6BSGvgqt4AQ==",
        "IPSECKEY 10 3 2 mygateway AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
        'NAPTR 65535 0 u E2U+sip "!^.*$!sip:\\\\1@example.com!" .',
        'URI 10 1 "a \\"b\\" \\255"',
        'HTTPS 1 . no-default-alpn alpn=h2 ech="AAQAAAAB" port=1',
        "SVCB 1 . mandatory=ech ech=AAQAAAAB",
        "ZONEMD 2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE"
        "7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
        "CDS 0 0 0 00",
        "CSYNC 66 3 A NS AAAA",
    ],
)
def test_data_means_what_it_means_to_dnspython(text: str) -> None:
    word, _, data = text.partition(" ")
    theirs = dns.rdata.from_text(
        dns.rdataclass.IN,
        dns.rdatatype.from_text(word),
        data.replace("(", "").replace(")", "").replace("\n", ""),
        origin=dns.name.from_text("example.com."),
        relativize=False,
    )
    assert rdata(text) == theirs.to_wire()


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (r"TYPE731 \# 6 abcd (ef 01 23 45)", bytes.fromhex("abcdef012345")),
        (r"TYPE62347 \# 0", b""),
        (r"MX \# 3 000a00", b"\0\x0a\0"),
        (r"TXT \# 3 026162", b"\x02ab"),
        ("MINFO a b.", b"\x01a\x07example\x03com\0\x01b\0"),
        ("MB a.", b"\x01a\0"),
        ("TXT a\\;b", b"\x03a;b"),
        ("TLSA \\# 5 030101abcd", b"\3\1\1\xab\xcd"),
        ("CDS \\# 6 000000000000", bytes(6)),
        ('TXT "\\#" 1', b"\x01#\x011"),
    ],
)
def test_generic_and_obsolete_data_are_read(text: str, octets: bytes) -> None:
    assert rdata(text) == octets


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("NID 10 14:4fff:ff20:ee64", "000a 00144fffff20ee64"),
        ("NID 10 0:0:0:0", "000a 0000000000000000"),
        ("L64 10 2001:DB8:1140:a", "000a 20010db81140000a"),
        ("LOC 52 22 N 4 53 W 42849672.91m", "00121613 8b3c9640 7ef3c020 fffffffb"),
        ("LOC 52 22 23. n 4 53 32 e -.29m 0.29 1.10m", "00211213 8b3cf018 810cbce0 00989663"),
        ('GPOS "" "" ""', "000000"),
        ("ZONEMD 1 1 0 abcdefabcdefabcdefabcdef", "00000001 0100 abcdefabcdefabcdefabcdef"),
        ("ZONEMD 1 1 240 ABC DEF", "00000001 01f0 abcdef"),
        ("IPSECKEY 10 0 0 .", "0a0000"),
        ("IPSECKEY 10 1 2 192.0.2.1", "0a0102 c0000201"),
        ("IPSECKEY 10 3 2 a.", "0a0302 016100"),
        ('URI 10 1 ""', "000a 0001"),
        ('NAPTR 1 2 "" "" "" .', "0001 0002 000000 00"),
        ('HTTPS 1 . ech="ZWFzdGVyIGVnZyE=" port=53', "0001 00 0003 0002 0035 0005 000b 6561737465722065676721"),
        ("SVCB 1 . key7=x mandatory=ech ech=AA==", "0001 00 0000 0002 0005 0005 0001 00 0007 0001 78"),
        ("SVCB 1 . port=53 no-default-alpn", "0001 00 0002 0000 0003 0002 0035"),
        ("SVCB 0 . no-default-alpn ech=AA==", "0000 00 0002 0000 0005 0001 00"),
    ],
)
def test_what_the_peers_read_and_dnspython_does_not_is_read(text: str, octets: str) -> None:
    assert rdata(text) == bytes.fromhex(octets)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("TYPE262", "0000000000"),
        ("LOC", "00ffffff 00000000 ffffffff 00000000"),
        ("LOC", "01ff"),
        ("GPOS", "0161 0162 00"),
        ("ZONEMD", "00000001 0101 ab"),
        ("URI", "000a0001"),
        ("CERT", "0000000000"),
        ("AMTRELAY", "01ff"),
        ("IPSECKEY", "0a7f00 abcdef"),
        ("HTTPS", "0001 00 0005 0003 616263"),
        ("SVCB", "0000 00 0002 0000 ffff 0000"),
        ("NSEC", "00"),
        ("RRSIG", f"{'00' * 18} 00"),
    ],
)
def test_octets_are_not_judged_beyond_the_shape_of_their_type(text: str, octets: str) -> None:
    data = bytes.fromhex(octets)
    assert rdata(f"{text} \\# {len(data)} {octets}") == data


NAME = "0161" * 127 + "00"


@pytest.mark.parametrize(
    ("word", "octets"),
    [
        ("A", "010203"),
        ("AAAA", "00" * 17),
        ("NS", ""),
        ("NS", "0161"),
        ("NS", "c00c"),
        ("NS", "01610061"),
        ("NS", f"0161{NAME}"),
        ("CNAME", f"40{'61' * 64}00"),
        ("MB", ""),
        ("MINFO", "00"),
        ("SOA", f"0000{'00' * 19}"),
        ("MX", "000a"),
        ("SRV", "0000000000000361"),
        ("NAPTR", "00010002 0000 00"),
        ("NAPTR", "00010002 000000 c00c"),
        ("TXT", ""),
        ("TXT", "0261"),
        ("HTTPS", "0001"),
        ("HTTPS", "0001 00 0003 0002 0000 0002 0000"),
        ("HTTPS", "0001 00 0003 0002 00"),
        ("HTTPS", "0001 00 0003 00"),
        ("IPSECKEY", "0a03 02"),
        ("IPSECKEY", "0a0102 c00002"),
        ("NID", "000a 00144fffff20ee"),
        ("LOC", "00121613 80000000 80000000"),
        ("ZONEMD", "00000001 0101"),
        ("NSEC", "00 00"),
        ("NSEC", "00 0100 01"),
        ("NSEC", "00 000140 000140"),
        ("NSEC", f"00 0021{'00' * 33}"),
        ("NSEC3", "01000000 01 ab"),
        ("NSEC3PARAM", "01000000"),
        ("RRSIG", "00" * 18),
        ("DS", "00010802 abcd"),
        ("CAA", "00"),
    ],
)
def test_octets_without_the_shape_of_their_type_are_an_error(word: str, octets: str) -> None:
    length = len(bytes.fromhex(octets))
    assert errors(f"x {word} \\# {length} {octets}") == [
        f"1:{len(word) + 4} the octets after \\# are no {word} data (a compressed name?)"
    ]


@given(st.sampled_from(sorted(SHAPES)), st.binary(max_size=40))
def test_no_octets_of_any_type_make_the_reader_raise(rrtype: int, data: bytes) -> None:
    read(2 * f"x TYPE{rrtype} \\# {len(data)} {data.hex()}\nx TYPE{rrtype} \\# 3 000000\n")


def test_a_digest_that_its_algorithm_does_not_have_is_worth_a_note() -> None:
    assert remarks("x ZONEMD 1 1 1 (abcd\n ef)") == ["1:17 digest: 3 octets; hash algorithm 1 has 48 (RFC 8976 §5.3)"]
    assert remarks("x ZONEMD 1 1 9 abcd") == ["1:16 digest: 2 octets; expected 12 or more (RFC 8976 §2.2.4)"]
    assert remarks(f"x ZONEMD 1 9 2 {'ab' * 64}") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A 192.0.2.256", "192.0.2.256 is no IPv4 address: 256 is larger than 255"),
        ("A 192.0.2", "192.0.2 is no IPv4 address: it has 3 numbers; expected four, such as 192.0.2.1"),
        ("A 192.0.2.01", "192.0.2.01 is ambiguous"),
        ("A 192.0.2.", "192.0.2. is no IPv4 address; expected one such as 192.0.2.1"),
        ("A 192.0.2.-1", "192.0.2.-1 is no IPv4 address"),
        ("A host", "host is no IPv4 address; expected one such as 192.0.2.1"),
        ("A ::1", "::1 is an IPv6 address, A holds an IPv4 address; did you mean AAAA?"),
        ("A 10.0.0.1 10.0.0.2", "10.0.0.2 is one word too many; expected A ADDRESS"),
        ("AAAA 192.0.2.1", "192.0.2.1 is no IPv6 address; this is an IPv4 address, did you mean A?"),
        ("AAAA 1::2::3", "1::2::3 is no IPv6 address; expected one such as 2001:db8::1"),
        (
            "MX mail",
            "MX has 1 of its 2 fields: preference is missing; expected a number before the name",
        ),
        ("MX 10", "MX has 1 of its 2 fields: mail server is missing"),
        ("MX mail 10", "preference: mail is no number; expected one from 0 to 65535"),
        ("MX 65536 mail", "preference: 65536 is too large; expected a number from 0 to 65535"),
        ("SRV 1 2 target", "SRV has 3 of its 4 fields: target is missing"),
        ("CNAME", "the data is missing; expected CNAME TARGET"),
        ("CNAME a..b", "a..b is no domain name: two dots follow each other"),
        (f"CNAME {'a' * 64}", f"{'a' * 57}... is no domain name: a label is 64 octets long"),
        ("CNAME " + "a." * 128, "a.a."),
        ("TXT", "TXT has no text"),
        ('TXT "\\256"', "\\DDD needs three decimal digits"),
        ("CAA 0 issue", "CAA has 2 of its 3 fields: value is missing; expected CAA FLAGS TAG VALUE"),
        ("DS 1 2 3", "DS has 3 of its 4 fields: digest is missing; expected DS KEY-TAG ALGORITHM DIGEST-TYPE DIGEST"),
        ("TLSA \\# 3 030101", "the octets after \\# are no TLSA data"),
        ("DS \\# 6 000108020000", "the octets after \\# are no DS data"),
        ("TYPE731 abc", "the data of TYPE731 has to be written as \\# LENGTH HEX"),
        ("NULL abc", "the data of NULL has to be written as \\# LENGTH HEX"),
        ("A \\# 3 aabbcc", "the octets after \\# are no A data"),
        ("MX \\# 4 000ac000", "the octets after \\# are no MX data"),
        ("TYPE731 \\# 2 aa", "\\# says 2 octets, but 1 follow"),
        ("TYPE731 \\# 1 a", "expected hexadecimal digits"),
        ("TYPE731 \\#", "expected \\# LENGTH HEX"),
        ("NID 10 00014:4fff:ff20:ee64", "locator: 00014:4fff:ff20:ee64: expected four groups of hexadecimal digits"),
        ("L64 10 ::1", "locator: ::1: expected four groups of hexadecimal digits, such as 14:4fff:ff20:ee64"),
        ("L64 1:2:3:4", "L64 has 1 of its 2 fields: locator is missing; expected L64 PREFERENCE LOCATOR"),
        ("LOC", "the data is missing; expected LOC LOCATION"),
        ("LOC 52 22 23 N 4", "location: something is missing after 4; expected D [M [S]] N|S D [M [S]] E|W ALTITUDE"),
        ("LOC 52 22 23 N 4 E", "location: something is missing after E"),
        ("LOC 91 N 4 E 0", "location: degrees: 91; expected a number from 0 to 90"),
        ("LOC 5.5 N 4 E 0", "location: degrees: 5.5; expected a number from 0 to 90"),
        ("LOC 52 N 181 E 0", "location: degrees: 181; expected a number from 0 to 180"),
        ("LOC 52 60 N 4 E 0", "location: minutes: 60; expected a number from 0 to 59, or N or S"),
        ("LOC 52 5 60 N 4 E 0", "location: seconds: 60; expected a number from 0 to 59, or N or S"),
        ("LOC 52 5 5.0001 N 4 E 0", "location: seconds: 5.0001; expected"),
        ("LOC 52 5 5 5 4 E 0", "location: 5; expected N or S"),
        ("LOC 52 N 4 E -100000.01m", "location: altitude: -100000.01m is out of range; expected -100000m to 42849672"),
        ("LOC 52 N 4 E 42849672.96m", "location: altitude: 42849672.96m is out of range"),
        ("LOC 52 N 4 E 1e2m", "location: altitude: 1e2m; expected metres, such as 10m or -2.50m"),
        ("LOC 52 N 4 E .m", "location: altitude: .m; expected metres"),
        ("LOC 52 N 4 E 0 -1m", "location: size: -1m; expected metres, such as 10m or 2.50m"),
        ("LOC 52 N 4 E 0 1m 100000000m", "location: horizontal precision: 100000000m is too large"),
        ("LOC 52 N 4 E 0 1 2 3 4", "location: 4 is one word too many; expected D [M"),
        ("ZONEMD 1 1 1", "ZONEMD has 3 of its 4 fields: digest is missing; expected ZONEMD SERIAL SCHEME HASH-ALGO"),
        ("ZONEMD 1 1 1 abc", "digest: expected hexadecimal digits, two for each octet"),
        ('ZONEMD 1 1 1 ""', "digest: it is empty; expected hexadecimal digits"),
        ("IPSECKEY 10 0 2", "IPSECKEY: "),
        ("IPSECKEY 10 0 2 foo", "IPSECKEY: "),
        ('NAPTR 1 2 "s" "" _z', "NAPTR has 5 of its 6 fields: replacement is missing; expected NAPTR ORDER PREFERENCE"),
        ('NAPTR x 2 "s" "" "" _z', "order: x is no number; expected one from 0 to 65535"),
        (f"NAPTR 1 2 {'s' * 256} s s _z", f"flags: {'s' * 57}... is 256 octets long, at most 255 are possible"),
        ('GPOS "" ""', "GPOS has 2 of its 3 fields: altitude is missing; expected GPOS LONGITUDE LATITUDE ALTITUDE"),
        ("URI 10 1 a b", "b is one word too many; expected URI PRIORITY WEIGHT TARGET"),
        ("HTTPS 1 . ech=A?==", "ech: A?==: expected base64"),
        ("HTTPS 1 . ech=AAA", "ech: expected base64"),
        ('HTTPS 1 . ech="AA" "AA"', "ech: expected base64"),
        ('HTTPS 1 . ech=""', "ech: 0 octets; expected base64"),
        (f"HTTPS 1 . ech={'AAAA' * 22000}", "ech: 66000 octets; expected base64 of 1 to 65535 octets"),
        ("HTTPS 1 . ech=AA== ech=AA==", "HTTPS: "),
        ("HTTPS 1 . mandatory=alpn no-default-alpn", "HTTPS: "),
        ("HTTPS 1 . no-default-alpn no-default-alpn", "HTTPS: "),
        ("SOA ns h 1 2 3", "SOA has 5 of its 7 fields: expire, minimum are missing"),
        ("SOA ns 1 2 3 4 5", "SOA has 6 of its 7 fields: mailbox is missing"),
        ("SOA ns h -1 2 3 4 5", "serial: -1 is no number"),
        ("SOA ns h 4294967296 2 3 4 5", "serial: 4294967296 is too large"),
        ("SOA ns h 1 2 3x 4 5", "retry: 3x is no time; expected seconds such as 3600, or 1h30m"),
    ],
)
def test_wrong_data_is_explained(text: str, message: str) -> None:
    (said_of_it,) = errors(f"x {text}")
    assert said_of_it.partition(" ")[2].startswith(message)


def test_the_numbers_of_an_soa_may_have_units() -> None:
    zone = read("", head="$TTL 1h\n@ SOA ns h 4294967295 2h 1H30M 2w 1d\n@ NS ns.example.net.\n").zone
    assert zone is not None
    assert zone.soa[2:] == (4294967295, 7200, 5400, 1209600, 86400)


def test_names_in_data_that_dnspython_reads_become_a_labels_too() -> None:
    assert b"\x0dxn--bcher-kva\x07example" in rdata("SVCB 1 bücher")
    assert len(remarks("x SVCB 1 bücher")) == 1
    assert remarks('x CAA 0 issue "bücher"') == []


def test_a_name_too_long_for_its_origin_is_an_error_in_plain_lines_too() -> None:
    long = ".".join(["a" * 49] * 4)
    assert "at most 255" in errors(f"$ORIGIN {long}\n{'b' * 50} A 192.0.2.1\n")[0]
    assert errors(f"$ORIGIN {long}\n{'b' * 10} A 192.0.2.1\n") == []
    assert "at most 255" in errors(f"{'a.' * 5000}a A 192.0.2.1")[0]


@pytest.mark.parametrize(("octets", "lengths"), [(255, [255]), (256, [255, 1]), (600, [255, 255, 90])])
def test_a_long_string_is_split_with_a_note(octets: int, lengths: list[int]) -> None:
    data = rdata(f'TXT "{"x" * octets}"')
    found = []
    while data:
        found.append(data[0])
        data = data[data[0] + 1 :]
    assert found == lengths
    notes = remarks(f'x TXT "{"x" * octets}"', Severity.NOTE)
    expected = f"1:7 a string of {octets} octets is split into {len(lengths)} of at most 255"
    assert notes == ([expected] if len(lengths) > 1 else [])


def test_text_that_fits_into_no_record_is_an_error() -> None:
    assert "at most 65535" in said(read(f'x TXT "{"x" * 65600}"'))[0].message


@given(st.text("0123456789abcdefF:.", max_size=20))
def test_an_ipv6_address_is_what_dnspython_takes_for_one(text: str) -> None:
    expected = None
    try:
        expected = dns.ipv6.inet_aton(text.encode())
    except dns.exception.SyntaxError:
        pass
    reading = read(f"x AAAA {text}")
    assert (reading.zone is None) == (expected is None)
    if expected:
        assert rdata(f"AAAA {text}") == expected


@given(st.integers(0, 2**31 - 1))
def test_every_ttl_can_be_written_with_and_without_units(seconds: int) -> None:
    minutes, rest = divmod(seconds, 60)
    assert parse_ttl(b"%d" % seconds) == seconds == parse_ttl(b"%dm%dS" % (minutes, rest))


@given(st.binary(max_size=300))
def test_every_string_survives_escaping(octets: bytes) -> None:
    escaped = "".join(f"\\{octet:03d}" for octet in octets)
    data = rdata(f'TXT "{escaped}"')
    joined = b"".join(data[i + 1 : i + 256] for i in range(0, len(data), 256))
    assert joined == octets


@given(st.sampled_from(sorted(dns.rdatatype.RdataType.__members__)), st.text(' ab01.:-/=,"\\\x00ü', max_size=30))
def test_no_data_of_any_type_makes_the_reader_raise(rrtype: str, data: str) -> None:
    read(f"x {rrtype} {data}")
