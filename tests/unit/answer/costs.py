"""What a packet costs, counted in bytecode instructions: the same on every machine.

Bytecode hides what C functions do with many octets, so that is added: a packet is handed over as `Counted`, whose
slices are `Counted` as well, and hashing, searching and copying them is charged by the octet; so is each octet of the
answer. Rounds of SHA-1, of which a zone's owner decides how many NSEC3 takes, are counted and can be told apart. The
prices are what such work costs in time, measured against an average instruction of `Responder.respond` (some 9 ns),
and rounded up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1
from ipaddress import ip_network
from types import FrameType
from typing import Any, NamedTuple
from unittest.mock import patch

from authdns.answer.limiter import RateLimit
from authdns.answer.respond import NANOSECONDS, Responder
from authdns.zone import denial

# Octets that cost as much as one instruction.
HASHED_OCTETS = 16
SCANNED_OCTETS = 24
COPIED_OCTETS = 256
ANSWERED_OCTETS = 64  # an answer is joined, perhaps its pointers are moved, and the kernel copies it
SECRETS = (b"the active one..", b"the one before..")
LIMIT = RateLimit(exempt=(ip_network("127.0.0.0/8"), ip_network("::1")), log_only=True)
NOW = 1_795_000_000 * NANOSECONDS

SHA1_INSTRUCTIONS = 100  # a round and the loop around it, with a salt of 255 octets, the longest


class Cost(NamedTuple):
    """`instructions` without those of the rounds of SHA-1."""

    instructions: int
    rounds: int

    @property
    def all(self) -> int:
        return self.instructions + SHA1_INSTRUCTIONS * self.rounds


class _Bill:
    """What is charged while a function is traced."""

    octets = 0.0  # in instructions
    rounds = 0


def _charge(instructions: float) -> None:
    _Bill.octets += instructions


class Counted(bytes):
    """Bytes that know what was done to them."""

    def __getitem__(self, key: Any) -> Any:
        found = bytes.__getitem__(self, key)
        if isinstance(found, int):
            return found
        _charge(len(found) / COPIED_OCTETS)
        return Counted(found)

    def __hash__(self) -> int:
        _charge(len(self) / HASHED_OCTETS)
        return bytes.__hash__(self)

    def __add__(self, other: Any) -> Counted:
        _charge((len(self) + len(other)) / COPIED_OCTETS)
        return Counted(bytes(self).__add__(other))

    def __radd__(self, other: Any) -> Any:
        if not isinstance(other, bytes):
            return NotImplemented  # a bytearray appends it by itself
        _charge((len(self) + len(other)) / COPIED_OCTETS)
        return Counted(bytes(other).__add__(self))

    def lower(self) -> Counted:
        _charge(len(self) / SCANNED_OCTETS)
        return Counted(bytes.lower(self))

    def find(self, *what: Any) -> int:
        found = bytes.find(self, *what)
        _charge((len(self) if found < 0 else found) / SCANNED_OCTETS)
        return found


class _Sha1:
    """In the place of hashlib's."""

    def __init__(self, data: bytes, **_: Any) -> None:
        _Bill.rounds += 1
        self._hash = sha1(data, usedforsecurity=False)

    def digest(self) -> bytes:
        return self._hash.digest()


_rounds_of_sha1 = denial.nsec3_hash.__code__


@contextmanager
def _tracing(trace: Callable[[FrameType, str, Any], Any]) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def cost_of(function: Callable[[bytes], object], argument: bytes) -> Cost:
    """What `function(argument)` costs; what is in this file costs nothing."""
    count = 0
    _Bill.octets, _Bill.rounds = 0.0, 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename == __file__ or frame.f_code is _rounds_of_sha1:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    counted = Counted(argument)
    with patch.object(denial, "sha1", _Sha1), _tracing(trace):
        result = function(counted)
    if isinstance(result, bytes):
        count += len(result) // ANSWERED_OCTETS
    return Cost(count + int(_Bill.octets), _Bill.rounds)


def cost(packet: bytes, to: Responder, *, stranger: bool) -> Cost:
    """The cost of an answer that was given before: the server is attacked with the same kind of packet all the time.
    A stranger comes from another address each time, with another cookie; others are known."""
    host = "2001:db8:1:2:3:4:5:6"
    to.respond(packet, host, NOW)
    if stranger:
        assert to._cookies is not None
        to._cookies.use(SECRETS)  # so nothing is remembered
        host = "2001:db8:6:5:4:3:2:1"
        if to._limiter is not None:
            to._limiter.use(LIMIT)
    return cost_of(lambda octets: to.respond(octets, host, NOW), packet)
