"""The text of a large zone file in chunks, kept so that after an edit only what changed need be read (reread.py).

Each chunk begins where an entry begins, and says what the reader knew there. All of the text is kept, compressed: which
records a chunk gave is known by reading it once more, and needed only of those that were edited.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

# A smaller file is read as quickly as its index is consulted.
MIN_INDEXED_OCTETS = 1 << 20
CHUNK_LINES = 1000  # it takes 5 ms to read them
ANCHOR_OCTETS = 64  # by which a chunk is looked for
MAX_TRIES = 8  # places that look like the beginning of a chunk; it is taken for changed then
_DIGEST_OCTETS = 16


class State(NamedTuple):
    """What the reader knows between two entries; names are wire names. `ttl` is that of a record that has none, if one
    is known; `ttl_fixed`: explicit ones do not change it. An owner that could not be read is an error, so there is none
    of those in the file of a zone."""

    origin: bytes
    owner: bytes | None
    ttl: int | None
    ttl_fixed: bool


class Mark(NamedTuple):
    """Where an entry begins, in a text that is read: octets and lines before it."""

    offset: int
    lines: int
    state: State


class Chunk(NamedTuple):
    """`state` is that at its beginning, `packed` its text."""

    state: State
    octets: int
    lines: int
    anchor: bytes
    digest: bytes
    packed: bytes

    @property
    def text(self) -> bytes:
        return zlib.decompress(self.packed)


@dataclass(frozen=True, slots=True)
class TextIndex:
    """Of the one file that a zone was read from, without an error. `end` is the state at its end, and `ends_line` says
    whether that is the end of a line.

    `irregular` are the owners of RRsets that are not what the file says line by line: a record was given twice, or the
    TTLs of two were not the same.
    """

    chunks: Sequence[Chunk]
    end: State
    ends_line: bool
    irregular: frozenset[bytes]

    @classmethod
    def of(cls, content: bytes, marks: Iterable[Mark], end: State, irregular: Iterable[bytes]) -> "TextIndex":
        """`marks` begin with that of the first octet."""
        last = Mark(len(content), lines_of(content), end)
        return cls(tuple(chunks(content, [*marks, last])), _apart(end), content.endswith(b"\n"), frozenset(irregular))

    def is_at(self, number: int, content: bytes, at: int) -> bool:
        """Whether this chunk stands there. The last line of a file may go on where something was added."""
        chunk = self.chunks[number]
        if number == len(self.chunks) - 1 and not self.ends_line and at + chunk.octets != len(content):
            return False
        return content.startswith(chunk.anchor, at) and _digest(content[at : at + chunk.octets]) == chunk.digest

    def find(self, number: int, content: bytes, start: int, stop: int) -> int | None:
        """Where this chunk stands, at the start of a line, from `start` on and not behind `stop`."""
        anchor = self.chunks[number].anchor
        at = start - 1
        for _ in range(MAX_TRIES):
            at = content.find(anchor, at + 1, stop + len(anchor))
            if at < 0:
                return None
            if (at == 0 or content[at - 1 : at] == b"\n") and self.is_at(number, content, at):
                return at
        return None


def chunks(content: bytes, marks: Sequence[Mark]) -> Iterator[Chunk]:
    """Of the text between these marks."""
    for begin, end in pairwise(marks):
        if text := content[begin.offset : end.offset]:
            lines = end.lines - begin.lines
            yield Chunk(
                _apart(begin.state), len(text), lines, text[:ANCHOR_OCTETS], _digest(text), zlib.compress(text, 1)
            )


def _apart(state: State) -> State:
    """A copy. The state was made between the records of the zone, and lies between them in memory. Kept for longer than
    these, a thousand of such small objects would hold all the memory that a million records had (230 MB)."""
    origin, owner, ttl, ttl_fixed = state
    return State(_copied(origin), None if owner is None else _copied(owner), ttl, ttl_fixed)


def _copied(name: bytes) -> bytes:
    return bytes(memoryview(name))


def lines_of(text: bytes) -> int:
    return text.count(b"\n")


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:_DIGEST_OCTETS]  # processors have instructions for it
