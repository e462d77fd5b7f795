"""The messages with which a primary answers: a header, a question, records, OPT and TSIG.

A primary is chosen by the operator, but what comes from its address is as hostile as anything until all of it has been
looked at: this reader is linear in the message, follows at most MAX_POINTERS of a name, strictly backward, and lets
nothing through whose octets are not what their type is made of. Names are expanded wherever a sender may have
compressed them (RFC 3597 §4).
"""

from struct import Struct, error
from typing import NamedTuple

from dns.rdatatype import RdataType

from authdns.wire import name as names
from authdns.wire.query import HEADER_OCTETS, MAX_POINTERS, Edns, Malformed, read_additional
from authdns.wire.rdata import EXPANDABLE, NameLayout
from authdns.wire.tsig import Tsig
from authdns.wire.types import META_TYPES, Class, Flag, Opcode, Type, type_to_text
from authdns.zone.rdata_shape import SHAPES, fits
from authdns.zone.records import Record

MAX_TTL = (1 << 31) - 1
_TOO_LONG = f"a name is longer than {names.MAX_NAME_OCTETS} octets"
_FIXED = Struct(">HHIH")  # type, class, TTL, octets of rdata
_NEVER_DATA = META_TYPES | {0}  # RFC 6895 §3.1
_NAPTR_STRINGS = 3  # behind order and preference, before the name (RFC 3403 §4.1)


class BadMessage(Exception):
    """The message is not an answer to what was asked; says why."""


class Answer(NamedTuple):
    """`records` are those of the answer section, owners as spelled."""

    rcode: int
    authoritative: bool
    records: list[Record]
    edns: Edns | None
    tsig: Tsig | None


def read_answer(wire: bytes, ident: int, question: bytes) -> Answer:
    """The answer to a query with that id and question (lower-case name, type, class). A later message of a transfer may
    leave the question out (RFC 5936 §2.2.1), as may an error. Raises BadMessage."""
    if len(wire) < HEADER_OCTETS:
        raise BadMessage(f"a message of {len(wire)} octets, shorter than a header")
    found, flags, qdcount, ancount, nscount, arcount = (int.from_bytes(wire[i : i + 2], "big") for i in range(0, 12, 2))
    if found != ident:
        raise BadMessage(f"the message has the id {found}, not {ident}, which was asked with")
    if not flags & Flag.QR or flags >> 11 & 15 != Opcode.QUERY:
        raise BadMessage("the message is no answer to a query")
    if flags & Flag.TC:
        raise BadMessage("the message says that it is cut off (TC), over TCP")
    end = HEADER_OCTETS
    if qdcount:
        end += len(question)
        asked = wire[HEADER_OCTETS:end]
        if qdcount > 1 or asked[:-4].lower() + asked[-4:] != question:
            raise BadMessage("the message answers another question than the one that was asked")
    try:
        records, end = _read_records(wire, end, ancount)
        edns, tsig = _behind(wire, end, nscount, arcount)
    except (IndexError, error):
        raise BadMessage("the message is cut off") from None
    except Malformed as malformed:
        raise BadMessage(f"the message cannot be read: {malformed}") from None
    rcode = flags & 15
    return Answer(rcode, bool(flags & Flag.AA), records, edns, tsig)


def _behind(wire: bytes, end: int, nscount: int, arcount: int) -> tuple[Edns | None, Tsig | None]:
    """OPT and TSIG. The SOA query of a transfer may also be answered with name servers and their addresses."""
    others = max(0, arcount - 2)
    _, end = _read_records(wire, end, nscount + others)
    left = arcount - others
    while left and not _is_special(wire, end):
        _, end = _read_records(wire, end, 1)
        left -= 1
    return read_additional(wire, end, left, b"")


def _is_special(wire: bytes, at: int) -> bool:
    _, end = _name(wire, at, {})
    return int.from_bytes(wire[end : end + 2], "big") in (Type.OPT, Type.TSIG)


def _read_records(wire: bytes, at: int, count: int) -> tuple[list[Record], int]:
    """(the records, the offset behind them)."""
    found: list[Record] = []
    known: dict[int, bytes] = {}  # offset -> the name that begins there
    new = tuple.__new__
    unpack = _FIXED.unpack_from
    octets = len(wire)
    for _ in range(count):
        owner, at = _name(wire, at, known)
        rrtype, rrclass, ttl, length = unpack(wire, at)
        start = at + 10
        at = start + length
        if at > octets:
            raise BadMessage("a record is cut off")
        rdata = wire[start:at]
        if rrtype == Type.A:
            well_formed = length == 4
        else:
            layout = EXPANDABLE.get(rrtype)
            if layout is not None:
                rdata = _expanded(wire, start, at, layout, known)
            elif rrtype == RdataType.NAPTR:
                rdata = _expanded(wire, start, at, _naptr_layout(rdata), known)
            well_formed = rrtype not in SHAPES or fits(rrtype, rdata)
        if not well_formed or rrtype in _NEVER_DATA or rrclass != Class.IN:
            raise BadMessage(_why_not(owner, rrtype, rrclass))
        if ttl > MAX_TTL:
            ttl = 0  # RFC 2181 §8
        found.append(new(Record, (owner, rrtype, ttl, rdata)))
    return found, at


def _why_not(owner: bytes, rrtype: int, rrclass: int) -> str:
    what = f"the record {names.to_text(owner)} {type_to_text(rrtype)}"
    if rrclass != Class.IN:
        return f"{what} is of class {rrclass}, not IN"
    if rrtype in _NEVER_DATA:
        return f"{what} is of a type that no zone holds"
    return f"the octets of {what} are not those of its type"


def _expanded(wire: bytes, start: int, end: int, layout: NameLayout, known: dict[int, bytes]) -> bytes:
    """Rdata with its names written out."""
    at = start + layout.skip
    parts = [wire[start:at]]
    for _ in range(layout.names):
        name, at = _name(wire, at, known)
        parts.append(name)
    if at > end:
        raise BadMessage("a name goes beyond the end of its record")
    parts.append(wire[at:end])
    return b"".join(parts)


def _naptr_layout(rdata: bytes) -> NameLayout:
    at = 4
    for _ in range(_NAPTR_STRINGS):
        at += 1 + rdata[at]
    return NameLayout(at, 1)


def _name(wire: bytes, start: int, known: dict[int, bytes], pointers: int = 0) -> tuple[bytes, int]:
    """(the name as spelled, the offset behind it). `pointers` have been followed to get here."""
    at = start
    while length := wire[at]:
        if length > names.MAX_LABEL_OCTETS:
            name = wire[start:at] + _pointed_at(wire, at, known, pointers)
            at += 2
            break
        at += length + 1
        if at - start >= names.MAX_NAME_OCTETS:
            raise BadMessage(_TOO_LONG)
    else:
        at += 1
        name = wire[start:at]
    if len(name) > names.MAX_NAME_OCTETS:
        raise BadMessage(_TOO_LONG)
    known[start] = name
    return name, at


def _pointed_at(wire: bytes, at: int, known: dict[int, bytes], pointers: int) -> bytes:
    target = (wire[at] << 8 | wire[at + 1]) - 0xC000
    if not HEADER_OCTETS <= target < at:
        raise BadMessage("a compression pointer that does not lead backward, or an unknown label type")
    if pointers == MAX_POINTERS:
        raise BadMessage(f"more than {MAX_POINTERS} compression pointers in one name")
    return known.get(target) or _name(wire, target, known, pointers + 1)[0]
