"""The words that DNSSEC's types and their like are written with, as octets: mnemonics, times, hashes, type bitmaps.

Each function takes one word, or the words of one value joined, as raw octets, and gives that part of the rdata; it
raises ValueError that says what was expected. Nothing is known here of tokens and lines: both readings of
`rdata_text` use these, and so have one meaning.

What any of BIND, NSD, Knot and dnspython takes is taken, as long as it is no mistake for sure: a signer need not be of
our make.
"""

import binascii
import re
from datetime import UTC, datetime
from typing import Final

from authdns.wire.types import type_from_text
from authdns.zone.lexer import shown

MAX_WORD_OCTETS = 40  # of a number or mnemonic, all of which are shorter
MAX_HASH_OCTETS = 255  # RFC 5155 §3.2: lengths of salt and hash are one octet each
SHA1_CHARACTERS = 32  # of a hashed owner name in base32hex: 160 bits, five a character (RFC 5155 §1.3)

_ALGORITHMS: Final = {  # IANA, "DNS Security Algorithm Numbers", and what BIND and dnspython call them
    "RSAMD5": 1,
    "DH": 2,
    "DSA": 3,
    "ECC": 4,
    "RSASHA1": 5,
    "DSA-NSEC3-SHA1": 6,
    "DSANSEC3SHA1": 6,
    "NSEC3DSA": 6,
    "RSASHA1-NSEC3-SHA1": 7,
    "RSASHA1NSEC3SHA1": 7,
    "NSEC3RSASHA1": 7,
    "RSASHA256": 8,
    "RSASHA512": 10,
    "ECC-GOST": 12,
    "ECCGOST": 12,
    "ECDSAP256SHA256": 13,
    "ECDSAP384SHA384": 14,
    "ED25519": 15,
    "ED448": 16,
    "SM2SM3": 17,
    "ECC-GOST12": 23,
    "INDIRECT": 252,
    "PRIVATEDNS": 253,
    "PRIVATEOID": 254,
}
_DIGEST_TYPES: Final = {  # BIND's words for IANA's "DNSSEC Delegation Signer Digest Algorithms"
    "SHA-1": 1,
    "SHA1": 1,
    "SHA-256": 2,
    "SHA256": 2,
    "GOST": 3,
    "SHA-384": 4,
    "SHA384": 4,
}
_HASHES: Final = {"SHA-1": 1}  # RFC 5155 §11, in BIND's words
_PROTOCOLS: Final = {"NONE": 0, "TLS": 1, "EMAIL": 2, "DNSSEC": 3, "IPSEC": 4, "ALL": 255}  # RFC 2535 §7.1
_KEY_FLAGS: Final = {  # RFC 2535 §7.1; KSK is BIND's word for the SEP flag (RFC 4034 §2.1.1)
    "NOCONF": 0x4000,
    "NOAUTH": 0x8000,
    "NOKEY": 0xC000,
    "FLAG2": 0x2000,
    "EXTEND": 0x1000,
    "FLAG4": 0x0800,
    "FLAG5": 0x0400,
    "USER": 0x0000,
    "ZONE": 0x0100,
    "HOST": 0x0200,
    "NTYP3": 0x0300,
    "FLAG8": 0x0080,
    "FLAG9": 0x0040,
    "FLAG10": 0x0020,
    "FLAG11": 0x0010,
    "KSK": 0x0001,
    **{f"SIG{n}": n for n in range(16)},
}
_DIGEST_OCTETS = {1: 20, 2: 32, 4: 48}  # RFC 4034 §5.1.4, RFC 4509 §2.2, RFC 6605 §2
_FINGERPRINT_OCTETS = {1: 20, 2: 32}  # RFC 4255 §3.1.3, RFC 6594 §4
ZONE_DIGEST_OCTETS = {1: 48, 2: 64}  # RFC 8976 §5.3: SHA-384, SHA-512
_TIME = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)")


def _octet(word: bytes, words: dict[str, int], what: str, example: str) -> bytes:
    """A number from 0 to 255, or one of the `words` in either case."""
    if word.isdigit() and len(word) <= 10 and int(word) <= 255:
        return bytes((int(word),))
    number = words.get(word.decode("latin-1").upper()) if len(word) <= MAX_WORD_OCTETS else None
    if number is None:
        raise ValueError(f"{shown(word)} is no {what}; expected a number from 0 to 255, or a word such as {example}")
    return bytes((number,))


def algorithm(word: bytes) -> bytes:
    return _octet(word, _ALGORITHMS, "algorithm", "RSASHA256")


def digest_type(word: bytes) -> bytes:
    return _octet(word, _DIGEST_TYPES, "digest type", "SHA-256")


def hash_algorithm(word: bytes) -> bytes:
    return _octet(word, _HASHES, "hash algorithm", "SHA-1")


def key_protocol(word: bytes) -> bytes:
    return _octet(word, _PROTOCOLS, "protocol", "DNSSEC")


def key_flags(word: bytes) -> bytes:
    """A number, or words joined by `|` (RFC 2535 §7.1)."""
    if word.isdigit() and len(word) <= 10:
        flags = int(word)
    else:
        text = word.decode("latin-1").upper() if len(word) <= MAX_WORD_OCTETS else ""
        flags = 0
        for part in text.split("|"):
            flags |= _KEY_FLAGS.get(part, 1 << 16)
    if flags > 0xFFFF:
        raise ValueError(f"{shown(word)} are no flags; expected a number from 0 to 65535, such as 257")
    return flags.to_bytes(2, "big")


def covered_type(word: bytes) -> bytes:
    """The type that a signature is for: any, also those that no zone file has (a SIG(0) covers type 0)."""
    return _type(word).to_bytes(2, "big")


def _type(word: bytes) -> int:
    if len(word) <= MAX_WORD_OCTETS:
        try:
            return type_from_text(word.decode("ascii"))
        except ValueError:
            pass
    raise ValueError(f"{shown(word)} is no record type; expected A, MX, ... or TYPE1234")


def signature_time(word: bytes) -> bytes:
    """YYYYMMDDHHmmSS in UTC, or seconds since 1970 (RFC 4034 §3.2), modulo 2^32 (§3.1.5)."""
    if word.isdigit() and len(word) <= 10:
        seconds = int(word)
        if seconds < 1 << 32:
            return seconds.to_bytes(4, "big")
    elif found := _TIME.fullmatch(word):
        year, month, day, hour, minute, second = map(int, found.groups())
        try:
            at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)  # 60: a leap second, as in BIND
        except ValueError:
            pass
        else:
            if year >= 1970 and second <= 60:
                return (int(at.timestamp()) + second - at.second & 0xFFFFFFFF).to_bytes(4, "big")
    raise ValueError(
        f"{shown(word)} is no time; expected YYYYMMDDHHMMSS, such as 20260101120000, or seconds since 1970"
    )


def type_bitmap(text: bytes) -> bytes:
    """The types in any order, and none of them, as windows of 256 (RFC 4034 §4.1.2). May also raise for one word."""
    windows: dict[int, bytearray] = {}
    for word in text.split():
        rrtype = _type(word)
        if rrtype == 0:
            raise ValueError(f"{shown(word)} cannot be among the types of a name (RFC 4034 §4.1.2)")
        bits = windows.setdefault(rrtype >> 8, bytearray())
        at = rrtype >> 3 & 31
        bits.extend(bytes(max(0, at + 1 - len(bits))))
        bits[at] |= 0x80 >> (rrtype & 7)
    return b"".join(bytes((window, len(windows[window]))) + windows[window] for window in sorted(windows))


def salt(word: bytes) -> bytes:
    """Its length and octets; `-` is none (RFC 5155 §3.3), and so is an empty string to NSD and dnspython."""
    octets = b"" if word == b"-" else hexadecimal(word)
    if len(octets) > MAX_HASH_OCTETS:
        raise ValueError(f"the salt is {len(octets)} octets long, at most {MAX_HASH_OCTETS} are possible")
    return bytes((len(octets),)) + octets


def next_hash(word: bytes) -> bytes:
    """The length and octets of base32hex without padding (RFC 5155 §3.3; RFC 4648 §7). `int` has the same digits."""
    octets, rest = divmod(len(word) * 5, 8)
    if word.isalnum() and rest < 5 and octets <= MAX_HASH_OCTETS:
        try:
            number = int(word, 32)
            if len(word) == SHA1_CHARACTERS:
                return b"\x14" + number.to_bytes(20, "big")
            if not number & (1 << rest) - 1:
                return bytes((octets,)) + (number >> rest).to_bytes(octets, "big")
        except ValueError:
            pass
    raise ValueError(f"{shown(word)} is no hash; expected base32hex (0-9, A-V), 32 characters of it for SHA-1")


def hexadecimal(text: bytes) -> bytes:
    try:
        return binascii.unhexlify(text)
    except binascii.Error:
        raise ValueError("expected hexadecimal digits, two for each octet") from None


def base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise ValueError("expected base64 (A-Z, a-z, 0-9, +, /), four characters or = for every three octets") from None


def digest(kind: int, text: bytes) -> bytes:
    """Of a DS of that digest type."""
    return _fitting(_DIGEST_OCTETS, kind, hexadecimal(text))


def fingerprint(kind: int, text: bytes) -> bytes:
    """Of an SSHFP of that fingerprint type."""
    return _fitting(_FINGERPRINT_OCTETS, kind, hexadecimal(text))


def _fitting(octets_by_kind: dict[int, int], kind: int, value: bytes) -> bytes:
    """`value`, if it is as long as a digest of that kind is: BIND refuses others, also when it transfers the zone."""
    expected = octets_by_kind.get(kind, len(value))
    if len(value) != expected:
        raise ValueError(f"{len(value)} octets; expected {expected}, which is what type {kind} has")
    return value
