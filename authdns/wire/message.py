"""Response assembly: sections of RRsets to bytes, with compression, and the header and OPT around them.

One encoder serves the compiler (which encodes each class of answers once) and the direct way (which encodes for one
query): their bytes must not differ. So the encoder knows of the question name only what the class knows, its *base*:
the suffix that all questions of the class share. Names at or below the base compress against it; the owner QUESTION
stands for the question's own name, which is always at offset 12. A DNAME moves what the question has in front of the
base to other places: MOVED in front of a name stands for it there. All other offsets move together when a question is
longer than the base: the encoder notes where their pointers stand (`Body.pointers`), and where something was MOVED to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.query import HEADER_OCTETS, Edns
from authdns.wire.rdata import COMPRESSIBLE, NameLayout, name_at
from authdns.wire.types import Flag, Rcode

QUESTION = b""  # as an owner: the name that was asked for
MOVED = b"\xff"  # in front of a name, where a label's length cannot be 255: what the question name has above its base
_QUESTION_POINTER = b"\xc0\x0c"
MAX_NSID_OCTETS = 128  # of the identity: then it fits beside the longest question, and beside the identity in class CH
EXPIRE = 9  # an option (RFC 7314)
COOKIE = 10  # an option (RFC 7873)
PADDING = 12  # an option (RFC 7830)
COOKIE_OCTETS = 24  # of what it holds in a response (RFC 9018)
POINTERS_END = 0x4000  # what 14 bits can point at (RFC 1035 §4.1.4)


class Stop(NamedTuple):
    """A place where a response may end: behind `octets` of the body, with these counts; `truncated` sets TC."""

    octets: int
    counts: tuple[int, int, int]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Body:
    """Everything behind the question, encoded for a question name of exactly `base_octets`.

    `pointers` are the offsets in `wire` of the two-octet pointers that grow with the question. `stops` lists, from
    short to long, every prefix that is a whole number of RRsets; the last is the whole body. `moved` are the offsets
    at which one octet stands for MOVED, `lengths` those of the RDLENGTHs that grow with it.
    """

    wire: bytes
    base_octets: int
    pointers: tuple[int, ...]
    stops: tuple[Stop, ...]
    moved: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()


class Encoder:
    """Appends RRsets to a body. One use, then `body` is what was made.

    The question's name is `above` and `base`; `above` is what is written where a name begins with MOVED.
    """

    def __init__(self, base: bytes, above: bytes = b"") -> None:
        self.wire = bytearray()
        self.pointers: list[int] = []
        self.moved: list[int] = []
        self.lengths: list[int] = []
        self._base_at = HEADER_OCTETS + len(above)
        self._body_at = self._base_at + len(base) + 4
        self._base = base
        self._above = above
        self._known: dict[bytes, int] | None = None  # suffix -> offset; most bodies hold no name to compress
        self._known_moved: dict[bytes, int] = {}  # what stands behind MOVED -> offset of the whole
        # Offsets grow by up to 255 with the question, and again with each place that a part of it is moved to.
        self._pointer_limit = POINTERS_END - names.MAX_NAME_OCTETS

    @property
    def _offsets(self) -> dict[bytes, int]:
        if self._known is None:
            self._known = {}
            position = 0
            while self._base[position]:
                self._known[self._base[position:]] = self._base_at + position
                position += self._base[position] + 1
        return self._known

    def body(self, stops: tuple[Stop, ...]) -> Body:
        """What has been encoded, up to the last stop."""
        end = stops[-1].octets
        edge = end - 1  # in front of it, two octets fit
        if len(self.wire) > end:
            self.pointers = [offset for offset in self.pointers if offset < edge]
            self.lengths = [offset for offset in self.lengths if offset < edge]
            self.moved = [offset for offset in self.moved if offset < end]
        return Body(
            bytes(self.wire[:end]),
            self._body_at - HEADER_OCTETS - 4,
            tuple(self.pointers),
            stops,
            tuple(self.moved),
            tuple(self.lengths),
        )

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
                places = len(self.moved)
                self._rdata(rdata, layout)
                if len(self.moved) > places:
                    self.lengths.append(length_at)
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
        if name[0] == MOVED[0]:
            self._moved_name(name[1:])
            return
        wire = self.wire
        folded = name.lower()
        offsets = self._offsets
        position = 0
        while length := name[position]:
            suffix = folded[position:]
            known = offsets.get(suffix)
            if known is not None:
                self.pointers.append(len(wire))
                wire += (0xC000 | known).to_bytes(2, "big")
                return
            here = self._body_at + len(wire)
            if here < self._pointer_limit:
                offsets[suffix] = here
            wire += name[position : position + length + 1]
            position += length + 1
        wire += b"\0"

    def _moved_name(self, suffix: bytes) -> None:
        """MOVED and `suffix`. What is moved is not the same in all questions, so nothing points into it: it is only
        found again as a whole."""
        folded = suffix.lower()
        if folded == self._base:
            self.wire += _QUESTION_POINTER
            return
        known = self._known_moved.get(folded)
        if known is not None:
            self.pointers.append(len(self.wire))
            self.wire += (0xC000 | known).to_bytes(2, "big")
            return
        here = self._body_at + len(self.wire)
        if here < self._pointer_limit:
            self._known_moved[folded] = here
        self.moved.append(len(self.wire))
        self._pointer_limit -= names.MAX_NAME_OCTETS
        self.wire += self._above
        self._name(suffix)


def header(ident: bytes, flags: int, rcode: int, counts: tuple[int, int, int, int]) -> bytes:
    """`ident` is the query's two octets; `rcode` may be extended, its low four bits go here."""
    words = (flags | rcode & 15, *counts)
    return ident + b"".join(word.to_bytes(2, "big") for word in words)


def opt_record(payload: int, rcode: int, dnssec_ok: bool, options: bytes = b"") -> bytes:
    """OPT of a response (RFC 6891 §6.1): version 0, DO copied (RFC 3225 §3)."""
    flags = b"\x80\0" if dnssec_ok else b"\0\0"
    fixed = b"\0\0\x29" + payload.to_bytes(2, "big") + bytes((rcode >> 4, 0)) + flags
    return fixed + len(options).to_bytes(2, "big") + options


def answering_options(edns: Edns) -> bytes:
    """EXPIRE and COOKIE, where they answer the request's; COOKIE last."""
    options = b""
    if edns.expire is not None:
        options = EXPIRE.to_bytes(2, "big") + b"\0\4" + edns.expire.to_bytes(4, "big")
    cookie = edns.cookie
    return options + COOKIE.to_bytes(2, "big") + len(cookie).to_bytes(2, "big") + cookie if cookie else options


def simple_response(
    request: bytes,
    question: bytes,
    rcode: Rcode,
    edns: Edns | None,
    payload: int,
    options: bytes = b"",
) -> bytes:
    """A response without records but OPT: every refusal and error. `request` has at least 12 octets.

    The opcode is copied from the request (RFC 1035 §4.1.1); RD and CD are as well (ibid., RFC 4035 §3.1.6), but mean
    something in QUERY only. RA stays clear.
    """
    asked = int.from_bytes(request[2:4], "big")
    flags = asked & 0x7800 or asked & (Flag.RD | Flag.CD)
    flags |= Flag.QR
    opt = b"" if edns is None else opt_record(payload, rcode, edns.dnssec_ok, options)
    counts = (bool(question) + 0, 0, 0, bool(opt) + 0)
    return header(request[:2], flags, rcode, counts) + question + opt
