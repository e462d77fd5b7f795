"""Where domain names stand inside rdata. Everything else about rdata is opaque bytes to the server."""

from typing import NamedTuple

from dns.rdatatype import RdataType

from authdns.wire import name as names
from authdns.wire.types import Type


class NameLayout(NamedTuple):
    """`skip` octets, then so many `names`, then whatever remains."""

    skip: int
    names: int


# Types whose names are compressed when sent. Those of RFC 1035 may be, and no other (RFC 3597 §4); of them, only these
# five are expanded by every reader: to dnspython and others MD, MF, MB, MG, MR and MINFO are opaque bytes.
COMPRESSIBLE: dict[int, NameLayout] = {
    Type.NS: NameLayout(0, 1),
    Type.CNAME: NameLayout(0, 1),
    Type.SOA: NameLayout(0, 2),
    Type.PTR: NameLayout(0, 1),
    Type.MX: NameLayout(2, 1),
}

# Types whose target's addresses go along in the additional section (RFC 1035 §3.3, RFC 2782, RFC 9460 §4.2).
TARGET_OFFSET: dict[int, int] = {Type.NS: 0, Type.MX: 2, Type.SRV: 6, Type.SVCB: 2, Type.HTTPS: 2}


# Types with names in them: two records that differ only in the names' case are the same record (RFC 4034 §6.2).
_NAMES: dict[int, NameLayout] = {
    **COMPRESSIBLE,
    **dict.fromkeys((Type.MD, Type.MF, Type.MB, Type.MG, Type.MR, Type.DNAME), NameLayout(0, 1)),
    **dict.fromkeys((Type.MINFO, RdataType.RP), NameLayout(0, 2)),
    **dict.fromkeys((RdataType.AFSDB, RdataType.RT, RdataType.KX), NameLayout(2, 1)),
    RdataType.PX: NameLayout(2, 2),
    Type.SRV: NameLayout(6, 1),
}

# Types whose names a sender may have compressed, all that RFC 3597 §4 lists: what comes from elsewhere is expanded.
EXPANDABLE: dict[int, NameLayout] = {
    **_NAMES,
    Type.SIG: NameLayout(18, 1),
    Type.NXT: NameLayout(0, 1),
}


def folded(rrtype: int, rdata: bytes) -> bytes:
    """What tells one record of an RRset from another (RFC 2181 §5, names without regard to case: RFC 4034 §6.2)."""
    layout = _NAMES.get(rrtype)
    if layout is None:
        return rdata
    end = layout.skip
    for _ in range(layout.names):
        end += len(name_at(rdata, end))
    return rdata[: layout.skip] + rdata[layout.skip : end].lower() + rdata[end:]


def name_at(rdata: bytes, offset: int = 0) -> bytes:
    """The uncompressed name that begins at `offset`, as spelled."""
    end = offset
    while length := rdata[end]:
        end += length + 1
    return rdata[offset : end + 1]


def target(rrtype: int, rdata: bytes, owner: bytes) -> bytes:
    """The lower-case name whose addresses a client will want next; `rrtype` is a key of TARGET_OFFSET.

    In SVCB and HTTPS a target of "." stands for the owner itself when the priority is not 0 (RFC 9460 §2.5).
    """
    found = name_at(rdata, TARGET_OFFSET[rrtype]).lower()
    if found == names.ROOT and rrtype in (Type.SVCB, Type.HTTPS) and rdata[:2] != b"\0\0":
        return owner
    return found


class Soa(NamedTuple):
    """The numbers of an SOA (RFC 1035 §3.3.13), seconds except the serial; names as spelled."""

    mname: bytes
    rname: bytes
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


def parse_soa(rdata: bytes) -> Soa:
    mname = name_at(rdata)
    rname = name_at(rdata, len(mname))
    numbers = rdata[len(mname) + len(rname) :]
    serial, refresh, retry, expire, minimum = (int.from_bytes(numbers[i : i + 4], "big") for i in range(0, 20, 4))
    return Soa(mname, rname, serial, refresh, retry, expire, minimum)
