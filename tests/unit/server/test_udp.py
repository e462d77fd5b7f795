"""The UDP loop, on a socket that does what the test says: port 0, errors, a full buffer, where answers leave from."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from typing import Any, cast

import pytest

from authdns.answer.executor import ZoneTable
from authdns.answer.respond import Responder
from authdns.server.counters import Counters
from authdns.server.listen import IP_PKTINFO
from authdns.server.udp import DRAIN_BATCH, RECEIVE_OCTETS, UdpListener, from_same_address
from tests.unit.answer.packets import query

CLIENT = ("192.0.2.1", 4242)
Control = list[tuple[int, int, bytes]]


class Socket:
    """Gives what it was filled with, an error where that is one, then "nothing more"."""

    def __init__(self, wildcard: bool, arriving: Sequence[tuple[bytes, tuple[str, int]] | OSError]) -> None:
        self.address = "0.0.0.0" if wildcard else "192.0.2.53"
        self.arriving = list(arriving)
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.failing: OSError | None = None

    def getsockname(self) -> tuple[str, int]:
        return self.address, 53

    def recvfrom(self, octets: int) -> tuple[bytes, tuple[str, int]]:
        assert octets == RECEIVE_OCTETS
        if not self.arriving:
            raise BlockingIOError
        arrived = self.arriving.pop(0)
        if isinstance(arrived, OSError):
            raise arrived
        return arrived

    def recvmsg(self, octets: int, control: int) -> tuple[bytes, Control, int, tuple[str, int]]:
        request, source = self.recvfrom(octets)
        return request, [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 2, bytes(4), bytes(4)))], 0, source

    def sendto(self, response: bytes, to: tuple[str, int]) -> None:
        if self.failing is not None:
            raise self.failing
        self.sent.append((response, to))

    def sendmsg(self, parts: tuple[bytes], control: Control, flags: int, to: tuple[str, int]) -> None:
        self.sendto(b"".join(parts), to)


@pytest.fixture(params=[False, True], ids=["one address", "wildcard"])
def wildcard(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def listening(sock: Socket) -> tuple[UdpListener, Counters, Responder]:
    counters = Counters()
    responder = Responder(ZoneTable(), tcp=False)

    def failed(request: bytes, source: Any) -> None:
        counters.failed += 1

    def handed(*_: object) -> bytes | None:
        return None

    return UdpListener(cast(socket.socket, sock), responder, counters, handed, failed), counters, responder


def test_port_0_and_responses_get_no_answer_and_are_counted(wildcard: bool) -> None:
    sock = Socket(
        wildcard, [(query(), ("192.0.2.1", 0)), (query(flags=0x8000), CLIENT), (b"", CLIENT), (query(), CLIENT)]
    )
    listener, counters, responder = listening(sock)
    listener.on_readable()
    assert [to for _, to in sock.sent] == [CLIENT]
    assert counters.dropped == 3
    assert sum(responder.sizes) == 1


def test_an_error_of_the_socket_keeps_nobody_from_being_answered(wildcard: bool) -> None:
    errors = [ConnectionRefusedError(), OSError(errno.EHOSTUNREACH, "")]
    sock = Socket(wildcard, [(query(), CLIENT), errors[0], (query(), CLIENT), errors[1], (query(), CLIENT)])
    listener, counters, _ = listening(sock)
    listener.on_readable()
    assert len(sock.sent) == 3
    assert counters == Counters()


def test_what_cannot_be_sent_at_once_is_dropped(wildcard: bool) -> None:
    sock = Socket(wildcard, [(query(), CLIENT)] * 2)
    listener, counters, _ = listening(sock)
    sock.failing = BlockingIOError()
    listener.on_readable()
    assert not sock.sent
    assert counters.unsent == 2


def test_a_flood_does_not_keep_the_loop_from_everything_else(wildcard: bool) -> None:
    sock = Socket(wildcard, [(query(), CLIENT)] * 1000)
    listener, _, _ = listening(sock)
    listener.on_readable()
    assert len(sock.sent) == DRAIN_BATCH


def test_an_error_inside_is_servfail(wildcard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sock = Socket(wildcard, [(query(), CLIENT), (query(flags=0x8000), CLIENT)])
    listener, counters, responder = listening(sock)

    def fail(*_: object) -> bytes:
        raise ValueError

    monkeypatch.setattr(responder, "respond", fail)
    listener.on_readable()
    assert [response[3] & 15 for response, _ in sock.sent] == [2]
    assert counters.failed == 2


V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::53")
LINK_LOCAL = socket.inet_pton(socket.AF_INET6, "fe80::53")


@pytest.mark.parametrize(
    ("arrived", "sent"),
    [
        # struct in_pktinfo: interface, the address to answer from, the destination of the packet
        (
            (socket.IPPROTO_IP, IP_PKTINFO, b"\2\0\0\0" + b"\x7f\0\0\5" + b"\x7f\0\0\6"),
            (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + b"\x7f\0\0\5" + bytes(4)),
        ),
        # struct in6_pktinfo: the address, the interface
        (
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, V6 + b"\2\0\0\0"),
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, V6 + bytes(4)),
        ),
        (
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, LINK_LOCAL + b"\2\0\0\0"),
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, LINK_LOCAL + b"\2\0\0\0"),
        ),
    ],
)
def test_answers_leave_from_the_address_that_was_asked_by_any_interface(
    arrived: tuple[int, int, bytes], sent: tuple[int, int, bytes]
) -> None:
    """But a link-local address means nothing without its interface."""
    unknown = (socket.SOL_SOCKET, 99, bytes(8))
    assert from_same_address([unknown, arrived]) == [sent]
    assert from_same_address([unknown]) == []
