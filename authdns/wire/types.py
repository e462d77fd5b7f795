"""The numbers of the protocol: RR types, classes, opcodes, rcodes, header bits (IANA "DNS Parameters")."""

from enum import IntEnum

import dns.rdatatype


class Type(IntEnum):
    """RR types that the server treats specially; every other one is an integer (RFC 3597)."""

    A = 1
    NS = 2
    MD = 3
    MF = 4
    CNAME = 5
    SOA = 6
    MB = 7
    MG = 8
    MR = 9
    PTR = 12
    MINFO = 14
    MX = 15
    TXT = 16
    SIG = 24
    KEY = 25
    AAAA = 28
    NXT = 30
    SRV = 33
    DNAME = 39
    OPT = 41
    DS = 43
    SSHFP = 44
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    DHCID = 49
    NSEC3 = 50
    NSEC3PARAM = 51
    TLSA = 52
    SMIMEA = 53
    CDS = 59
    CDNSKEY = 60
    OPENPGPKEY = 61
    SVCB = 64
    HTTPS = 65
    TKEY = 249
    TSIG = 250
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255
    CAA = 257
    DLV = 32769


class Class(IntEnum):
    IN = 1
    CH = 3
    NONE = 254
    ANY = 255


class Opcode(IntEnum):
    QUERY = 0
    NOTIFY = 4
    UPDATE = 5


class Rcode(IntEnum):
    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    NOTAUTH = 9
    BADVERS = 16
    BADCOOKIE = 23


class Flag(IntEnum):
    """Bits of the header's second word (RFC 1035 §4.1.1, RFC 4035 §3)."""

    QR = 0x8000
    AA = 0x0400
    TC = 0x0200
    RD = 0x0100
    RA = 0x0080
    AD = 0x0020
    CD = 0x0010


# Assigned (IANA, "Resource Record (RR) TYPEs"), seen in the type bitmaps that other programs write, and not by name in
# every release of dnspython that will do.
_MORE_NAMES = {
    "EID": 31,
    "NIMLOC": 32,
    "ATMA": 34,
    "SINK": 40,
    "RKEY": 57,
    "TALINK": 58,
    "DSYNC": 66,
    "HHIT": 67,
    "BRID": 68,
    "UINFO": 100,
    "UID": 101,
    "GID": 102,
    "NXNAME": 128,
    "DOA": 259,
    "RESINFO": 261,
    "WALLET": 262,
    "CLA": 263,
    "IPN": 264,
    "KEYDATA": 65533,  # BIND's own
}

# Types that exist only in queries and messages, never in a zone (RFC 6895 §3.1: 128-255 are Q and meta types).
META_TYPES = frozenset({Type.OPT, *range(128, 256)})


def type_to_text(rrtype: int) -> str:
    """`A`, `MX`, ... or `TYPE4711` (RFC 3597 §5)."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rrtype))


def named_types() -> frozenset[int]:
    """All types that have a name."""
    return frozenset(int(rrtype) for rrtype in dns.rdatatype.RdataType if rrtype)


def type_from_text(text: str) -> int:
    """The inverse of `type_to_text`, in either case, for more words; raises ValueError for a word that is no type."""
    text = text.upper()
    if text in _MORE_NAMES:
        return _MORE_NAMES[text]
    if text.startswith("TYPE") and text[4:].isdecimal() and text.isascii() and len(text) < 10:
        number = int(text[4:])  # dnspython takes ten times as long for these
        if number <= 0xFFFF:
            return number
    try:
        return int(dns.rdatatype.from_text(text))
    except dns.rdatatype.UnknownRdatatype:
        raise ValueError(f"{text!r} is not a record type") from None


def rcode_to_text(rcode: int) -> str:
    """`NXDOMAIN`, ... or `RCODE15`."""
    return Rcode(rcode).name if rcode in set(Rcode) else f"RCODE{rcode}"
