"""The parser for what strangers send: a header, one question, OPT and TSIG, and nothing else.

No general message parser ever sees these bytes (a hostile datagram costs such a parser milliseconds). This one is
linear and allocates a handful of small objects. No pointer is legal in the question, in OPT's root and in TSIG's
algorithm. The one name that is expanded is the owner of TSIG: clients compress it against the question (RFC 8945 does
not forbid it, BIND and dnspython do it). The names of IXFR's SOA in the authority section are skipped, not expanded.
"""

from dataclasses import dataclass

from authdns.wire import name as names
from authdns.wire.tsig import Signer, Tsig
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type

HEADER_OCTETS = 12
MINIMUM_UDP_PAYLOAD = 512  # RFC 6891 §6.2.3: smaller values are treated as this
MAX_POINTERS = 16  # followed in one name; a sender needs one
MAX_OPTIONS = 64  # in one OPT; two dozen are assigned, and walking the thousand that fit costs more than the answer
SOA_NUMBERS_OCTETS = 20


@dataclass(frozen=True, slots=True)
class Edns:
    """What the OPT record said (RFC 6891 §6.1). `options` is the raw option list, known to be well-formed unless it
    came with Malformed. `cookie` and `expire` are not what was asked but what is to be answered: the octets of COOKIE,
    or none; the seconds of EXPIRE, or None."""

    payload: int
    version: int
    dnssec_ok: bool
    options: bytes
    cookie: bytes = b""
    expire: int | None = None

    def option(self, code: int) -> bytes | None:
        """What the first option with that code holds; None if there is none, or not all of it."""
        position = 0
        for _ in range(MAX_OPTIONS):
            if position + 4 > len(self.options):
                break
            end = position + 4 + int.from_bytes(self.options[position + 2 : position + 4], "big")
            if int.from_bytes(self.options[position : position + 2], "big") == code:
                return self.options[position + 4 : end] if end <= len(self.options) else None
            position = end
        return None


@dataclass(frozen=True, slots=True)
class Query:
    """A well-formed request. `qname` is lower-case; `question` is the question section as it was spelled.

    Both are b"" where an opcode other than QUERY and NOTIFY came without a question. `signer` is not what was read but
    what was found out: `tsig` is genuine, and the response is to be signed by it.
    """

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
    notified_serial: int | None = None  # the hint that a NOTIFY may hold
    signer: Signer | None = None


class Malformed(Exception):
    """The request is answered with FORMERR. `question` is b"" if not even that could be read."""

    rcode = Rcode.FORMERR

    def __init__(self, reason: str, question: bytes = b"", edns: Edns | None = None) -> None:
        super().__init__(reason)
        self.question = question
        self.edns = edns


class NoQuestion(Malformed):
    """Nothing else is wrong with it: who asks for a cookie only (RFC 7873 §5.4) may leave the question out."""


def parse_query(wire: bytes) -> Query:
    """Reads a request of at least 12 octets with QR=0 (the caller drops anything else). Raises Malformed."""
    ident, flags, qdcount, ancount, nscount, arcount = (int.from_bytes(wire[i : i + 2], "big") for i in range(0, 12, 2))
    opcode = flags >> 11 & 15
    end = HEADER_OCTETS
    if qdcount == 1:
        end = _name_end(wire, HEADER_OCTETS) + 4
        if end > len(wire):
            raise Malformed("the question is cut off")
    question = wire[HEADER_OCTETS:end]
    qname = question[:-4].lower()
    qtype = int.from_bytes(question[-4:-2], "big")
    qclass = int.from_bytes(question[-2:], "big")
    if opcode not in (Opcode.QUERY, Opcode.NOTIFY):
        # Other opcodes give the sections another meaning (UPDATE, RFC 2136) or have no question (DSO, RFC 8490 §5.4);
        # they are refused by opcode, not by form.
        edns = None if qdcount > 1 or ancount or nscount else _edns_if_any(wire, end, arcount)
        return Query(ident, flags, opcode, question, qname, qtype, qclass, edns, None, None)
    if qdcount != 1:
        if opcode == Opcode.QUERY and not (qdcount or ancount or nscount):
            raise _without_question(wire, end, arcount)
        edns = None if qdcount or ancount or nscount else _edns_if_any(wire, end, arcount)
        raise Malformed(f"QDCOUNT is {qdcount}, expected 1", edns=edns)
    ixfr_serial = None
    if ancount > (opcode == Opcode.NOTIFY):
        raise Malformed(f"ANCOUNT is {ancount}", question)
    notified_serial = None
    if ancount:  # the new SOA, a hint (RFC 1996 §3.7)
        end, rrtype, rdata = _fixed_part(wire, _skip_name(wire, end, question), question, None)
        notified_serial = _serial_of(rrtype, rdata, question) if rrtype == Type.SOA else None
    if nscount:
        if nscount != 1 or qtype != Type.IXFR:
            raise Malformed(f"NSCOUNT is {nscount}", question)
        end, rrtype, rdata = _fixed_part(wire, _skip_name(wire, end, question), question, None)
        ixfr_serial = _serial_of(rrtype, rdata, question)
    edns, tsig = read_additional(wire, end, arcount, question)
    return Query(ident, flags, opcode, question, qname, qtype, qclass, edns, tsig, ixfr_serial, notified_serial)


def tsig_of_response(wire: bytes) -> Tsig | None:
    """TSIG of what answers a NOTIFY, at least 12 octets: the same form, but an error may lack the question (NSD's do).
    Raises Malformed."""
    if wire[4:10] == bytes(6):
        return read_additional(wire, HEADER_OCTETS, int.from_bytes(wire[10:12], "big"), b"")[1]
    return parse_query(wire).tsig


def _without_question(wire: bytes, end: int, arcount: int) -> Malformed:
    try:
        edns, tsig = read_additional(wire, end, arcount, b"")
    except Malformed as error:
        return error
    kind = Malformed if tsig else NoQuestion
    return kind("QDCOUNT is 0, expected 1", edns=edns)


def _edns_if_any(wire: bytes, end: int, arcount: int) -> Edns | None:
    """OPT of a request that is refused whatever else it holds: it is answered with OPT (RFC 6891 §6.1.1)."""
    try:
        return read_additional(wire, end, arcount, b"")[0]
    except Malformed as error:
        return error.edns


def read_additional(wire: bytes, end: int, arcount: int, question: bytes) -> tuple[Edns | None, Tsig | None]:
    """OPT at most once (RFC 6891 §6.1.1), TSIG last (RFC 8945 §5.1), nothing behind them."""
    edns: Edns | None = None
    tsig: Tsig | None = None
    if arcount > 2:
        raise Malformed(f"ARCOUNT is {arcount}, at most 2 are possible", question)
    for _ in range(arcount):
        if tsig is not None:
            raise Malformed("TSIG is not the last record", question, edns)
        start = end
        owner, owner_end = _expand(wire, start, question, edns)
        end, rrtype, rdata = _fixed_part(wire, owner_end, question, edns)
        if rrtype == Type.OPT and edns is None:
            edns = _read_opt(wire, start, owner_end, rdata, question)
        elif rrtype == Type.TSIG:
            tsig = _read_tsig(owner, start, wire[owner_end : owner_end + 8], rdata, question, edns)
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
    for _ in range(MAX_OPTIONS):
        if position >= len(rdata):
            break
        position += 4 + int.from_bytes(rdata[position + 2 : position + 4], "big")
    if position != len(rdata):
        raise Malformed(f"the options of OPT are cut off, or more than {MAX_OPTIONS}", question, edns)
    return edns


def _read_tsig(owner: bytes, start: int, fixed: bytes, rdata: bytes, question: bytes, edns: Edns | None) -> Tsig:
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
        mac=rdata[mac_at:mac_end],
        error=int.from_bytes(rdata[mac_end + 2 : mac_end + 4], "big"),
        other=rdata[other_at:],
        begins_at=start,
    )


def _name_end(wire: bytes, start: int, question: bytes = b"", edns: Edns | None = None) -> int:
    """The offset behind an uncompressed name of at most 255 octets."""
    octets = wire[start : start + names.MAX_NAME_OCTETS]
    position = 0
    try:
        while length := octets[position]:
            if length > names.MAX_LABEL_OCTETS:
                raise Malformed("a compression pointer or an unknown label type where none may be", question, edns)
            position += length + 1
    except IndexError:
        reason = f"a name is cut off, or longer than {names.MAX_NAME_OCTETS} octets"
        raise Malformed(reason, question, edns) from None
    return start + position + 1


def _expand(wire: bytes, start: int, question: bytes, edns: Edns | None) -> tuple[bytes, int]:
    """(the name, as spelled, at most 255 octets; the offset behind it). Pointers lead strictly backward."""
    if wire[start : start + 1] == names.ROOT:
        return names.ROOT, start + 1  # nearly always
    found = bytearray()
    end = 0
    hops = 0
    position = before = start
    while position < len(wire):
        length = wire[position]
        if length <= names.MAX_LABEL_OCTETS:
            found += wire[position : position + length + 1]
            position += length + 1
            if len(found) > names.MAX_NAME_OCTETS:
                raise Malformed(f"a name is longer than {names.MAX_NAME_OCTETS} octets", question, edns)
            if not length:
                return bytes(found), end or position
            continue
        target = int.from_bytes(wire[position : position + 2], "big") & 0x3FFF
        end = end or position + 2
        hops += 1
        if length < 0xC0 or not HEADER_OCTETS <= target < before or hops > MAX_POINTERS:
            raise Malformed("a bad compression pointer or an unknown label type", question, edns)
        position = before = target
    raise Malformed("a name is cut off", question, edns)


def _skip_name(wire: bytes, start: int, question: bytes) -> int:
    """The offset behind a name that may end in a pointer, which is not followed."""
    octets = wire[start : start + names.MAX_NAME_OCTETS]
    position = 0
    try:
        while length := octets[position]:
            if length > names.MAX_LABEL_OCTETS:
                if length >= 0xC0:
                    return start + position + 2
                raise Malformed("an unknown label type", question)
            position += length + 1
    except IndexError:
        raise Malformed(f"a name is cut off, or longer than {names.MAX_NAME_OCTETS} octets", question) from None
    return start + position + 1


def _fixed_part(wire: bytes, position: int, question: bytes, edns: Edns | None) -> tuple[int, int, bytes]:
    """(offset behind the record, its type, its rdata); `position` is behind the owner."""
    rdata_at = position + 10
    end = rdata_at + int.from_bytes(wire[rdata_at - 2 : rdata_at], "big")
    if end > len(wire) or rdata_at > len(wire):
        raise Malformed("a record is cut off", question, edns)
    return end, int.from_bytes(wire[position : position + 2], "big"), wire[rdata_at:end]


def _serial_of(rrtype: int, rdata: bytes, question: bytes) -> int:
    """The serial in the SOA of an IXFR query (RFC 1995 §3) or a NOTIFY."""
    if rrtype != Type.SOA:
        raise Malformed("the authority section of the IXFR query is no SOA", question)
    numbers_at = _skip_name(rdata, _skip_name(rdata, 0, question), question)
    if numbers_at + SOA_NUMBERS_OCTETS != len(rdata):
        raise Malformed("the SOA of the request is cut off or too long", question)
    return int.from_bytes(rdata[numbers_at : numbers_at + 4], "big")


def is_request(wire: bytes) -> bool:
    """False for what gets no answer at all: shorter than a header, or itself a response (loops, reflection)."""
    return len(wire) >= HEADER_OCTETS and not wire[2] & (Flag.QR >> 8)
