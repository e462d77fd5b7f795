"""What is wrong, or worth saying, about a zone: each with its place, so that a person can go there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

MAX_PROBLEMS = 200  # errors, and as many others; a file that is no zone file at all would otherwise fill the log
MAX_ERRORS = 10_000  # then it is no zone file at all, and reading on only costs time


class TooManyErrors(Exception):
    """MAX_ERRORS were found: give up on this zone."""


class Severity(Enum):
    ERROR = "error"  # the zone is not published
    WARNING = "warning"  # published; probably not what was meant
    NOTE = "note"  # published; worth knowing


@dataclass(frozen=True, slots=True)
class Place:
    """`line` and `column` count from 1; 0 where the problem has none (a missing SOA)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


@dataclass(frozen=True, slots=True)
class Problem:
    """`message` says what is wrong and what was expected; `text` is the offending line, or empty."""

    severity: Severity
    place: Place
    message: str
    text: str = ""

    def __str__(self) -> str:
        head = f"{self.place}: {self.severity.value}: {_printable(self.message)}"
        if not self.text:
            return head
        marker = f"\n    {' ' * (self.place.column - 1)}^" if self.place.column else ""
        return f"{head}\n    {_printable(self.text)}{marker}"


def _printable(text: str) -> str:
    """Nothing that moves a terminal's cursor; a tab becomes one blank, so that the mark below stands right."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


@dataclass(slots=True)
class Problems:
    """Collects them while a zone is read and checked; what goes over the cap is counted."""

    found: list[Problem] = field(default_factory=list)
    errors: int = 0
    left_out: int = 0

    def add(self, severity: Severity, place: Place, message: str, text: str = "") -> None:
        """Raises TooManyErrors."""
        is_error = severity is Severity.ERROR
        # Each kind has a cap of its own: two hundred warnings must not hide the error that rejects the zone.
        listed = self.errors if is_error else len(self.found) - min(self.errors, MAX_PROBLEMS)
        self.errors += is_error
        if listed < MAX_PROBLEMS:
            self.found.append(Problem(severity, place, message, text))
        else:
            self.left_out += 1
        if self.errors == MAX_ERRORS:
            raise TooManyErrors

    def error(self, place: Place, message: str, text: str = "") -> None:
        self.add(Severity.ERROR, place, message, text)

    def warning(self, place: Place, message: str, text: str = "") -> None:
        self.add(Severity.WARNING, place, message, text)

    def note(self, place: Place, message: str, text: str = "") -> None:
        self.add(Severity.NOTE, place, message, text)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)
