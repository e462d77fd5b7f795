"""Tricky zone files mean to us what they mean to dnspython and to BIND's named-compilezone."""

import subprocess
from pathlib import Path

import dns.name
import dns.zone
import pytest

from authdns.wire.types import type_from_text, type_to_text
from authdns.zone.reader import read_zone
from tests.peers.availability import binary_of
from tests.peers.signing import HOW, sign
from tests.unit.zone.reading import APEX, HEAD

Found = set[tuple[str, int, str, bytes]]

# `sub/part`, there to be included.
PART = """\
p 77 A 192.0.2.7
$ORIGIN deep
b TXT "x"
"""
# Each stands behind HEAD.
TRICKY = {
    "owners": """\
a A 192.0.2.1
 A 192.0.2.2

\t\t60 AAAA 2001:db8::1 ; comment
IN IN A 192.0.2.1
A A 192.0.2.1
""",
    "classes and TTLs": """\
a IN 60 A 192.0.2.1
b 60 IN A 192.0.2.1
c 1h30m A 192.0.2.1
d 1W2D IN TXT x
$TTL 5
e TXT x
""",
    "parentheses": """\
a ( 60
 IN ) TXT ( "a" (b

; comment )
c)d )
b A (192.0.2.1)
""",
    "quotes": r"""
a TXT "a;b" "c(d" "" "e\"f" g\"h "i"j
""",
    "escapes": r"""
a\.b A 192.0.2.1
\065\;c A 192.0.2.1
* A 192.0.2.1
\* TXT \065\\\;
\@ TXT \@
""",
    "origins": """\
$ORIGIN x
a CNAME b
$ORIGIN y.example.com.
@ A 192.0.2.1
b CNAME @
$ORIGIN .
c.example.com MX 1 d
""",
    "generic": r"""
a TYPE731 \# 6 abcd (
 ef01 2345 )
b TYPE1 \# 4 c0000201
c A \# 4 C0000202
d CLASS1 TYPE28 ::1
""",
    "dkim": """\
mail._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "
\t  "p=MIIB" )  ; ----- DKIM key mail for example.com
""",
    "mail": """\
a MX 0 .
@ MX 10 mail
mail A 192.0.2.1
@ TXT "v=spf1 mx -all"
_dmarc TXT "v=DMARC1; p=none"
""",
    "many types": """\
a CAA 0 issue "ca.example.net; x=y"
b SRV 1 2 3 t
c SSHFP 4 2 ( 123456789abcdef67890123456789abcdef
 67890123456789abcdef123456789 )
d NAPTR 100 50 "s" "x+y" "" _z
e TLSA 3 1 1 ( d2abde240d7cd3ee6b4b28c54df034b9
 7983a1d16e8a410e4561cb106618e971 )
f HTTPS 1 . alpn="h2,h3" port=8443
g LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
h DNAME example.net.
i RP m t
j DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
""",
    "a signed zone's types": """\
a RRSIG A 13 3 300 1797778482 20261120145442 15812 Example.COM. SB3QlrRUYBsp//u78zp8OG3w
 RRSIG TYPE4711 RSASHA256 3 300 (
\t\t20261220145442 20261120145442 15812 @
\t\tSB3QlrRUYBsp//u7
\t\t8zp8OG3w )
 NSEC b.Example.com. ( A
\tRRSIG NSEC TYPE4711 TYPE65535 )
2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NSEC3 1 1 10 AABB (
\t0p9mhaveqvm6t7vbl5lop2u3t2rp3tom )
0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG
@ NSEC3PARAM 1 0 0 -
@ DNSKEY 257 3 ECDSAP256SHA256 (
\tSB3QlrRUYBsp//u78zp8OG3wrZkA/S+tI+u8oeqG/9ho1NuQWok8
\tJXNv/JyFFhVuVm9OuMoTAzDjqjVoS6Cjfw== ) ; KSK; alg = ECDSAP256SHA256 ; key id = 43186
@ CDS 0 0 0 00
@ CDNSKEY 0 3 0 AA==
b KEY 512 3 8 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+
b DLV 60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118
""",
    "generate": r"""
$GENERATE 1-3 h$ A 192.0.2.$
$GENERATE 0-20/10 ${0,3,d} 60 IN CNAME h${1}
$GENERATE 17-18 ${0,5,n}.r PTR h${-16,2,X}.x
$GENERATE 1-2 m$ MX "10 mail$"
$GENERATE 300-301 n${0,0,N} TXT "\"a $\""
$GENERATE 1-1 d\$$ TXT x
""",
    "includes": """\
a A 192.0.2.1
$INCLUDE sub/part
 A 192.0.2.2
$INCLUDE sub/part other.example.com.
b A 192.0.2.1
""",
}
# To be signed: what is different from the rest to a signer, or in its text.
TO_SIGN = (
    HEAD
    + """\
Www 60 A 192.0.2.1
 AAAA 2001:db8::1
* MX 10 ns
alias CNAME www
a.b.c TXT "a\\"b;" "(" ""
_443._tcp TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
sub NS ns.sub
ns.sub A 192.0.2.2
safe NS ns.example.net.
safe DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
d DNAME example.net.
"""
)
# What dnspython refuses. Of the last ones BIND takes none.
MORE_THAN_DNSPYTHON = r"""
a NID 10 14:4fff:ff20:ee64
b L64 10 0:0:0:a
c LOC 52 22 N 4 53 W 42849672.91m 0.29m 1.10m
d LOC 90 0 0 S 180 0 0.000 E -100000m 90000000m 0.01m 19.99m
e LOC \# 2 01ff
f ZONEMD 1 1 0 ABCDEFABCDEF ABCDEFABCDEF
g URI 10 1 ""
h NAPTR 1 2 "u" "E2U+sip" "!^(.*)$!sip:\\1;\"\255é!i" .
i HTTPS 1 . mandatory=ech ech="ZWFzdGVyIGVnZyE=" port=53
j HTTPS \# 10 00010000050003616263
k TYPE262 \# 5 0000000000
"""
MORE_THAN_BIND = r"""
l ZONEMD 1 1 1 ABCDEF
m IPSECKEY 10 0 0 .
n IPSECKEY 10 1 2 192.0.2.1
o HTTPS 1 . port=53 no-default-alpn
p LOC 90 30 N 4 E 1.m
q CERT \# 5 0000000000
"""
BIND_ONLY = {"includes", "generate", "escapes"}  # dnspython: other paths, no nibbles, other escapes


def ours(path: Path) -> Found:
    reading = read_zone(str(path), APEX, lambda name: Path(name).read_bytes())
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    return {
        (dns.name.from_wire(owner, 0)[0].to_text().lower(), rrset.ttl, type_to_text(rrset.type), rdata)
        for owner, rrset in reading.zone.iterate()
        for rdata in rrset.rdatas
    }


def dnspythons(text: str) -> Found:
    zone = dns.zone.from_text(text, "example.com.", relativize=False)
    return {
        (owner.to_text().lower(), ttl, type_to_text(rdata.rdtype), rdata.to_wire() or b"")
        for owner, ttl, rdata in zone.iterate_rdatas()
    }


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "part").write_text(PART)
    return tmp_path / "zone"


@pytest.mark.parametrize("name", sorted(TRICKY.keys() - BIND_ONLY))
def test_dnspython_reads_the_same(name: str, zone_file: Path) -> None:
    zone_file.write_text(HEAD + TRICKY[name])
    assert ours(zone_file) == dnspythons(HEAD + TRICKY[name])


@pytest.mark.interop
@pytest.mark.parametrize("name", TRICKY)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_bind_reads_the_same(name: str, line_end: str, zone_file: Path) -> None:
    zone_file.write_bytes((HEAD + TRICKY[name]).replace("\n", line_end).encode())
    assert ours(zone_file) == dnspythons(compiled_by_bind(zone_file))


@pytest.mark.interop
@pytest.mark.parametrize("how", HOW)
def test_a_signed_zone_means_the_same_to_dnspython_and_bind(how: str, zone_file: Path) -> None:
    for program in ("dnssec-signzone", "ldns-signzone", "kzonesign"):
        binary_of(program)
    zone_file.write_text(TO_SIGN)
    signed = sign(zone_file, "example.com.", how, zone_file.parent / "signed")
    found = ours(signed)
    assert len({record for record in found if record[2] == "RRSIG"}) > 10
    assert found == dnspythons(signed.read_text())
    assert found == dnspythons(compiled_by_bind(signed))


@pytest.mark.interop
@pytest.mark.parametrize(
    ("peer", "text"), [("bind", MORE_THAN_DNSPYTHON), ("nsd", MORE_THAN_DNSPYTHON + MORE_THAN_BIND)]
)
def test_what_dnspython_refuses_means_the_same_octets_to_a_peer(peer: str, text: str, zone_file: Path) -> None:
    """The peer understands the same from the text as from the octets that we read it as."""
    zone_file.write_text(HEAD + text)
    octets = [
        rf"{owner} {ttl} TYPE{type_from_text(rrtype)} \# {len(rdata)} {rdata.hex()}"
        for owner, ttl, rrtype, rdata in ours(zone_file)
        if rrtype not in ("SOA", "NS", "A")
    ]
    assert len(octets) == len([line for line in text.splitlines() if line])
    understood = compiled_by_bind if peer == "bind" else printed_by_nsd
    expected = understood(zone_file)
    zone_file.write_text(HEAD + "\n".join(octets) + "\n")
    assert sorted(understood(zone_file).splitlines()) == sorted(expected.splitlines())


def printed_by_nsd(zone_file: Path) -> str:
    command = [binary_of("nsd-checkzone"), "-p", "example.com", str(zone_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.interop
def test_knot_loads_what_dnspython_refuses(zone_file: Path) -> None:
    lines = [line for line in (MORE_THAN_DNSPYTHON + MORE_THAN_BIND).splitlines() if line[:1] not in "abh"]
    zone_file.write_text(HEAD + "\n".join(lines) + "\n")  # without locators in short, and without raw UTF-8
    command = [binary_of("kzonecheck"), "-o", "example.com", str(zone_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def compiled_by_bind(zone_file: Path) -> str:
    binary = binary_of("named-compilezone")
    checks = ["-i", "local", "-k", "ignore", "-m", "ignore", "-n", "ignore", "-r", "ignore", "-s", "full"]
    done = subprocess.run(
        [binary, *checks, "-o", "-", "example.com", zone_file.name],
        cwd=zone_file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.interop
def test_what_we_write_off_as_an_error_bind_refuses_too(zone_file: Path) -> None:
    binary = binary_of("named-checkzone")
    lines = [
        "a A 192.0.2.256",
        "a CNMAE b",
        "a 1x A 192.0.2.1",
        "$FOO",
        "a TXT (",
        'a TXT "',
        "a MX m",
        "a.. A 192.0.2.1",
    ]
    for line in lines:
        zone_file.write_text(HEAD + line + "\n")
        done = subprocess.run([binary, "example.com", str(zone_file)], capture_output=True, check=False)
        assert done.returncode != 0, line
        assert read_zone(str(zone_file), APEX, lambda name: Path(name).read_bytes()).zone is None, line
