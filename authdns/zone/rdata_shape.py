r"""What the octets of a type are made of: the check of rdata that is written as `\# LENGTH HEX` (RFC 3597 §5).

Names and strings have to end where they say, since this server, its secondaries and every resolver will look for what
follows them. What the values mean is not looked at: BIND, NSD and Knot load them, and so does whoever wrote the octets.
"""

from collections.abc import Callable
from typing import Final

from dns.rdatatype import RdataType

from authdns.wire import name as names
from authdns.wire.types import Type

Part = Callable[[bytes, int], int]  # the rdata, where the part begins -> where it ends; ValueError, or IndexError

_MAX_WINDOW_OCTETS = 32  # RFC 4034 §4.1.2
_GATEWAY_OCTETS = {0: 0, 1: 4, 2: 16}  # RFC 4025 §2.3: none, IPv4, IPv6
_GATEWAY_IS_NAME = 3


def fits(rrtype: int, rdata: bytes) -> bool:
    """Whether `rdata` can be of that type, one of SHAPES."""
    at = 0
    try:
        for part in SHAPES[rrtype]:
            at = part(rdata, at)
    except (ValueError, IndexError):
        return False
    return at == len(rdata)


def _octets(count: int) -> Part:
    return lambda rdata, at: at + count  # beyond the end `fits` sees it, or the next part does


def _name(rdata: bytes, at: int) -> int:
    """Uncompressed: a pointer would be a label longer than any."""
    start = at
    while length := rdata[at]:
        if length > names.MAX_LABEL_OCTETS:
            raise ValueError("no label")
        at += length + 1
    if at + 1 - start > names.MAX_NAME_OCTETS:
        raise ValueError("too long")
    return at + 1


def _string(rdata: bytes, at: int) -> int:
    return at + 1 + rdata[at]


def _strings(rdata: bytes, at: int) -> int:
    """One or more."""
    at = _string(rdata, at)
    while at < len(rdata):
        at = _string(rdata, at)
    return at


def _rest(rdata: bytes, at: int) -> int:
    return max(at, len(rdata))


def _some(rdata: bytes, at: int) -> int:
    """What remains, one octet at least."""
    return max(at + 1, len(rdata))


def _bitmap(rdata: bytes, at: int) -> int:
    """Types (RFC 4034 §4.1.2), also none of them."""
    last = -1
    while at < len(rdata):
        window, length = rdata[at], rdata[at + 1]
        if window <= last or not 0 < length <= _MAX_WINDOW_OCTETS:
            raise ValueError("no window")
        last, at = window, at + 2 + length
    return at


def _parameters(rdata: bytes, at: int) -> int:
    """Keys in ascending order, each with its value (RFC 9460 §2.2)."""
    last = -1
    while at < len(rdata):
        key, length = int.from_bytes(rdata[at : at + 2], "big"), rdata[at + 2] << 8 | rdata[at + 3]
        if key <= last:
            raise ValueError("not in order")
        last, at = key, at + 4 + length
    return at


def _gateway(rdata: bytes, at: int) -> int:
    """Of IPSECKEY and AMTRELAY: their second octet says what it is (in AMTRELAY, after one bit: RFC 8777 §4.2)."""
    kind = rdata[1] & 0x7F
    if kind == _GATEWAY_IS_NAME:
        return _name(rdata, at)
    return at + _GATEWAY_OCTETS[kind] if kind in _GATEWAY_OCTETS else len(rdata)


def _location(rdata: bytes, at: int) -> int:
    """Another version than 0 may look otherwise (RFC 1876 §2)."""
    return 16 if rdata[0] == 0 else len(rdata)


SHAPES: Final[dict[int, tuple[Part, ...]]] = {
    Type.A: (_octets(4),),
    Type.AAAA: (_octets(16),),
    **dict.fromkeys((Type.NS, Type.CNAME, Type.PTR, Type.DNAME, RdataType.NSAP_PTR), (_name,)),
    **dict.fromkeys((Type.MD, Type.MF, Type.MB, Type.MG, Type.MR), (_name,)),
    Type.SOA: (_name, _name, _octets(20)),
    **dict.fromkeys((Type.MINFO, RdataType.RP), (_name, _name)),
    **dict.fromkeys((Type.MX, RdataType.AFSDB, RdataType.RT, RdataType.KX, RdataType.LP), (_octets(2), _name)),
    RdataType.PX: (_octets(2), _name, _name),
    Type.SRV: (_octets(6), _name),
    RdataType.NAPTR: (_octets(4), _string, _string, _string, _name),
    **dict.fromkeys((Type.SVCB, Type.HTTPS), (_octets(2), _name, _parameters)),
    RdataType.IPSECKEY: (_octets(3), _gateway, _rest),
    RdataType.AMTRELAY: (_octets(2), _gateway),
    **dict.fromkeys((Type.TXT, RdataType.SPF, RdataType.NINFO, RdataType.AVC), (_strings,)),
    **dict.fromkeys((261, 262), (_strings,)),  # RESINFO, WALLET: not in every dnspython
    RdataType.HINFO: (_string, _string),
    RdataType.GPOS: (_string, _string, _string),
    RdataType.LOC: (_location,),
    **dict.fromkeys((RdataType.NID, RdataType.L64), (_octets(10),)),
    RdataType.L32: (_octets(6),),
    RdataType.EUI48: (_octets(6),),
    RdataType.EUI64: (_octets(8),),
    RdataType.URI: (_octets(4), _rest),
    RdataType.CERT: (_octets(5), _rest),
    RdataType.ZONEMD: (_octets(6), _some),
    Type.SSHFP: (_octets(2), _rest),
    **dict.fromkeys((Type.TLSA, Type.SMIMEA), (_octets(3), _some)),
    **dict.fromkeys((Type.DNSKEY, Type.CDNSKEY, Type.KEY), (_octets(4), _rest)),
    **dict.fromkeys((Type.RRSIG, Type.SIG), (_octets(18), _name, _rest)),
    Type.NXT: (_name, _rest),
    Type.NSEC: (_name, _bitmap),
    Type.NSEC3: (_octets(4), _string, _string, _bitmap),
    Type.NSEC3PARAM: (_octets(4), _string),
    RdataType.CSYNC: (_octets(6), _bitmap),
}
