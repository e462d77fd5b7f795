"""The zone-file reader: files in, a Zone and what is wrong with it out (RFC 1035 §5, RFC 2308 §4, RFC 3597).

It does no I/O: `load` gives the octets of a file. Each line is tried by the fast path in `_read_lines`, which knows
plain words, with one pair of parentheses or none, and nothing else; what it does not know, right or wrong, goes to the
lexer and the complete reading in `_record`, with the same meaning. An error never ends the reading: the next entry is
read, so that a person sees everything that is wrong at once.
"""

import posixpath
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import chain, islice
from typing import Protocol

import dns.rdatatype

from authdns.wire import name as names
from authdns.wire.types import META_TYPES, Type, type_from_text, type_to_text
from authdns.zone.builder import FILE_SHIFT, ZoneBuilder
from authdns.zone.checks import check_zone
from authdns.zone.generate import MAX_GENERATED, fill, parse_range
from authdns.zone.lexer import MAX_LINE_OCTETS, Entry, Fault, Source, Token, shown
from authdns.zone.plain_rdata import PlainRdata
from authdns.zone.problem import MAX_PROBLEMS, Place, Problems, Severity, TooManyErrors
from authdns.zone.rdata_text import (
    LENGTH_OCTETS,
    MAX_TTL,
    ORIGIN_KEY,
    SPF,
    Memo,
    NameReader,
    RdataReader,
    parse_ttl,
    unescape_string,
)
from authdns.zone.text_index import CHUNK_LINES, MIN_INDEXED_OCTETS, Mark, State, TextIndex
from authdns.zone.zone import Zone

DEFAULT_TTL = 3600  # where the file says nothing, as NSD, Knot and PowerDNS have it
MAX_INCLUDE_DEPTH = 20  # nobody nests deeper by intent; each level is a level of recursion here
MAX_INCLUDES = 10_000  # of one zone: two files that include each other's parts twice would double at each level
# Of files that are included again: what is included once is as large as it is, but what is included often multiplies.
MAX_REPEATED_OCTETS = 1 << 24
MAX_GENERATED_OCTETS = 1 << 27  # of text, by all $GENERATE of one zone: MAX_GENERATED records of a hundred octets or so
MAX_PATH_OCTETS = 4096  # of an $INCLUDE, as Linux has it
MAX_ORIGINS = 8  # of which the names read lately are remembered
MAX_TEXT = 200  # of a line, in a message
MAX_PLAIN_OCTETS = 1 << 14  # in parentheses, for the fast path; the largest keys and signatures take a thousand or so
GENERATED_BLOCK = 10_000  # lines of $GENERATE that are made at a time

Loader = Callable[[str], bytes]  # path -> content; raises OSError

_CLASS_IN = 0  # in `kinds`, where a positive number is a type
_OTHER_CLASSES = (b"CH", b"CHAOS", b"HS", b"HESIOD", b"CS")  # ANY and NONE are types too, and wrong as either
RAW_FORMATS = (b"\0\0\0\2\0\0\0", b"\0\0\0\3\0\0\0")  # raw, and the older map
_BLANKS = frozenset(b" \t\r\v\f")
_DIRECTIVES = ("$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE")
_TYPES = {word: number for word, number in dns.rdatatype.RdataType.__members__.items() if number not in META_TYPES}
_ONE_PAIR = re.compile(rb'[^"();\\\n]*+\((?:[^"();\\\n]++|\n[ \t\r\v\f])*+\)[^"();\\]*\Z').match
_LINE_END = (b"", b"\n")
_PLAIN_LABEL = re.compile(rb"[A-Za-z0-9_*/-]+\Z").match
_NUMBER = re.compile(rb"[+-]?[0-9]")
_TAG = re.compile(rb"\s*[A-Za-z0-9_-]+\s*=")  # a comment that looks like the rest of a DMARC or DKIM record


@dataclass(frozen=True, slots=True)
class Reading:
    """`zone` is None when `problems` has errors. `files` is all that was asked of the loader, the main one first.
    `index` is that of a large zone in one file, if it was asked for."""

    zone: Zone | None
    problems: Problems
    files: tuple[str, ...]
    index: TextIndex | None = None


class Sink(Protocol):
    """Takes the records: see ZoneBuilder."""

    def add(self, owner: bytes, rrtype: int, ttl: int, rdata: bytes, place: int, /) -> None: ...

    def spell(self, owner: bytes, spelled: bytes, /) -> None: ...


def read_zone(path: str, apex: bytes, load: Loader, now: int | None = None, *, indexed: bool = False) -> Reading:
    """The zone `apex` (lower-case wire name) from the file `path`. Raises nothing: every fault is a problem.

    `now` (seconds since 1970) is what signatures are held against; without it they are not.
    """
    problems = Problems()
    files: list[str] = []
    builder = ZoneBuilder(apex, problems, files)
    reader = _ZoneReader(apex, load, problems, files, builder)
    zone = index = None
    try:
        zone = reader.run(path, now, builder, indexed=indexed)
        index = reader.index
    except TooManyErrors:
        pass
    return Reading(zone, problems, tuple(files), index)


class PartReader:
    """Reads parts of a file, which follow each other, from a state on. The records go to `sink`; `marks` are found on
    the way, with offsets and lines from the first octet on.

    A part ends at the end of a line. If no error was found, it ended between two entries.
    """

    def __init__(self, path: str, apex: bytes, state: State, sink: Sink, problems: Problems) -> None:
        self.problems = problems
        self.marks: list[Mark] = []
        self._octets = self._lines = 0
        self._reader = _ZoneReader(apex, _load_nothing, problems, [path], sink)
        self._reader.begin(path, state)

    @property
    def state(self) -> State:
        return self._reader.state

    @property
    def has_generated(self) -> bool:
        return self._reader.has_generated

    def read(self, text: bytes, number: int) -> None:
        """`number` lines are before it. Raises TooManyErrors."""
        for offset, lines, state in self._reader.read_part(text, number):
            self.marks.append(Mark(self._octets + offset, self._lines + lines - number, state))
        self._octets += len(text)
        self._lines += text.count(b"\n")


def _load_nothing(path: str) -> bytes:
    raise OSError(0, "nothing is included here")


class _ZoneReader:
    """The state of one reading: what the directives set, and the last owner."""

    def __init__(self, apex: bytes, load: Loader, problems: Problems, files: list[str], sink: Sink) -> None:
        self.problems = problems
        self.files = files
        self.index: TextIndex | None = None
        self._marks: list[Mark] | None = None  # noted while the main file is read, if they are wanted
        self._file_numbers: dict[str, int] = {}
        self._load = load
        self._apex = apex
        self._builder = sink
        self._file = 0  # index of the file that is being read
        self._path = ""
        self._open_paths: list[str] = []  # the main file and the includes that led here
        self._includes = 0
        self._included: set[str] = set()
        self._repeated_octets = 0
        self._generated = 0
        self._generated_octets = 0
        self._generating = False
        self._owner: bytes | None = None  # of the last record, lower-case; None: unknown, or it could not be read
        self._owner_failed = False
        # The TTL of a record that has none: from $TTL (RFC 2308 §4), else the last explicit one (RFC 1035 §5.1), else
        # DEFAULT_TTL. `fixed`: explicit ones no longer change it.
        self._ttl: int | None = None
        self._ttl_fixed = False
        self._apex_failed = False  # an SOA or NS could not be read: that it is missing is no news
        self._ttls = Memo(parse_ttl)
        self._kinds = _plain_kinds()
        self._entry: Entry = Entry(0, b"")
        self._names = NameReader(apex)
        self._readers = {apex: self._names}
        self._plain = PlainRdata(self._names)
        self._rdata = RdataReader(self._names, self._remark)

    def run(self, path: str, now: int | None, builder: ZoneBuilder, *, indexed: bool) -> Zone | None:
        content = self._loaded(path, None)
        if content is None:
            return None
        if content.startswith(RAW_FORMATS):
            message = "this is BIND's raw format; `named-compilezone -f raw -F text -o NEW ZONE FILE` makes text of it"
            self.problems.error(Place(path), message)
            return None
        if indexed and len(content) >= MIN_INDEXED_OCTETS:
            self._marks = []
        self._read_file(path, content)
        # `remark` leads back to here. Without that cycle a million records need no garbage collector to go away.
        del self._rdata
        if self._apex_failed:
            return None
        zone = builder.build()
        if zone is not None:
            check_zone(zone, builder, now)
        if self.problems.errors:
            return None
        if self._marks is not None and len(self.files) == 1:
            self.index = TextIndex.of(content, self._marks, self.state, builder.irregular)
        return zone

    # --- parts of a file ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return State(self._names.origin, self._owner, self._ttl, self._ttl_fixed)

    @property
    def has_generated(self) -> bool:
        return self._generated > 0

    def begin(self, path: str, state: State) -> None:
        """What is read from here on stands in the middle of a file."""
        self._path = path
        self._open_paths = [posixpath.normpath(path)]
        self._set_origin(state.origin)
        _, self._owner, self._ttl, self._ttl_fixed = state

    def read_part(self, text: bytes, number: int) -> list[Mark]:
        marks: list[Mark] = []
        self._marks = marks
        self._read_lines(Source(text, self._begins_record, number))
        return marks

    # --- files -------------------------------------------------------------------------------------------------------

    def _loaded(self, path: str, token: Token | None) -> bytes | None:
        """The content; None, with an error at `token` (None: the main file), when it cannot be had."""
        if path not in self._file_numbers:
            self._file_numbers[path] = len(self.files)
            self.files.append(path)
        try:
            return self._load(path)
        except OSError as error:
            reason = error.strerror or str(error)
            if token is None:
                self.problems.error(Place(path), f"cannot be read: {reason}")
                return None
            raise Fault(token, f"cannot read {path}: {reason}") from None

    def _read_file(self, path: str, content: bytes) -> None:
        self._open_paths.append(posixpath.normpath(path))
        self._path = path
        self._file = self._file_numbers[path]
        self._read_lines(Source(content, self._begins_record))
        self._open_paths.pop()

    def _read_lines(self, source: Source) -> None:
        """The fast path: one pass over plain words. Whatever raises here is read again by `_slow`."""
        add, spell = self._builder.add, self._builder.spell
        kinds, ttls, step = self._kinds, self._ttls, source.step
        base = self._file << FILE_SHIFT
        # Where the first line of an entry in parentheses ends, and its other lines.
        number, behind, more = source.number, 0, b""
        length = LENGTH_OCTETS
        suffixes, codecs = self._names.suffixes, self._plain.codecs
        owner_word, owner, default, fixed = b"", self._owner, self._ttl, self._ttl_fixed
        stream = source.stream
        marks = None if len(self._open_paths) > 1 or self._generating else self._marks
        marked = sys.maxsize  # from which line on the next mark may stand
        if marks is not None:
            marks.append(Mark(0, number, self.state))
            marked = number + CHUNK_LINES
        for line in stream:
            if number >= marked and marks is not None:  # every entry before is finished here
                marks.append(Mark(stream.tell() - len(line), number, State(self._names.origin, owner, default, fixed)))
                marked = number + CHUNK_LINES
            number += step
            try:
                if len(line) > MAX_LINE_OCTETS:
                    raise ValueError
                text = line if b";" not in line else _without_comment(line)
                if b"(" in text:
                    behind = stream.tell()
                    text, more = _unfolded(text, source.content, behind)
                    stream.seek(behind + len(more))
                words = text.split()
                if line[0] in _BLANKS:
                    at = 0
                else:
                    at = 1
                    word = words[0]
                    if word != owner_word:
                        head, dot, rest = word.partition(b".")
                        if not head.isalnum() and not _PLAIN_LABEL(head):
                            raise ValueError
                        spelled = length[len(head)] + head + (suffixes[rest] if dot else suffixes[ORIGIN_KEY])
                        owner = spelled.lower()
                        if owner != spelled:
                            spell(owner, spelled)
                        owner_word = word
                word = words[at]
                kind = kinds.get(word)
                if kind:
                    ttl = default
                else:
                    at += 1
                    if kind is None:  # TTL [class] type
                        ttl = ttls[word]
                        kind = kinds[words[at]]
                        if not kind:
                            at += 1
                            kind = kinds[words[at]]
                        if not fixed:
                            default = ttl
                    else:  # class [TTL] type
                        word = words[at]
                        kind = kinds.get(word)
                        ttl = default
                        if kind is None:
                            ttl = ttls[word]
                            at += 1
                            kind = kinds[words[at]]
                            if not fixed:
                                default = ttl
                rdata = codecs[kind](words, at + 1, text)
                if owner is None or ttl is None:
                    raise ValueError
            except (ValueError, LookupError):
                if behind:
                    stream.seek(behind)
                    behind = 0
                source.number = number
                self._owner, self._ttl = owner, default
                self._slow(source, line)
                number = source.number
                owner_word, owner, default, fixed = b"", self._owner, self._ttl, self._ttl_fixed
                suffixes, codecs = self._names.suffixes, self._plain.codecs
            else:
                add(owner, kind, ttl, rdata, base | number)
                if behind:
                    number += (more.count(b"\n") + (more[-1:] not in _LINE_END)) * step
                    behind = 0
        self._owner, self._ttl = owner, default

    def _begins_record(self, line: bytes) -> bool:
        """Does this line, seen without what is before it, begin a record or a directive?"""
        if line[:1].isspace():
            return False
        words = line[:1000].upper().split(None, 4)
        if words and words[0].startswith(b"$"):
            return words[0].decode("latin-1") in _DIRECTIVES
        for word in words[1:4]:
            if word.decode("latin-1") in _TYPES:
                return True
            if word != b"IN" and not word[:1].isdigit():
                break
        return False

    # --- the complete reading ----------------------------------------------------------------------------------------

    def _slow(self, source: Source, line: bytes) -> None:
        """One entry, whatever it is."""
        text = line.lstrip()
        if not text or text.startswith(b";"):
            return
        entry = self._entry = source.entry(line)
        if entry.fault is not None:
            self._fail(entry, entry.fault)
            return
        if not entry.tokens:
            return
        if len(entry.lines) > 1:
            self._warn_of_swallowed_lines(entry)
        first = entry.tokens[0]
        try:
            if first.text.startswith(b"$") and not first.quoted and not entry.blank_owner:
                self._directive(entry)
            else:
                self._record(entry)
        except Fault as fault:
            self._fail(entry, fault)

    def _fail(self, entry: Entry, fault: Fault) -> None:
        """What the failed entry would have set must not lead to more errors that are none."""
        self._report(Severity.ERROR, entry, fault.token, fault.message)
        self._apex_failed |= any(token.text.upper() in (b"SOA", b"NS") for token in entry.tokens[:5])
        if entry.fault is not None and not entry.blank_owner and entry.tokens:
            try:
                self._read_owner(entry.tokens[0])
            except Fault:
                pass

    def _report(self, severity: Severity, entry: Entry, token: Token, message: str) -> None:
        full = self.problems.errors >= MAX_PROBLEMS if severity is Severity.ERROR else self.problems.left_out
        if full:  # only counted from here on
            self.problems.add(severity, Place(self._path, token.line), message)
            return
        line = entry.text_of(token.line)
        text = line.rstrip().decode("utf-8", "replace").replace("\t", " ")
        column = 0 if self._generating else len(line[: max(token.column - 1, 0)].decode("utf-8", "replace")) + 1
        if token.column == 0:
            column = 0
        if len(text) > MAX_TEXT:
            text = text[:MAX_TEXT] + " ..." if column <= MAX_TEXT else ""
        if self._generating:
            message = f"in a record made by $GENERATE: {message}"
        self.problems.add(severity, Place(self._path, token.line, column), message, text)

    def _remark(self, token: Token, message: str) -> None:
        self._report(Severity.NOTE, self._entry, token, message)

    def _set_origin(self, origin: bytes) -> None:
        reader = self._readers.get(origin)
        if reader is None:
            if len(self._readers) == MAX_ORIGINS:
                self._readers.clear()
            reader = self._readers[origin] = NameReader(origin)
        self._names = self._rdata.names = reader
        self._plain.use(reader)

    def _read_owner(self, token: Token) -> bytes:
        """Sets the current owner; the next record may leave it out."""
        self._owner, self._owner_failed = None, True
        spelled = self._names.read(token, self._remark)
        owner = spelled.lower()
        if owner != spelled:
            self._builder.spell(owner, spelled)
        self._owner, self._owner_failed = owner, False
        return owner

    def _record(self, entry: Entry) -> None:
        """`[owner] [TTL] [class] type rdata`, TTL and class in either order (RFC 1035 §5.1)."""
        tokens = entry.tokens
        if not entry.blank_owner:
            self._read_owner(tokens[0])
        explicit, rrtype, at = self._header(entry, 0 if entry.blank_owner else 1)
        rdata = self._rdata.read(rrtype, tokens[at + 1 :], tokens[at])
        owner = self._owner
        if owner is None:
            if self._owner_failed:
                return  # the record that named the owner has its error
            raise Fault(tokens[0], "a line that begins with a blank continues the owner before it, and there is none")
        if rrtype in (Type.TXT, SPF):
            self._warn_of_lost_text(entry, at)
        place = self._file << FILE_SHIFT | entry.line
        self._builder.add(owner, rrtype, self._ttl_of(explicit, tokens[at]), rdata, place)

    def _header(self, entry: Entry, start: int) -> tuple[int | None, int, int]:
        """TTL, class and type from token `start` on: the explicit TTL, the type, and the index of the type's token."""
        ttl: int | None = None
        class_seen = False
        for at, token in islice(enumerate(entry.tokens), start, None):
            word = token.text.upper()
            if ttl is None and _NUMBER.match(word):
                try:
                    ttl = self._explicit_ttl(token)
                except ValueError as error:
                    raise Fault(token, f"{error}{self._owner_hint(entry, at)}") from None
            elif not class_seen and word in (b"IN", b"CLASS1"):
                class_seen = True
            elif word in _OTHER_CLASSES or re.fullmatch(rb"CLASS[0-9]+", word):
                raise Fault(token, f"class {shown(token.text)}: only the class IN is served; expected IN or nothing")
            else:
                return ttl, self._type(entry, at), at
        raise Fault(entry.tokens[-1], "the record ends here; expected a record type (A, MX, ...) and its data")

    def _type(self, entry: Entry, at: int) -> int:
        token = entry.tokens[at]
        word = token.text.upper().decode("latin-1")
        try:
            rrtype = type_from_text(word)
        except ValueError:
            similar = self._nearest(word, _TYPES)
            hint = f"; did you mean {similar}?" if similar else self._owner_hint(entry, at)
            raise Fault(token, f"{shown(token.text)} is no record type{hint or '; expected A, MX, ...'}") from None
        if rrtype == 0 or rrtype in META_TYPES:
            raise Fault(token, f"the type {word} exists only in queries and messages, never in a zone")
        return rrtype

    def _nearest(self, word: str, known: Iterable[str]) -> str:
        """Nothing once no more problems are kept: a file of a million typos would take a minute for each thousand."""
        if len(word) > 20 or self.problems.errors > MAX_PROBLEMS:
            return ""
        return next(iter(get_close_matches(word, known, 1)), "")

    def _owner_hint(self, entry: Entry, at: int) -> str:
        # As written, in capitals: a host called "mx" is more likely than one called "MX".
        first = entry.tokens[0].text.decode("latin-1")
        if entry.blank_owner or at != 1 or not (first in _TYPES or first == "IN"):
            return ""
        return f" (a line that begins in the first column begins with an owner: here {first}; indent it if not meant)"

    def _explicit_ttl(self, token: Token) -> int:
        """What has 32 bits but not 31 is taken for 0, as every resolver would (RFC 2181 §8)."""
        if token.text.isdigit() and len(token.text) == 10 and MAX_TTL < int(token.text) < 1 << 32:
            message = f"the TTL {shown(token.text)} is larger than {MAX_TTL} and counts as 0 (RFC 2181 §8)"
            self._report(Severity.WARNING, self._entry, token, message)
            return 0
        return parse_ttl(token.text)

    def _ttl_of(self, explicit: int | None, token: Token) -> int:
        if explicit is not None:
            if not self._ttl_fixed:
                self._ttl = explicit
            return explicit
        if self._ttl is None:
            message = f"there is no $TTL, and no record before has a TTL; {DEFAULT_TTL} is used"
            hint = " (BIND would take the SOA's minimum, which RFC 2308 §4 gave another meaning)"
            self._report(Severity.WARNING, self._entry, token, message + hint)
            self._ttl = DEFAULT_TTL
            self._ttl_fixed = True
        return self._ttl

    def _warn_of_swallowed_lines(self, entry: Entry) -> None:
        """A missing `)` makes the next record's words a part of this one, until some other `)`."""
        for number, line in enumerate(entry.lines[1:], entry.line + 1):
            if self._begins_record(line):
                message = f"this looks like a record, but the parenthesis of line {entry.line} is still open"
                self._report(Severity.WARNING, entry, Token(b"", False, number, 1), message)
                return

    def _warn_of_lost_text(self, entry: Entry, type_at: int) -> None:
        """`v=DMARC1; p=none` without quotes loses all but its first word."""
        comment, before = entry.comment, entry.comment_after - 1
        if comment is None or before <= type_at or entry.tokens[before].quoted:
            return
        if comment.glued or _TAG.match(comment.text, 1):
            message = 'from this ; on all is a comment; if it belongs to the text, put the text in quotes: "...; ..."'
            self._report(Severity.WARNING, entry, comment, message)

    # --- directives --------------------------------------------------------------------------------------------------

    def _directive(self, entry: Entry) -> None:
        token = entry.tokens[0]
        match token.text.upper():
            case b"$ORIGIN":
                self._expect(entry, 1, 1, "$ORIGIN NAME")
                self._set_origin(self._names.read(entry.tokens[1], self._remark))
            case b"$TTL":
                self._expect(entry, 1, 1, "$TTL SECONDS")
                try:
                    self._ttl = self._explicit_ttl(entry.tokens[1])
                except ValueError as error:
                    raise Fault(entry.tokens[1], str(error)) from None
                self._ttl_fixed = True
            case b"$INCLUDE":
                self._expect(entry, 1, 2, "$INCLUDE FILE [ORIGIN]")
                self._include(entry)
            case b"$GENERATE":
                self._generate(entry)
            case _:
                similar = self._nearest(token.text.upper().decode("latin-1"), _DIRECTIVES)
                hint = f"did you mean {similar}?" if similar else f"expected one of {', '.join(_DIRECTIVES)}"
                raise Fault(token, f"{shown(token.text)} is no directive; {hint}")

    def _expect(self, entry: Entry, least: int, most: int, form: str) -> None:
        given = len(entry.tokens) - 1
        if given < least:
            raise Fault(entry.tokens[0], f"something is missing; expected {form}")
        if given > most:
            extra = entry.tokens[most + 1]
            raise Fault(extra, f"{shown(extra.text)} is one word too many; expected {form}")

    def _include(self, entry: Entry) -> None:
        """`$INCLUDE file [origin]`: origin and last owner are afterwards what they were (RFC 1035 §5.1)."""
        token = entry.tokens[1]
        try:
            relative = unescape_string(token.text).decode("utf-8", "surrogateescape")
        except ValueError as error:
            raise Fault(token, str(error)) from None
        path = posixpath.join(posixpath.dirname(self._path), relative)
        if not relative or "\0" in relative or len(path) > MAX_PATH_OCTETS:
            raise Fault(token, "this is no file name")
        normal = posixpath.normpath(path)
        if normal in self._open_paths:
            raise Fault(token, f"a cycle: {' includes '.join([*self._open_paths, path])}")
        if len(self._open_paths) > MAX_INCLUDE_DEPTH:
            raise Fault(token, f"$INCLUDE is nested deeper than {MAX_INCLUDE_DEPTH} files")
        self._includes += 1
        if self._includes > MAX_INCLUDES:
            raise Fault(token, f"this zone includes more than {MAX_INCLUDES} files")
        origin = self._names.read(entry.tokens[2], self._remark) if len(entry.tokens) > 2 else self._names.origin
        content = self._loaded(path, token)
        assert content is not None, "a missing include raises"
        if normal in self._included:
            self._repeated_octets += len(content)
            if self._repeated_octets > MAX_REPEATED_OCTETS:
                message = f"files that are included more than once make more than {MAX_REPEATED_OCTETS} octets"
                raise Fault(token, f"{message}; include each of them once, or fewer times")
        self._included.add(normal)
        before = self._path, self._file, self._owner, self._owner_failed, self._names.origin
        self._set_origin(origin)
        self._read_file(path, content)
        self._path, self._file, self._owner, self._owner_failed, origin = before
        self._set_origin(origin)

    def _generate(self, entry: Entry) -> None:
        """`$GENERATE range lhs [TTL] [class] type rhs` (see `generate`). Stops at the first record that is wrong."""
        tokens = entry.tokens
        if len(tokens) < 5:
            raise Fault(tokens[-1], "expected $GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA")
        if tokens[2].quoted:
            raise Fault(tokens[2], "the owner of $GENERATE cannot be in quotes")
        _, _, at = self._header(entry, 3)
        if at + 1 == len(tokens):
            raise Fault(tokens[at], "the data is missing; expected $GENERATE RANGE OWNER TYPE DATA")
        try:
            numbers = parse_range(tokens[1].text)
        except ValueError as error:
            raise Fault(tokens[1], f"{shown(tokens[1].text)}: {error}") from None
        if self._generated + len(numbers) > MAX_GENERATED:
            raise Fault(tokens[1], f"{len(numbers)} records; at most {MAX_GENERATED} may be generated in one zone")
        self._generated += len(numbers)
        try:
            owners = fill(tokens[2].text, numbers)
        except ValueError as error:
            raise Fault(tokens[2], str(error)) from None
        try:
            data = fill(_generated_data(tokens[at + 1 :]), numbers)
        except ValueError as error:
            raise Fault(tokens[at + 1], str(error)) from None
        header = b" ".join(token.text for token in tokens[3 : at + 1])
        last = numbers[-1:]  # the largest number has the longest text
        longest = b"".join([*fill(tokens[2].text, last), header, *fill(_generated_data(tokens[at + 1 :]), last)])
        self._generated_octets += len(longest) * len(numbers)
        if self._generated_octets > MAX_GENERATED_OCTETS:
            raise Fault(tokens[0], f"this generates too much text; at most {MAX_GENERATED_OCTETS} octets in one zone")
        lines = (
            b"%b %b %b\n" % (_no_directive(owner), header, rdata) for owner, rdata in zip(owners, data, strict=True)
        )
        self._read_generated(lines, entry.line)

    def _read_generated(self, lines: Iterator[bytes], number: int) -> None:
        errors = self.problems.errors
        self._generating = True
        blocks = chain([list(islice(lines, 1))], iter(lambda: list(islice(lines, GENERATED_BLOCK)), []))
        for block in blocks:
            self._read_lines(Source(b"".join(block), self._begins_record, number, counted=False))
            if self.problems.errors > errors:
                break
        self._generating = False


def _generated_data(tokens: list[Token]) -> bytes:
    """The template of the data. One quoted token is data in quotes (`MX "10 mail$"`), as in BIND; else as written."""
    if len(tokens) == 1 and tokens[0].quoted:
        return tokens[0].text.replace(b'\\"', b'"')
    return b"".join(
        (b"" if token.glued else b" ") + (b'"%b"' % token.text if token.quoted else token.text) for token in tokens
    ).lstrip()


def _without_comment(line: bytes) -> bytes:
    """What is before the `;`; the line itself where that may not be a comment, or where a warning is due."""
    text, _, comment = line.partition(b";")
    if b'"' in text or b"\\" in text or not text[-1:].isspace() or _TAG.match(comment):
        return line
    return text


def _unfolded(line: bytes, content: bytes, behind: int) -> tuple[bytes, bytes]:
    """The entry that begins with `line` as one line without its parentheses, and what it took of `content`.

    `behind` is where the next line begins there. Raises ValueError for all but one plain pair of parentheses: also for
    a line in them that does not begin with a blank, because that may be a record after a parenthesis left open.
    """
    more = b""
    if b")" not in line:
        close = content.find(b")", behind, behind + MAX_PLAIN_OCTETS)
        if close < 0:
            raise ValueError("not plain")
        end = content.find(b"\n", close, close + MAX_PLAIN_OCTETS) + 1
        if not end:
            end = len(content)
            if end - close > MAX_PLAIN_OCTETS:
                raise ValueError("not plain")
        more = content[behind:end]
        line = line + more if line.endswith(b"\n") else b"%b\n%b" % (line, more)  # it had a comment
    if not _ONE_PAIR(line):
        raise ValueError("not plain")
    return line.replace(b"(", b" ", 1).replace(b")", b" ", 1), more


def _no_directive(owner: bytes) -> bytes:
    return b"\\" + owner if owner.startswith(b"$") else owner


@cache
def _plain_kinds() -> Mapping[bytes, int]:
    """The words that the fast path knows: the class IN, and its types in upper and lower case."""
    kinds = dict.fromkeys((b"IN", b"in"), _CLASS_IN)
    for rrtype in PlainRdata(NameReader(names.ROOT)).codecs:
        word = type_to_text(rrtype).encode()
        kinds[word] = kinds[word.lower()] = rrtype
    return kinds
