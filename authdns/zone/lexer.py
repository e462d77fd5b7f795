r"""Zone-file lines to tokens (RFC 1035 §5.1): parentheses, quotes, comments and escapes are dealt with here.

No meaning lives here: what a token stands for is for `reader` and `rdata_text` to say. Escapes stay in a token's
text, because `a\.b` and `a.b` are different names. A `Source` hands out *entries*: one line, or several joined by
parentheses. It reads every octet once, and once more from where a parenthesis was never closed: from then on
an entry also ends where the next record visibly begins, so that one missing `)` does not hide the rest of the file.
"""

import re
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

# An RR's rdata has at most 65,535 octets: four characters each as \DDD, some more as strings with quotes and blanks.
MAX_LINE_OCTETS = 1 << 20
MAX_ENTRY_OCTETS = 1 << 20  # of all tokens between a pair of parentheses
MAX_ENTRY_TOKENS = 70_000  # 65,535 empty strings are the most tokens that an rdata can have
BOM = b"\xef\xbb\xbf"

# Possessive quantifiers keep this linear in time and constant in memory, whatever the file holds.
_PIECE = re.compile(
    rb"""(?P<blank>[ \t\r\n\v\f]++)
       | (?P<comment>;[^\n]*+)
       | (?P<word>(?:[^ \t\r\n\v\f;()"\\]++|\\[^\r\n])++)
       | "(?P<quoted>(?:[^"\\\r\n]++|\\[^\r\n])*+)"
       | (?P<open>\()
       | (?P<close>\))
       | (?P<broken>[\s\S])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """`text` is raw, without its quotes; `line` and `column` count from 1; `glued`: no blank before it."""

    text: bytes
    quoted: bool
    line: int
    column: int
    glued: bool = False


class Fault(ValueError):
    """Something is wrong at `token`; the message says what, and what was expected."""

    def __init__(self, token: Token, message: str) -> None:
        super().__init__(message)
        self.token = token
        self.message = message


def shown(text: bytes) -> str:
    """For a message: short, printable."""
    shown = text.decode("utf-8", "backslashreplace")
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in shown) or '""'


class Entry:
    """The tokens of one record or directive.

    `blank_owner`: the line began with white space. `comment` is the first one, `comment_after` the number of tokens
    before it. `fault` is what made the entry unreadable, its tokens are not to be used then. `lines` are its physical
    lines, for messages. `opened` counts the parentheses that wait for their `)`, `opened_at` is where the first stands.
    """

    __slots__ = (
        "blank_owner",
        "comment",
        "comment_after",
        "fault",
        "full",
        "line",
        "lines",
        "octets",
        "opened",
        "opened_at",
        "tokens",
    )

    def __init__(self, line: int, first: bytes) -> None:
        self.line = line
        self.lines: list[bytes] = []
        self.tokens: list[Token] = []
        self.blank_owner = first[:1].isspace()
        self.comment: Token | None = None
        self.comment_after = 0
        self.fault: Fault | None = None
        self.opened = 0
        self.opened_at = (0, 0)  # line and column
        self.octets = 0
        self.full = False  # larger than any record can be

    def text_of(self, line: int) -> bytes:
        """The physical line, or nothing if it was not kept."""
        index = line - self.line
        return self.lines[index] if 0 <= index < len(self.lines) else b""

    def blame(self, line: int, column: int, message: str) -> None:
        """The first fault stays: what follows is mostly its consequence."""
        if self.fault is None:
            self.fault = Fault(Token(b"", False, line, column), message)


class Source:
    """The lines of one file, and the entries in them.

    Iterating gives physical lines (the reader's fast path looks at those first); `entry` takes a line that needs more
    care and pulls the lines that belong to it. `begins_record` tells a line that starts a record from the inside of
    a parenthesis; it is asked only after something went wrong. `number` is the current line; with `counted` False it
    stays, for text that was generated from one line.
    """

    def __init__(
        self, content: bytes, begins_record: Callable[[bytes], bool], number: int = 0, counted: bool = True
    ) -> None:
        self.content = content  # what a position in `stream` counts in
        self.stream = BytesIO(content)
        if content.startswith(BOM):
            self.stream.seek(len(BOM))
        self.number = number
        self.step = int(counted)
        self._begins_record = begins_record
        self._wary = False

    def entry(self, line: bytes) -> Entry:
        """The entry that begins with `line`, which has just been read and has the number `self.number`."""
        first_number, behind_first = self.number, self.stream.tell()
        entry = Entry(first_number, line)
        self._take(entry, line)
        while entry.opened:
            before = self.stream.tell()
            line = self.stream.readline()
            suspicious = self._wary or entry.fault is not None
            if not suspicious and (not line or entry.full):
                # All that was swallowed is read again, warily.
                self._blame_parenthesis(entry)
                self._wary = True
                self.stream.seek(behind_first)
                self.number = first_number
                self._skip_to_record()
                break
            if not line or (suspicious and self._begins_record(line)):
                self._blame_parenthesis(entry)
                self.stream.seek(before)
                break
            self.number += self.step
            self._take(entry, line)
        if entry.full:
            entry.blame(entry.line, 0, f"too much for one record: more than a megabyte or {MAX_ENTRY_TOKENS} words")
        return entry

    def _blame_parenthesis(self, entry: Entry) -> None:
        line, column = entry.opened_at
        reason = f"not closed within a megabyte or {MAX_ENTRY_TOKENS} words" if entry.full else "never closed"
        entry.blame(line, column, f"this parenthesis is {reason}; expected a )")

    def _skip_to_record(self) -> None:
        """Pass over lines that are no record of their own."""
        while line := self.stream.readline():
            if self._begins_record(line):
                self.stream.seek(-len(line), 1)
                break
            self.number += self.step

    def _take(self, entry: Entry, line: bytes) -> None:
        """One more physical line's tokens."""
        number = self.number
        if len(line) > MAX_LINE_OCTETS:
            entry.blame(number, 0, f"the line is {len(line)} octets long, at most {MAX_LINE_OCTETS} are possible")
            return
        entry.octets += len(line)
        if entry.fault is None and not entry.full:
            entry.lines.append(line)
        self._tokenize(entry, line, number)
        if entry.octets > MAX_ENTRY_OCTETS or len(entry.tokens) > MAX_ENTRY_TOKENS:
            entry.full = True  # from now on only its parentheses matter
            entry.tokens.clear()
            del entry.lines[1:]

    def _tokenize(self, entry: Entry, line: bytes, number: int) -> None:
        glued = False
        for piece in _PIECE.finditer(line):
            kind = piece.lastgroup
            column = piece.start() + 1
            if kind == "blank":
                glued = False
                continue
            if kind == "word" or kind == "quoted":
                if entry.fault is None and not entry.full:
                    entry.tokens.append(Token(piece[kind], kind == "quoted", number, column, glued))
            elif kind == "comment":
                if entry.comment is None:
                    entry.comment = Token(piece["comment"], False, number, column, glued)
                    entry.comment_after = len(entry.tokens)
            elif kind == "open":
                if not entry.opened:
                    entry.opened_at = number, column
                entry.opened += 1
            elif kind == "close":
                if entry.opened:
                    entry.opened -= 1
                else:
                    entry.blame(number, column, "a ) without a ( before it")
            elif piece["broken"] == b'"':
                entry.blame(number, column, 'this string is not closed on its line; expected another "')
                return
            else:
                entry.blame(number, column, "a backslash at the end of the line escapes nothing")
                return
            glued = kind == "word" or kind == "quoted"
