"""Whatever octets: the answers over UDP and TCP, and what the query parser makes of them.

Checked: no exception; the invariants of every answer; that dnspython and dnslib can read it; that what is well-formed
to us is well-formed to dnspython and means the same, and the other way round; that bits without a meaning (Z in a
query) change nothing, which compares the short way of `respond` with the ladder; and that the same packet, signed, has
a response that is signed wherever there is room.
"""

from __future__ import annotations

from dataclasses import replace

import dns.exception
import dns.message
import dns.rcode
import dnslib

from authdns.answer.executor import ServedZone
from authdns.answer.respond import NANOSECONDS, Responder
from authdns.wire.query import MAX_OPTIONS, Malformed, Query, parse_query, tsig_of_response
from authdns.wire.tsig import ALGORITHMS, Key, Signer, verify_response
from authdns.wire.types import Class, Opcode, Rcode, Type
from tests.fuzz.invariants import HEADER_OCTETS, Violation, check_answer, is_request, name_end
from tests.fuzz.zones import responder, table

TC, Z = 0x02, 0x40
MAX_READ = 100_000  # answers that were read once are not read again, apart from their ids
PRIVATE_OPTION = b"\xfd\xe9"

KEY = Key(b"\3key\7example\0", ALGORITHMS["hmac-sha256"], bytes(32))
NOW = 1_800_000_000

_read: set[bytes] = set()


def check(packet: bytes) -> str:
    """What became of it, in a word. Raises Violation, or whatever authdns raises."""
    packet = packet[:65535]
    udp, tcp = (answers(responder(tcp=is_tcp), packet, is_tcp) for is_tcp in (False, True))
    if not is_request(packet):
        return "silence"
    for one, other in zip(udp, tcp, strict=True):
        if (one[2] & ~TC, one[3]) != (other[2], other[3]) or (not one[2] & TC and one[6:8] != other[6:8]):
            raise Violation(f"UDP and TCP differ\nrequest {packet.hex()}\nUDP {one.hex()}\nTCP {other.hex()}")
    if not packet[3] & Z:
        unusual = packet[:3] + bytes((packet[3] | Z,)) + packet[4:]
        if answers(responder(tcp=False), unusual, False) != udp:
            raise Violation(f"Z changes the answer\nrequest {packet.hex()}")
    compare_with_dnspython(packet)
    check_signed(packet)
    return f"rcode {udp[-1][3] & 15}"


def answers(to: Responder, packet: bytes, tcp: bool) -> list[bytes]:
    """What is sent for the packet; for what is handed back, everything that the layer above may make of it."""
    response = to.respond(packet)
    found: list[bytes] = []
    if isinstance(response, bytes):
        found.append(response)
    elif isinstance(response, Query):
        notify = response.opcode == Opcode.NOTIFY
        types = (Type.SOA,) if notify else (Type.AXFR, Type.IXFR)
        if response.qtype not in types or response.qclass != Class.IN or response.tsig is not None:
            raise Violation(f"handed back: {packet.hex()}")
        found.append(to.refuse(packet, response, Rcode.REFUSED))
        if notify:
            found.append(to.accept(packet, response))
        elif isinstance(table().by_apex.get(response.qname), ServedZone):
            found.append(to.soa_alone(packet, response))
    elif is_request(packet):
        raise Violation(f"no answer to {packet.hex()}")
    for each in found:
        check_answer(packet, each, tcp=tcp)
        read(each)
    return found


def check_signed(packet: bytes) -> None:
    """The packet with our TSIG behind it, if it is a request that can have one."""
    try:
        query = parse_query(packet)
    except Malformed:
        return
    if query.opcode not in (Opcode.QUERY, Opcode.NOTIFY) or query.tsig is not None or len(packet) > 65000:
        return
    for tcp in (False, True):
        asked = Signer(KEY, b"", NOW)
        request = asked.sign(packet, NOW)
        to = responder(tcp=tcp)
        to.keys = {KEY.name: KEY}
        response = to.respond(request, "192.0.2.1", NOW * NANOSECONDS)
        if isinstance(response, Query):
            if response.signer is None:
                raise Violation(f"handed back without the proof: {request.hex()}")
            response = to.refuse(request, response, Rcode.REFUSED)
        if response is None:
            raise Violation(f"no answer to {request.hex()}")
        check_answer(request, response, tcp=tcp)
        if verify_own(asked, response):
            continue
        if tcp or not response[2] & TC or len(query.question) < 128:
            raise Violation(f"not signed, or wrongly\nrequest {request.hex()}\nanswer {response.hex()}")


def verify_own(asked: Signer, response: bytes) -> bool:
    """Whether the TSIG at the end of the response is genuine."""
    begins_at = response.rfind(KEY.name + b"\0\xfa\0\xff\0\0\0\0")
    if begins_at < 0:
        return False
    alone = response[:2] + bytes(8) + b"\0\1" + response[begins_at:]
    tsig = tsig_of_response(alone)
    return tsig is not None and verify_response(asked, response, replace(tsig, begins_at=begins_at), NOW) is None


def read(answer: bytes, *, with_dnslib: bool = True) -> None:
    """Raises Violation if dnspython or dnslib cannot read it, unless the same answer was read before."""
    if answer[2:] in _read:
        return
    if len(_read) >= MAX_READ:
        _read.clear()
    _read.add(answer[2:])
    if answer[2] >> 3 & 15 == Opcode.UPDATE:
        return  # of an UPDATE's question dnspython asks more than form
    try:
        dns.message.from_wire(answer, keyring=False)
        if with_dnslib:
            dnslib.DNSRecord.parse(answer)
    except (dns.exception.DNSException, dnslib.DNSError, ValueError, LookupError) as error:
        if "Invalid label" not in str(error):  # dnslib takes UTF-8 only
            raise Violation(f"unreadable: {error!r}\nanswer {answer.hex()}") from error


def compare_with_dnspython(packet: bytes) -> None:
    try:
        ours = parse_query(packet)
    except Malformed as error:
        if _is_surely_well_formed(packet):
            raise Violation(f"refused ({error}), though well-formed: {packet.hex()}") from error
        return
    if ours.opcode != Opcode.QUERY or ours.ixfr_serial is not None:
        return  # names in IXFR's SOA are skipped, not expanded
    octets = bytearray(packet)
    if ours.edns is not None and ours.edns.options:
        # Each option has a form of its own to dnspython, and none to us.
        start = HEADER_OCTETS + len(ours.question) + 11  # TSIG stands behind OPT
        position = start
        while position < start + len(ours.edns.options):
            octets[position : position + 2] = PRIVATE_OPTION
            position += 4 + int.from_bytes(octets[position + 2 : position + 4], "big")
    try:
        theirs = dns.message.from_wire(bytes(octets), keyring=False)
    except dns.exception.DNSException as error:
        if ours.tsig is not None and ("rcode" in str(error) or ours.tsig.key not in packet.lower()):
            return  # of TSIG it reads the error field, which means nothing in a request, and not every compressed name
        raise Violation(f"dnspython refuses what we take: {error!r}\n{packet.hex()}") from error
    (asked,) = theirs.question
    meant = (asked.name.to_wire() or b"", int(asked.rdtype), int(asked.rdclass), theirs.id, theirs.tsig is not None)
    if meant != (ours.question[:-4], ours.qtype, ours.qclass, ours.id, ours.tsig is not None):
        raise Violation(f"dnspython reads {meant}\n{packet.hex()}")
    if (ours.edns is None) != (theirs.edns < 0):
        raise Violation(f"dnspython sees EDNS otherwise\n{packet.hex()}")
    if ours.edns is not None:
        seen = (max(512, theirs.payload), theirs.edns, bool(theirs.ednsflags & 0x8000))
        if seen != (ours.edns.payload, ours.edns.version, ours.edns.dnssec_ok):
            raise Violation(f"dnspython reads EDNS as {seen}\n{packet.hex()}")


def _is_surely_well_formed(packet: bytes) -> bool:
    """An ordinary query with at most one OPT at the root, and dnspython agrees."""
    if packet[2] & 0x78 or packet[4:10] != b"\0\1\0\0\0\0" or packet[10] or packet[11] > 1:
        return False
    end = name_end(packet, HEADER_OCTETS)
    if end + 4 > len(packet) or packet[end - 1] or any(length >= 0xC0 for length in _lengths(packet)):
        return False
    if packet[11] and packet[end + 4 : end + 7] != b"\0\0\x29":
        return False
    try:
        message = dns.message.from_wire(packet)
    except (dns.exception.DNSException, ValueError):
        return False
    return message.edns < 0 or len(message.options) <= MAX_OPTIONS


def _lengths(packet: bytes) -> list[int]:
    """The length octets of the question's name."""
    found = []
    position = HEADER_OCTETS
    while position < len(packet) and packet[position]:
        found.append(packet[position])
        position += packet[position] + 1
    return found
