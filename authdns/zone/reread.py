"""A zone file again, after an edit: only what changed of its text is read, and what that changes in the zone is known.

Why this gives what reading the whole file would give. A reader is a machine: its state (text_index.State) and the text
that follows decide what records it adds, and its state behind them; nothing else does, as long as there are no errors,
no $INCLUDE and no $GENERATE (of which a zone may hold only so many). Chunks whose text is the same, and at whose
beginning the state is the same, gave the same records in both versions. So a changed *region* ends where the state,
having read the new text, is the one that the old text had there; if it is not, the next chunk belongs to the region as
well. A region that ended inside a parenthesis would have an error. What is left is to know what becomes of a zone whose
records were added in the order A X B Y C, if it is A X' B Y' C: only owners of different records in X and X', or Y and
Y', can have changed. Of these,

- all RRsets were, record by record, what the file says: owners of which a record was given twice, or with different
  TTLs, are known to the index, and not patched. So what is no longer in the regions was nowhere else, and is gone, and
  what is new there is added to what the zone has. If it has it already, or if anything is to be said of the result,
  then this becomes such an owner, and is not patched either;
- the spelling is the first one in the file: that of the new records, if all records of the owner are in the regions,
  and else the one before, unless in some region the first one has become another than that.

Whatever is not sure in this way is not done: the whole file is read then, which is never wrong. So it is with all
errors, which a person should see as always. Only the order of records in RRsets, which has no meaning (RFC 2181 §5),
may be another. And of warnings, only those are given that the text that was read shows, or the owners that changed:
what has been said of others stays as it was.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from authdns.wire.rdata import folded
from authdns.wire.types import Type
from authdns.zone.checks import errors_at, warn_at
from authdns.zone.delta import Delta
from authdns.zone.lexer import BOM
from authdns.zone.patch import DoesNotFit, owners_of, patched
from authdns.zone.problem import Place, Problems, TooManyErrors
from authdns.zone.reader import RAW_FORMATS, PartReader
from authdns.zone.records import Record
from authdns.zone.text_index import Chunk, Mark, State, TextIndex, chunks, lines_of
from authdns.zone.zone import Zone

CHANGED_SHARE = 1 / 8  # of the text may have changed, old and new; with more it is read as quickly as a whole

_Fields = tuple[int, int, bytes]  # type, TTL, rdata


@dataclass(frozen=True, slots=True)
class Reread:
    """The new version. `problems` are those of the text that was read and of what changed, and no errors. Without a
    `delta` nothing has changed, and the zone is the one before."""

    zone: Zone
    delta: Delta | None
    problems: Problems
    index: TextIndex


def reread(path: str, content: bytes, index: TextIndex, zone: Zone) -> Reread | str:
    """The zone that was read from the text of `index`, as it is in `content`. Else why it has to be read as a whole."""
    problems = Problems()
    try:
        regions, new_index = _Walk(path, content, index, zone.apex, problems).run()
        delta = _delta(zone, regions, index.irregular)
        if delta is None:
            return Reread(zone, None, problems, new_index)
        found = Problems()
        new = patched(zone, delta, found, path)
        _give_up_if(bool(list(found)), "there is something to be said of an owner's records")
        owners = owners_of([delta])
        _give_up_if(bool(errors_at(new, owners)), "there are errors")
        _check_spelling(zone, new, regions, index.irregular)
        warn_at(new, owners, problems, _places(path, regions))
    except _GiveUp as reason:
        return str(reason)
    except (DoesNotFit, TooManyErrors) as error:
        return str(error) or "there are too many errors"
    return Reread(new, delta, problems, new_index)


def _places(path: str, regions: Sequence["_Region"]) -> Callable[[bytes, int, bytes | None], Place]:
    """Of records in what was read; else the file alone."""

    def place_of(owner: bytes, rrtype: int, rdata: bytes | None) -> Place:
        key = (owner, rrtype, rdata or b"")
        return Place(path, next((region.new.lines[key] for region in regions if key in region.new.lines), 0))

    return place_of


class _GiveUp(Exception):
    """The whole file must be read; the message says why."""


def _give_up_if(doubt: bool, reason: str) -> None:
    if doubt:
        raise _GiveUp(reason)


class _Part:
    """The records of a part of the file by owner, and the first spelling of each owner that is not in lower case."""

    def __init__(self) -> None:
        self.records: dict[bytes, list[_Fields]] = {}
        self.spelled: dict[bytes, bytes] = {}
        self.lines: dict[tuple[bytes, int, bytes], int] = {}

    def add(self, owner: bytes, rrtype: int, ttl: int, rdata: bytes, place: int) -> None:
        self.records.setdefault(owner, []).append((rrtype, ttl, rdata))
        self.lines.setdefault((owner, rrtype, rdata), place)

    def spell(self, owner: bytes, spelled: bytes) -> None:
        self.spelled.setdefault(owner, spelled)


class _Region(NamedTuple):
    old: _Part
    new: _Part


# -- which text changed


class _Walk:
    """Once through the chunks and the new text, side by side."""

    def __init__(self, path: str, content: bytes, index: TextIndex, apex: bytes, problems: Problems) -> None:
        self._path = path
        self._content = content
        self._index = index
        self._apex = apex
        self._problems = problems
        self._kept: list[Chunk] = []  # of the new version
        self._regions: list[_Region] = []
        self._chunk = self._at = self._lines = 0  # the number of the next chunk; octets and lines before its place
        self._left = int(len(content) * CHANGED_SHARE)

    def run(self) -> tuple[list[_Region], TextIndex]:
        content, known = self._content, self._index.chunks
        end = self._index.end
        while self._chunk < len(known) or self._at < len(content):
            if self._chunk < len(known) and self._index.is_at(self._chunk, content, self._at):
                chunk = known[self._chunk]
                self._kept.append(chunk)
                self._chunk += 1
                self._at += chunk.octets
                self._lines += chunk.lines
                continue
            state = self._region()
            if self._at == len(content):
                end = state
        _give_up_if(not self._regions, "no octet changed")  # then someone wants to see all that is to be said of it
        return self._regions, TextIndex(tuple(self._kept), end, content.endswith(b"\n"), self._index.irregular)

    def _region(self) -> State:
        """What changed here. Returns the state at the end of it."""
        content, known = self._content, self._index.chunks
        first, start = self._chunk, self._at
        state = self._state_at(first)
        new = _Part()
        reader = PartReader(self._path, self._apex, state, new, self._problems)
        while True:
            if self._chunk < len(known):
                self._spend(known[self._chunk].octets)
                self._chunk += 1
            at: int | None = len(content)
            if self._chunk < len(known):
                at = self._index.find(self._chunk, content, self._at, self._at + self._left)
                if at is None:
                    continue
            assert at is not None, "it is the end, or was found"
            self._read(reader, at)
            if self._chunk == len(known) or reader.state == known[self._chunk].state:
                break
        text = content[start : self._at]
        self._kept += chunks(text, [*reader.marks, Mark(len(text), lines_of(text), reader.state)])
        self._regions.append(_Region(self._old(state, known[first : self._chunk]), new))
        return reader.state

    def _read(self, reader: PartReader, end: int) -> None:
        """The new text up to there. (What begins with a BOM inside a file begins with a strange name.)"""
        text = self._content[self._at : end]
        self._spend(len(text))
        _give_up_if(self._at > 0 and text.startswith(BOM), "a BOM stands inside the file")
        _give_up_if(self._at == 0 and text.startswith(RAW_FORMATS), "this is BIND's raw format")
        reader.read(text, self._lines)
        _give_up_if(self._problems.errors > 0, "there are errors")
        _give_up_if(reader.has_generated, "$GENERATE stands in what changed")
        self._at = end
        self._lines += lines_of(text)

    def _old(self, state: State, gone: Iterable[Chunk]) -> _Part:
        """What these chunks gave."""
        part, said = _Part(), Problems()
        reader = PartReader(self._path, self._apex, state, part, said)
        reader.read(b"".join(chunk.text for chunk in gone), 0)
        _give_up_if(reader.has_generated or said.errors > 0, "$GENERATE stood in what changed")
        return part

    def _state_at(self, chunk: int) -> State:
        return self._index.chunks[chunk].state if chunk < len(self._index.chunks) else self._index.end

    def _spend(self, octets: int) -> None:
        self._left -= octets
        _give_up_if(self._left < 0, "too much has changed")


# -- what that changes in the zone


def _delta(zone: Zone, regions: list[_Region], irregular: frozenset[bytes]) -> Delta | None:
    soas_before: list[Record] = []
    soas_after: list[Record] = []
    removed: list[Record] = []
    added: list[Record] = []
    for owner in _touched(regions):
        _give_up_if(owner in irregular, "what changed are records given twice, or with different TTLs")
        was = [fields for region in regions for fields in region.old.records.get(owner, ())]
        now = [fields for region in regions for fields in region.new.records.get(owner, ())]
        _give_up_if(len({(rrtype, folded(rrtype, rdata)) for rrtype, _, rdata in now}) < len(now), "a record is twice")
        before, after = set(was), set(now)
        spelled = _spelling(zone, regions, irregular, owner) or owner
        for fields in was:
            if fields not in after:
                is_soa = owner == zone.apex and fields[0] == Type.SOA
                (soas_before if is_soa else removed).append(Record(zone.spelling.get(owner, owner), *fields))
        for fields in now:
            if fields not in before:
                is_soa = owner == zone.apex and fields[0] == Type.SOA
                (soas_after if is_soa else added).append(Record(spelled, *fields))
    _give_up_if(len(soas_before) != len(soas_after) or len(soas_after) > 1, "an SOA record came or went")
    if not soas_after:
        if not removed and not added:
            _check_spelling(zone, zone, regions, irregular)
            return None
        rrtype, ttl, (rdata,) = zone.soa_rrset
        soas_before = soas_after = [Record(zone.spelling.get(zone.apex, zone.apex), rrtype, ttl, rdata)]
    return Delta(soas_before[0], soas_after[0], removed, added)


def _touched(regions: Iterable[_Region]) -> dict[bytes, None]:
    """Owners of which some region has other records than before, or the same in another order."""
    return {
        owner: None
        for old, new in regions
        for owner in (*old.records, *new.records)
        if old.records.get(owner) != new.records.get(owner)
    }


def _spelling(zone: Zone, regions: list[_Region], irregular: frozenset[bytes], owner: bytes) -> bytes | None:
    """How the owner is spelled now, if not in lower case."""
    known = zone.spelling.get(owner)
    was = sum(len(region.old.records.get(owner, ())) for region in regions)
    if owner not in irregular and was == sum(len(rrset.rdatas) for rrset in zone.at(owner)):
        spellings = (region.new.spelled.get(owner) for region in regions)
        return next((spelled for spelled in spellings if spelled is not None), None)
    for old, new in regions:
        before, after = old.spelled.get(owner), new.spelled.get(owner)
        _give_up_if(before != after and after != known, "an owner is spelled otherwise")
    return known


def _check_spelling(before: Zone, after: Zone, regions: list[_Region], irregular: frozenset[bytes]) -> None:
    """A delta does not tell it."""
    for owner in {owner for part in (part for region in regions for part in region) for owner in part.spelled}:
        if after.at(owner):
            wrong = after.spelling.get(owner) != _spelling(before, regions, irregular, owner)
            _give_up_if(wrong, "an owner is spelled otherwise")
