"""The parser for what strangers send: a header, one question, OPT and TSIG, and nothing else.

No general message parser ever sees these bytes (a hostile datagram costs such a parser milliseconds). This one is
linear, allocates a handful of small objects, and follows no pointer: none is legal in the only names that it reads
(question, OPT's root, the TSIG owner after it; a pointer there is FORMERR). IXFR's SOA in the authority section has an
owner that may be compressed, and its names are skipped, not expanded.
"""

from dataclasses import dataclass

from authdns.wire import name as names
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type

HEADER_OCTETS = 12
MINIMUM_UDP_PAYLOAD = 512  # RFC 6891 §6.2.3: smaller values are treated as this


@dataclass(frozen=True, slots=True)
class Edns:
    """What the OPT record said (RFC 6891 §6.1). `options` is the raw option list, known to be well-formed."""

    payload: int
    version: int
    dnssec_ok: bool
    options: bytes


@dataclass(frozen=True, slots=True)
class Tsig:
    """A TSIG record (RFC 8945 §4.2) as far as refusing it needs: names lower-case, times in seconds."""

    key: bytes
    algorithm: bytes
    time_signed: int
    fudge: int
    original_id: int


@dataclass(frozen=True, slots=True)
class Query:
    """A well-formed request. `qname` is lower-case; `question` is the question section as it was spelled."""

    id: int
    flags: int
    opcode: int
    question: bytes
    qname: bytes
    qtype: int
    qclass: int
    edns: Edns | None
    tsig: Tsig | None
    ixfr_serial: int | None


class Malformed(Exception):
    """The request is answered with FORMERR. `question` is b"" if not even that could be read."""

    rcode = Rcode.FORMERR

    def __init__(self, reason: str, question: bytes = b"", edns: Edns | None = None) -> None:
        super().__init__(reason)
        self.question = question
        self.edns = edns


def parse_query(wire: bytes) -> Query:
    """Reads a request of at least 12 octets with QR=0 (the caller drops anything else). Raises Malformed."""
    ident, flags, qdcount, ancount, nscount, arcount = (int.from_bytes(wire[i : i + 2], "big") for i in range(0, 12, 2))
    opcode = flags >> 11 & 15
    if qdcount != 1:
        raise Malformed(f"QDCOUNT is {qdcount}, expected 1")
    end = _name_end(wire, HEADER_OCTETS) + 4
    if end > len(wire):
        raise Malformed("the question is cut off")
    question = wire[HEADER_OCTETS:end]
    qtype = int.from_bytes(wire[end - 4 : end - 2], "big")
    if opcode not in (Opcode.QUERY, Opcode.NOTIFY):
        # Other opcodes give the sections another meaning (UPDATE, RFC 2136); they are refused by opcode, not by form.
        return Query(
            ident, flags, opcode, question, question[:-4].lower(), qtype, _class_of(question), None, None, None
        )
    ixfr_serial = None
    if ancount > (opcode == Opcode.NOTIFY):
        raise Malformed(f"ANCOUNT is {ancount}", question)
    if ancount:
        end = _skip_record(wire, end, question)
    if nscount:
        if nscount != 1 or qtype != Type.IXFR:
            raise Malformed(f"NSCOUNT is {nscount}", question)
        start, end = end, _skip_record(wire, end, question)
        ixfr_serial = _serial_of(wire[start:end], question)
    if arcount > 2:
        raise Malformed(f"ARCOUNT is {arcount}, at most 2 are possible", question)
    edns, tsig = _read_additional(wire, end, arcount, question)
    return Query(
        ident, flags, opcode, question, question[:-4].lower(), qtype, _class_of(question), edns, tsig, ixfr_serial
    )


def _class_of(question: bytes) -> int:
    return int.from_bytes(question[-2:], "big")


def _read_additional(wire: bytes, end: int, arcount: int, question: bytes) -> tuple[Edns | None, Tsig | None]:
    """OPT at most once (RFC 6891 §6.1.1), TSIG last (RFC 8945 §5.1), nothing behind them."""
    edns: Edns | None = None
    tsig: Tsig | None = None
    for _ in range(arcount):
        if tsig is not None:
            raise Malformed("TSIG is not the last record", question, edns)
        start = end
        owner_end = _name_end(wire, start, question, edns)
        end, rrtype, rdata = _fixed_part(wire, owner_end, question, edns)
        if rrtype == Type.OPT and edns is None:
            edns = _read_opt(wire, start, owner_end, rdata, question)
        elif rrtype == Type.TSIG:
            tsig = _read_tsig(wire[start:owner_end], wire[owner_end : owner_end + 8], rdata, question, edns)
        else:
            raise Malformed("an additional record that is neither the one OPT nor TSIG", question, edns)
    if end != len(wire):
        raise Malformed(f"{len(wire) - end} octets behind the end", question, edns)
    return edns, tsig


def _read_opt(wire: bytes, start: int, owner_end: int, rdata: bytes, question: bytes) -> Edns:
    if owner_end - start != 1:
        raise Malformed("the owner of OPT is not the root", question)
    payload = int.from_bytes(wire[owner_end + 2 : owner_end + 4], "big")
    version = wire[owner_end + 5]
    dnssec_ok = bool(wire[owner_end + 6] & 0x80)
    edns = Edns(max(payload, MINIMUM_UDP_PAYLOAD), version, dnssec_ok, rdata)
    position = 0
    while position < len(rdata):
        position += 4 + int.from_bytes(rdata[position + 2 : position + 4], "big")
    if position != len(rdata):
        raise Malformed("the options of OPT are cut off", question, edns)
    return edns


def _read_tsig(owner: bytes, fixed: bytes, rdata: bytes, question: bytes, edns: Edns | None) -> Tsig:
    if int.from_bytes(fixed[2:4], "big") != Class.ANY or fixed[4:8] != b"\0\0\0\0":
        raise Malformed("TSIG has class ANY and TTL 0", question, edns)
    algorithm_end = _name_end(rdata, 0, question, edns)
    mac_at = algorithm_end + 10
    mac_end = mac_at + int.from_bytes(rdata[mac_at - 2 : mac_at], "big")
    other_at = mac_end + 6
    other_octets = int.from_bytes(rdata[other_at - 2 : other_at], "big")
    if other_at + other_octets != len(rdata):
        raise Malformed("the rdata of TSIG is cut off", question, edns)
    return Tsig(
        key=owner.lower(),
        algorithm=rdata[:algorithm_end].lower(),
        time_signed=int.from_bytes(rdata[algorithm_end : algorithm_end + 6], "big"),
        fudge=int.from_bytes(rdata[algorithm_end + 6 : algorithm_end + 8], "big"),
        original_id=int.from_bytes(rdata[mac_end : mac_end + 2], "big"),
    )


def _name_end(wire: bytes, position: int, question: bytes = b"", edns: Edns | None = None) -> int:
    """The offset behind an uncompressed name of at most 255 octets."""
    start = position
    while position < len(wire):
        length = wire[position]
        if length > names.MAX_LABEL_OCTETS:
            raise Malformed("a compression pointer or an unknown label type where none may be", question, edns)
        position += length + 1
        if position - start > names.MAX_NAME_OCTETS:
            raise Malformed(f"a name is longer than {names.MAX_NAME_OCTETS} octets", question, edns)
        if not length:
            return position
    raise Malformed("a name is cut off", question, edns)


def _skip_record(wire: bytes, position: int, question: bytes) -> int:
    """The offset behind a record whose owner may end in a pointer, which is not followed."""
    start = position
    while position < len(wire) and 0 < wire[position] <= names.MAX_LABEL_OCTETS:
        position += wire[position] + 1
        if position - start > names.MAX_NAME_OCTETS:
            raise Malformed(f"a name is longer than {names.MAX_NAME_OCTETS} octets", question)
    position += 2 if position < len(wire) and wire[position] >= 0xC0 else 1
    return _fixed_part(wire, position, question, None)[0]


def _fixed_part(wire: bytes, position: int, question: bytes, edns: Edns | None) -> tuple[int, int, bytes]:
    """(offset behind the record, its type, its rdata); `position` is behind the owner."""
    rdata_at = position + 10
    end = rdata_at + int.from_bytes(wire[rdata_at - 2 : rdata_at], "big")
    if end > len(wire) or rdata_at > len(wire):
        raise Malformed("a record is cut off", question, edns)
    return end, int.from_bytes(wire[position : position + 2], "big"), wire[rdata_at:end]


def _serial_of(record: bytes, question: bytes) -> int:
    """The serial in the SOA of an IXFR query (RFC 1995 §3): 20 octets of numbers end the record."""
    if len(record) < 33:  # owner 1, fixed 10, two names 2, numbers 20
        raise Malformed("the SOA of the IXFR query is too short", question)
    return int.from_bytes(record[-20:-16], "big")


def is_request(wire: bytes) -> bool:
    """False for what gets no answer at all: shorter than a header, or itself a response (loops, reflection)."""
    return len(wire) >= HEADER_OCTETS and not wire[2] & (Flag.QR >> 8)
