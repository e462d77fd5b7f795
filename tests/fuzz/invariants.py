"""What is true of every answer to whatever octets, by octets alone: cheap enough for millions of packets.

Nothing of authdns is used here; what the request says is read by a reader of its own.
"""

from __future__ import annotations

HEADER_OCTETS = 12
PLAIN_UDP_OCTETS = 512
OWN_UDP_OCTETS = 1232
OPT, TSIG = 41, 250


class Violation(AssertionError):
    """An answer that must not be; the message holds both packets."""


def is_request(packet: bytes) -> bool:
    """What gets an answer: a header, and QR clear."""
    return len(packet) >= HEADER_OCTETS and packet[2] < 0x80


def check_answer(request: bytes, answer: bytes, *, tcp: bool) -> None:
    """Raises Violation. `answer` is one message that came back for `request`."""
    fault = _fault(request, answer, tcp)
    if fault is not None:
        raise Violation(f"{fault}\nrequest {request.hex()}\nanswer {answer.hex()}")


def _fault(request: bytes, answer: bytes, tcp: bool) -> str | None:
    if not is_request(request):
        return "an answer to what is no request"
    if len(answer) < HEADER_OCTETS:
        return "shorter than a header"
    if answer[:2] != request[:2]:
        return "another id"
    query = not request[2] & 0x78  # RD and CD mean nothing in other opcodes
    if answer[2] & 0xF9 != request[2] & (0x79 if query else 0x78) | 0x80:
        return "QR, the opcode or RD is wrong"
    if answer[3] & 0xF0 != (request[3] & 0x10 if query else 0):
        return "RA, Z, AD or CD is wrong"
    if answer[4] or answer[5] > 1:
        return "more than one question"
    if answer[5]:
        end = name_end(answer, HEADER_OCTETS) + 4
        if end > len(answer) or answer[HEADER_OCTETS:end] != request[HEADER_OCTETS:end]:
            return "another question"
    if records_end(answer) != len(answer):
        return "more or less than the counts say"
    if not tcp and len(answer) > PLAIN_UDP_OCTETS and len(answer) > udp_limit(request):
        return f"{len(answer)} octets, {udp_limit(request)} are taken"
    return None


def udp_limit(request: bytes) -> int:
    """The octets that the asker takes in a datagram (RFC 6891 section 6.2.3), and no more than we ever send."""
    qdcount, ancount, nscount, arcount = (int.from_bytes(request[i : i + 2], "big") for i in range(4, 12, 2))
    position = HEADER_OCTETS
    for _ in range(qdcount):
        position = name_end(request, position) + 4
        if position > len(request):
            return PLAIN_UDP_OCTETS
    for number in range(ancount + nscount + arcount):
        position = name_end(request, position)
        if position + 10 > len(request):
            break
        if number >= ancount + nscount and int.from_bytes(request[position : position + 2], "big") == OPT:
            payload = int.from_bytes(request[position + 2 : position + 4], "big")
            return min(max(payload, PLAIN_UDP_OCTETS), OWN_UDP_OCTETS)
        position += 10 + int.from_bytes(request[position + 8 : position + 10], "big")
    return PLAIN_UDP_OCTETS


def records_end(message: bytes) -> int:
    """The offset behind as many questions and records as the header counts."""
    position = HEADER_OCTETS
    for _ in range(message[5]):
        position = name_end(message, position) + 4
    records = sum(int.from_bytes(message[i : i + 2], "big") for i in (6, 8, 10))
    for _ in range(records):
        position = name_end(message, position) + 10
        if position > len(message):
            break
        position += message[position - 2] << 8 | message[position - 1]
    return position


def name_end(packet: bytes, position: int) -> int:
    """The offset behind a name, or behind the packet if it is none."""
    while position < len(packet):
        length = packet[position]
        if length >= 0xC0:
            return position + 2
        position += length + 1
        if not length:
            return position
    return len(packet) + 1
