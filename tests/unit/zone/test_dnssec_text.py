"""The types of DNSSEC and their like, from text: read as dnspython reads them, where it does, and as the peers do."""

import base64
import binascii

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.zone import dnssec_text
from tests.unit.zone.reading import added, errors, read

KEY = "SB3QlrRUYBsp//u78zp8OG3wrZkA/S+tI+u8oeqG/9ho1NuQWok8JXNv/JyFFhVuVm9OuMoTAzDjqjVoS6Cjfw=="
HASH = "057TP2AJSFE5Q8I214N7213SJQTKBS81"
SHA256 = "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"
SHA1 = SHA256[:40]
SIGNED = "20261220145442 20261120145442 15812 example.com."
IN = dns.rdataclass.IN
ORIGIN = dns.name.from_text("example.com.")


def rdata(text: str) -> bytes:
    (found,) = added(f"x {text}")
    return found[3]


def theirs(text: str) -> bytes:
    word, _, data = text.partition(" ")
    return dns.rdata.from_text(IN, word, data, origin=ORIGIN, relativize=False).to_wire() or b""


@pytest.mark.parametrize(
    "text",
    [
        f"RRSIG A 13 3 3600 {SIGNED} {KEY}",
        f"RRSIG A ECDSAP256SHA256 3 3600 1797778482 1795186482 15812 Example.COM. {KEY}",
        f"RRSIG TYPE65534 13 3 1h {SIGNED} A A A A",
        f"RRSIG nsec3param 13 3 0 {SIGNED} AA==",
        f"RRSIG ANY 13 255 4294967295 0 4294967295 65535 @ {KEY}",
        f"SIG A 13 3 3600 {SIGNED} {KEY}",
        f"SIG TYPE0 13 0 0 {SIGNED} {KEY}",
        "NSEC Y.Example.com. A RRSIG NSEC",
        "NSEC y",
        "NSEC \\000.x TYPE1234 caa A A TYPE65535",
        f"NSEC3 1 0 0 - {HASH} A RRSIG",
        f"NSEC3 1 1 10 aabbCCdd {HASH.lower()}",
        f"NSEC3 1 1 2500 {'ab' * 255} {HASH} A",
        f'NSEC3 2 255 2500 "" {HASH}',
        "NSEC3 1 0 0 - AAAAAAAA",
        "NSEC3PARAM 1 0 0 -",
        "NSEC3PARAM 1 255 65535 aabb",
        f"DNSKEY 256 3 13 {KEY}",
        f"DNSKEY 65535 255 RSASHA1NSEC3SHA1 {KEY[:41]} {KEY[41:]}",
        f"DNSKEY 256 3 Ed25519 {KEY}",
        f"DNSKEY 256 3 PRIVATEDNS {KEY}",
        "CDNSKEY 0 3 0 AA==",
        f"CDNSKEY 257 3 13 {KEY}",
        "KEY 512 3 8 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+",
        "KEY 49152 3 8",
        "KEY NOKEY 3 8",
        "KEY HOST|NOCONF EMAIL RSASHA256 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+",
        f"DS 60485 13 2 {SHA256}",
        f"DS 60485 RSASHA256 2 {SHA256[:33].lower()} {SHA256[33:]}",
        f"DS 60485 13 1 {SHA1}",
        f"DS 60485 13 4 {SHA256}{SHA1[:32]}",
        "DS 60485 13 99 abcd",
        "CDS 0 0 0 00",
        f"CDS 60485 13 2 {SHA256}",
        f"DLV 60485 13 2 {SHA256}",
        f"TLSA 3 1 1 {SHA256}",
        "TLSA 255 1 0 AB CD",
        f"SMIMEA 3 1 1 {SHA256}",
        f"OPENPGPKEY {KEY[:30]} {KEY[30:]}",
        "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69l OjxfNuVAA2kjEA=",
        f"SSHFP 4 2 {SHA256}",
        "SSHFP 4 9 a b",
        'CAA 0 issue "ca.example.net; x=y"',
        "CAA 255 Issue ca.example.net",
        'CAA 0 "issue" ""',
        f'CAA 0 {"a1" * 127} "{"x" * 3000}"',
        'CAA 0 iss\\117e "a\\255\\"b\\\\"',
    ],
)
def test_what_dnspython_reads_means_the_same(text: str) -> None:
    assert rdata(text) == theirs(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (f"RRSIG A 13 3 3600 21261220145442 {SIGNED[15:]} {KEY}", f"RRSIG A 13 3 3600 658484786 {SIGNED[15:]} {KEY}"),
        (f"RRSIG A 13 3 0 20261231235960 {SIGNED[15:]} {KEY}", f"RRSIG A 13 3 0 20270101000000 {SIGNED[15:]} {KEY}"),
        (f"DNSKEY ZONE|KSK DNSSEC NSEC3RSASHA1 {KEY}", f"DNSKEY 257 3 7 {KEY}"),
        (f"DNSKEY 256 3 RSASHA1-NSEC3-SHA1 {KEY}", f"DNSKEY 256 3 7 {KEY}"),
        (f"DNSKEY 256 3 dsa-nsec3-sha1 {KEY}", f"DNSKEY 256 3 6 {KEY}"),
        (f"DNSKEY 256 3 ECC-GOST {KEY}", f"DNSKEY 256 3 12 {KEY}"),
        ("CDNSKEY 0 3 0 0", "CDNSKEY 0 3 0 AA=="),
        ("CDS 0 0 0 0", "CDS 0 0 0 00"),
        (f"DS 60485 13 SHA-256 {SHA256}", f"DS 60485 13 2 {SHA256}"),
        (f"DS 60485 13 sha1 {SHA1}", f"DS 60485 13 1 {SHA1}"),
        (f"NSEC3 SHA-1 0 0 - {HASH}", f"NSEC3 1 0 0 - {HASH}"),
        ("NSEC3PARAM SHA-1 0 0 -", "NSEC3PARAM 1 0 0 -"),
        ("NSEC y CLA IPN NXNAME UID", "NSEC y TYPE263 TYPE264 TYPE128 TYPE101"),
    ],
)  # fmt: skip
def test_what_only_a_server_reads_means_what_is_meant(text: str, same: str) -> None:
    assert rdata(text) == theirs(same)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (f"DNSKEY 256 3 13 {KEY}", b"\x01\x00\x03\x0d" + base64.b64decode(KEY)),
        ('DNSKEY 256 3 13 ""', b"\x01\x00\x03\x0d"),
        ("DS 1 13 0 00", b"\0\x01\x0d\0\0"),
        (f"DS 1 13 GOST {SHA1}", b"\0\x01\x0d\x03" + bytes.fromhex(SHA1)),
        (f"TLSA 3 1 1 {SHA1}", b"\3\1\1" + bytes.fromhex(SHA1)),
    ],
)
def test_what_only_some_peers_read_is_read(text: str, octets: bytes) -> None:
    assert rdata(text) == octets


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"x RRSIG AX 13 3 3600 {SIGNED} {KEY}", "1:9 type covered: AX is no record type; expected A, MX, ..."),
        (f"x RRSIG A RSA 3 3600 {SIGNED} {KEY}", "1:11 algorithm: RSA is no algorithm; expected a number from 0"),
        (f"x RRSIG A 256 3 3600 {SIGNED} {KEY}", "1:11 algorithm: 256 is no algorithm"),
        (f"x RRSIG A 13 256 3600 {SIGNED} {KEY}", "1:14 labels: 256 is too large"),
        (f"x RRSIG A 13 3 4294967296 {SIGNED} {KEY}", "1:16 original TTL: 4294967296 is too large"),
        ("x RRSIG A 13 3 1 20260230000000 1 1 . AAAA", "1:18 expiration: 20260230000000 is no time; expected YYYYMM"),
        ("x RRSIG A 13 3 1 20260101000061 1 1 . AAAA", "1:18 expiration: 20260101000061 is no time"),
        ("x RRSIG A 13 3 1 19691231235959 1 1 . AAAA", "1:18 expiration: 19691231235959 is no time"),
        ("x RRSIG A 13 3 1 1 4294967296 1 . AAAA", "1:20 inception: 4294967296 is no time"),
        ("x RRSIG A 13 3 1 1 202601010000 1 . AAAA", "1:20 inception: 202601010000 is no time"),
        ("x RRSIG A 13 3 1 1 1 65536 . AAAA", "1:22 key tag: 65536 is too large"),
        ("x RRSIG A 13 3 1 1 1 1 a..b AAAA", "1:24 signer: a..b is no domain name: two dots"),
        ("x RRSIG A 13 3 1 1 1 1 .", "1:24 RRSIG has 8 of its 9 fields: signature is missing; expected RRSIG TYPE"),
        ("x RRSIG A 13 3 1 1 1 1 . AAA", "1:26 signature: expected base64 (A-Z, a-z, 0-9, +, /), four characters or ="),
        ("x RRSIG A 13 3 1 1 1 1 . (AAAA\n AA_A\n AAA)", "2:2 signature: AA_A: expected base64"),
        ("x RRSIG A 13 3 1 1 1 1 . AA== AA==", "1:26 signature: expected base64"),
        ("x NSEC", "1:3 the data is missing; expected NSEC NEXT-NAME [TYPES]"),
        ("x NSEC a..b A", "1:8 a..b is no domain name"),
        ("x NSEC y ( A\n FOO )", "2:2 types: FOO is no record type"),
        ("x NSEC y A TYPE0", "1:12 types: TYPE0 cannot be among the types of a name (RFC 4034 §4.1.2)"),
        (f"x NSEC y TYPE{'0' * 5000}1", "1:10 types: TYPE000"),
        (f"x NSEC3 SHA-2 0 0 - {HASH}", "1:9 hash algorithm: SHA-2 is no hash algorithm"),
        (f"x NSEC3 1 256 0 - {HASH}", "1:11 flags: 256 is too large"),
        (f"x NSEC3 1 0 65536 - {HASH}", "1:13 iterations: 65536 is too large"),
        (f"x NSEC3 1 0 0 abc {HASH}", "1:15 salt: expected hexadecimal digits"),
        (f"x NSEC3 1 0 0 {'ab' * 256} {HASH}", "1:15 salt: the salt is 256 octets long, at most 255 are possible"),
        (f"x NSEC3 1 0 0 - {HASH[:31]}W", "1:17 next hash: 057TP2AJSFE5Q8I214N7213SJQTKBS8W is no hash; expected b"),
        (f"x NSEC3 1 0 0 - {HASH}=", "1:17 next hash: 057TP2AJSFE5Q8I214N7213SJQTKBS81= is no hash"),
        (f"x NSEC3 1 0 0 - {'0' * 409}", "1:17 next hash: 0"),
        ("x NSEC3 1 0 0 - AB", "1:17 next hash: AB is no hash"),
        ("x NSEC3 1 0 0 - 000", "1:17 next hash: 000 is no hash"),
        ("x NSEC3 1 0 0 -", "1:15 NSEC3 has 4 of its 5 fields: next hash is missing"),
        ("@ NSEC3PARAM 1 0 0 aa bb", "1:23 bb is one word too many; expected NSEC3PARAM HASH-ALGORITHM FLAGS"),
        (f"x DNSKEY ZONED 3 13 {KEY}", "1:10 flags: ZONED are no flags; expected a number from 0 to 65535"),
        (f"x DNSKEY 65536 3 13 {KEY}", "1:10 flags: 65536 are no flags"),
        (f"x DNSKEY 256 HTTP 13 {KEY}", "1:14 protocol: HTTP is no protocol"),
        ("x DNSKEY 256 3 13", "1:16 key: it is missing; expected base64"),
        ("x DNSKEY 256 3 13 ???", "1:19 key: ???: expected base64"),
        ("x DNSKEY", "1:3 the data is missing; expected DNSKEY FLAGS PROTOCOL ALGORITHM [KEY]"),
        (f"x DS 1 13 MD5 {SHA256}", "1:11 digest type: MD5 is no digest type"),
        (f"x DS 1 13 2 {SHA1}", "1:13 digest: 20 octets; expected 32, which is what type 2 has"),
        ("x DS 1 13 99 (ab\n xy)", "2:2 digest: xy: expected hexadecimal digits, two for each octet"),
        ("x DS 1 13 99 abc", "1:14 digest: expected hexadecimal digits, two for each octet"),
        ("x TLSA 3 1 1", "1:12 TLSA has 3 of its 4 fields: data is missing"),
        ("x TLSA DANE-EE 1 1 ab", "1:8 usage: DANE-EE is no number; expected one from 0 to 255"),
        (f"x SSHFP 4 1 {SHA256}", "1:13 fingerprint: 32 octets; expected 20, which is what type 1 has"),
        ('x CAA 256 issue "a"', "1:7 flags: 256 is too large"),
        ('x CAA 0 is-sue "a"', "1:9 tag: is-sue is no tag; expected letters and digits, such as issue"),
        (f'x CAA 0 {"a" * 256} "a"', "1:9 tag: aaa"),
        ('x CAA 0 issue "a" "b"', "1:19 b is one word too many; expected CAA FLAGS TAG VALUE"),
        ('x CAA 0 issue "\\256"', "1:15 value: \\DDD needs three decimal digits"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(line: str, message: str) -> None:
    (said,) = errors(line)
    assert said.startswith(message)


# --- every value ------------------------------------------------------------------------------------------------------

OCTET, NUMBER, LONG = (st.binary(min_size=n, max_size=n) for n in (1, 2, 4))
BLOB = st.binary(min_size=1, max_size=80)
NAME = st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(
    lambda labels: b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
)
COUNTED = st.binary(max_size=40).map(lambda octets: bytes((len(octets),)) + octets)
TYPES = st.sets(st.integers(1, 300) | st.integers(1, 65535), max_size=12).map(
    lambda types: dnssec_text.type_bitmap(b" ".join(b"TYPE%d" % rrtype for rrtype in types))
)
TAG = st.from_regex(rb"[A-Za-z0-9]{1,15}", fullmatch=True).map(lambda tag: bytes((len(tag),)) + tag)
DIGEST = (  # digest or fingerprint type, and what fits
    st.tuples(st.just(b"\x01"), st.binary(min_size=20, max_size=20))
    | st.tuples(st.just(b"\x02"), st.binary(min_size=32, max_size=32))
    | st.tuples(st.integers(5, 255).map(lambda n: bytes((n,))), BLOB)
).map(b"".join)


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


ITERATIONS = st.integers(0, 2500).map(lambda n: n.to_bytes(2, "big"))  # more is read, and then refused (RFC 5155 §10.3)
NEXT_HASH = st.binary(min_size=1, max_size=30).map(lambda octets: bytes((len(octets),)) + octets)
RDATA = st.one_of(
    st.tuples(st.just("RRSIG"), joined(NUMBER, OCTET, OCTET, LONG, LONG, LONG, NUMBER, NAME, BLOB)),
    st.tuples(st.just("NSEC"), joined(NAME, TYPES)),
    st.tuples(st.just("NSEC3"), joined(OCTET, OCTET, ITERATIONS, COUNTED, NEXT_HASH, TYPES)),
    st.tuples(st.just("NSEC3PARAM"), joined(OCTET, OCTET, NUMBER, COUNTED)),
    st.tuples(st.sampled_from(["DNSKEY", "CDNSKEY", "KEY"]), joined(NUMBER, OCTET, OCTET, BLOB)),
    st.tuples(st.sampled_from(["DS", "CDS", "DLV"]), joined(NUMBER, OCTET, DIGEST)),
    st.tuples(st.just("TLSA"), joined(OCTET, OCTET, st.just(b"\0"), BLOB)),
    st.tuples(st.just("SSHFP"), joined(OCTET, DIGEST)),
    st.tuples(st.just("CAA"), joined(OCTET, TAG, st.binary(max_size=300))),
)


@given(RDATA, st.booleans())
def test_every_value_that_dnspython_writes_is_read_again(value: tuple[str, bytes], folded: bool) -> None:
    word, wire = value
    text = dns.rdata.from_wire(IN, dns.rdatatype.from_text(word), wire, 0, len(wire)).to_text()
    if folded:  # as dnssec-signzone does
        # The last word of CAA is quoted; a salt has no blanks in it (RFC 5155 §4.3).
        head, *rest = text.rsplit(" ", 1) if word not in ("CAA", "NSEC3PARAM") else [text]
        text = "(\n ".join([f"{head} ", "\n ".join(chunks("".join(rest)))]) + " )"
    assert added(f"x {word} {text}") == {("x.example.com.", 300, word, wire)}


def chunks(text: str, size: int = 7) -> list[str]:
    """Only the last word of base64 or hexadecimal digits may be split; any other is short or stays whole."""
    return [text[i : i + size] for i in range(0, len(text), size)] if binary(text) else [text]


def binary(text: str) -> bool:
    try:
        return len(text) > 40 and bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


WORDS = st.sampled_from(
    ["A", "13", "256", "-", "0", "@", ".", "a..", "20260101000000", HASH, KEY, "=", '""', "\\", "TYPE1"]
)


@given(st.sampled_from(["RRSIG", "NSEC", "NSEC3", "DNSKEY", "DS", "TLSA", "SSHFP", "CAA", "KEY"]), st.data())
def test_no_words_make_the_reader_raise(word: str, data: st.DataObject) -> None:
    words = st.sampled_from(
        ["A", "13", "256", "-", "0", "@", ".", "a..", "20260101000000", HASH, KEY, "=", '""', "\\", "TYPE1"]
    )
    read(f"x {word} {' '.join(data.draw(st.lists(words, max_size=10)))}")
