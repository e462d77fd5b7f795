"""Response assembly: sections of RRsets to bytes, with compression, and the header and OPT around them.

One encoder serves the compiler (which encodes each class of answers once) and the direct way (which encodes for one
query): their bytes must not differ. So the encoder knows of the question name only what the class knows, its *base*:
the suffix that all questions of the class share. Names at or below the base compress against it; the owner QUESTION
stands for the question's own name, which is always at offset 12. All other offsets move together when a question is
longer than the base: the encoder notes where their pointers stand (`Body.pointers`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.query import HEADER_OCTETS, Edns, Tsig
from authdns.wire.rdata import COMPRESSIBLE, NameLayout, name_at
from authdns.wire.types import Class, Flag, Rcode, Type

QUESTION = b""  # as an owner: the name that was asked for
_QUESTION_POINTER = b"\xc0\x0c"
# A pointer has 14 bits (RFC 1035 §4.1.4); offsets are noted for the base and grow by up to 255 with the question.
# Of longer names only the last labels are looked up and remembered: 127 of one octet are not worth 127 look-ups. (A
# limit in octets would leave the names of a zone with long labels uncompressed, and cut its answers early.)
_COMPRESSED_LABELS = 40
_LABEL = re.compile(b"|".join(b"\\x%02x.{%d}" % (n, n) for n in range(1, names.MAX_LABEL_OCTETS + 1)), re.DOTALL)
_LONG_NAME_OCTETS = 64  # from here on halving is faster than asking for each label
_POINTER_LIMIT = 0x4000 - names.MAX_NAME_OCTETS


class Stop(NamedTuple):
    """A place where a response may end: behind `octets` of the body, with these counts; `truncated` sets TC."""

    octets: int
    counts: tuple[int, int, int]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Body:
    """Everything behind the question, encoded for a question name of exactly `base_octets`.

    `pointers` are the offsets in `wire` of the two-octet pointers that grow with the question. `stops` lists, from
    short to long, every prefix that is a whole number of RRsets; the last is the whole body.
    """

    wire: bytes
    base_octets: int
    pointers: tuple[int, ...]
    stops: tuple[Stop, ...]


class Encoder:
    """Appends RRsets to a body. One use, then `wire` and `pointers` are read."""

    def __init__(self, base: bytes) -> None:
        self.wire = bytearray()
        self.pointers: list[int] = []
        self._body_at = HEADER_OCTETS + len(base) + 4
        self._base = base
        self._known: dict[bytes, int] | None = None  # suffix -> offset; most bodies hold no name to compress

    @property
    def _offsets(self) -> dict[bytes, int]:
        if self._known is None:
            self._known = {}
            position = 0
            while self._base[position]:
                self._known[self._base[position:]] = HEADER_OCTETS + position
                position += self._base[position] + 1
        return self._known

    def rrset(self, owner: bytes, rrtype: int, ttl: int, rdatas: Iterable[bytes]) -> None:
        """Class IN. `rdatas` uncompressed; `owner` QUESTION or a name."""
        fixed = rrtype.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big")
        layout = COMPRESSIBLE.get(rrtype)
        wire = self.wire
        for rdata in rdatas:
            if owner:
                self._name(owner)
            else:
                wire += _QUESTION_POINTER
            wire += fixed
            if layout is None:
                wire += len(rdata).to_bytes(2, "big")
                wire += rdata
            else:
                length_at = len(wire)
                wire += b"\0\0"
                self._rdata(rdata, layout)
                wire[length_at : length_at + 2] = (len(wire) - length_at - 2).to_bytes(2, "big")

    def _rdata(self, rdata: bytes, layout: NameLayout) -> None:
        self.wire += rdata[: layout.skip]
        position = layout.skip
        if layout.names == 1:  # nothing stands behind it
            self._name(rdata[position:])
            return
        for _ in range(layout.names):
            name = name_at(rdata, position)
            position += len(name)
            self._name(name)
        self.wire += rdata[position:]

    def _name(self, name: bytes) -> None:
        """Compressed against everything before it; spelling kept where it is written out."""
        wire = self.wire
        folded = name.lower()
        offsets = self._offsets
        position = 0
        if len(name) > _LONG_NAME_OCTETS:
            position = self._begin_long_name(name, folded)
        while length := name[position]:
            suffix = folded[position:]
            known = offsets.get(suffix)
            if known is not None:
                self.pointers.append(len(wire))
                wire += (0xC000 | known).to_bytes(2, "big")
                return
            here = self._body_at + len(wire)
            if here < _POINTER_LIMIT:
                offsets[suffix] = here
            wire += name[position : position + length + 1]
            position += length + 1
        wire += b"\0"

    def _begin_long_name(self, name: bytes, folded: bytes) -> int:
        """Writes the labels that nothing can point at; returns where the rest begins. Of a suffix that is known, those
        behind it are known as well, so the first is searched by halving."""
        labels = _LABEL.findall(name)
        starts = list(accumulate(map(len, labels), initial=0))
        first = max(0, len(labels) - _COMPRESSED_LABELS)
        self.wire += name[: starts[first]]
        low, high = first, len(labels)
        while low < high:
            middle = (low + high) // 2
            if folded[starts[middle] :] in self._offsets:
                high = middle
            else:
                low = middle + 1
        begin = self._body_at + len(self.wire) - starts[first]
        for start in starts[first:low]:
            if begin + start < _POINTER_LIMIT:
                self._offsets[folded[start:]] = begin + start
        self.wire += name[starts[first] : starts[low]]
        return starts[low]


def header(ident: bytes, flags: int, rcode: int, counts: tuple[int, int, int, int]) -> bytes:
    """`ident` is the query's two octets; `rcode` may be extended, its low four bits go here."""
    words = (flags | rcode & 15, *counts)
    return ident + b"".join(word.to_bytes(2, "big") for word in words)


def opt_record(payload: int, rcode: int, dnssec_ok: bool, options: bytes = b"") -> bytes:
    """OPT of a response (RFC 6891 §6.1): version 0, DO copied (RFC 3225 §3)."""
    flags = b"\x80\0" if dnssec_ok else b"\0\0"
    fixed = b"\0\0\x29" + payload.to_bytes(2, "big") + bytes((rcode >> 4, 0)) + flags
    return fixed + len(options).to_bytes(2, "big") + options


def simple_response(
    request: bytes,
    question: bytes,
    rcode: Rcode,
    edns: Edns | None,
    payload: int,
    tsig: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """A response without records but OPT and TSIG: every refusal and error. `request` has at least 12 octets.

    The opcode is copied from the request (RFC 1035 §4.1.1); RD and CD are as well (ibid., RFC 4035 §3.1.6), but mean
    something in QUERY only. RA stays clear.
    """
    asked = int.from_bytes(request[2:4], "big")
    flags = asked & 0x7800 or asked & (Flag.RD | Flag.CD)
    flags |= Flag.QR
    opt = b"" if edns is None else opt_record(payload, rcode, edns.dnssec_ok, options)
    counts = (bool(question) + 0, 0, 0, bool(opt) + bool(tsig))
    return header(request[:2], flags, rcode, counts) + question + opt + tsig


def tsig_refusal(tsig: Tsig, error: Rcode) -> bytes:
    """The unsigned TSIG record that says why (RFC 8945 §5.2.1): no MAC, the request's time."""
    rdata = (
        tsig.algorithm
        + tsig.time_signed.to_bytes(6, "big")
        + tsig.fudge.to_bytes(2, "big")
        + b"\0\0"
        + tsig.original_id.to_bytes(2, "big")
        + error.to_bytes(2, "big")
        + b"\0\0"
    )
    fixed = Type.TSIG.to_bytes(2, "big") + Class.ANY.to_bytes(2, "big") + b"\0\0\0\0"
    return tsig.key + fixed + len(rdata).to_bytes(2, "big") + rdata
