"""What is wrong with a configuration, and where: always with the line, so that a person can go there.

Problems are values. They are collected, never raised one by one: whoever fixes a file wants all of them at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MAX_QUOTED = 80  # characters of a value inside a message
MAX_TEXT = 160  # characters of the offending line that are shown; a flow list can be one very long line


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a configuration file. `line` and `column` count from 1, 0 where there is none (an unreadable file).

    `path` is the way through the keys, such as `zones[1].allow-transfer[0]`; `text` is the whole line.
    """

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    text: str = ""

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """`message` says what is wrong and what was expected. `str()` adds the place and the line, with a mark below it."""

    where: Where
    message: str

    @property
    def place(self) -> str:
        return str(self.where)

    @property
    def path(self) -> str:
        return self.where.path

    @property
    def text(self) -> str:
        return self.where.text

    def __str__(self) -> str:
        head = _printable(": ".join(filter(None, (self.place, self.path, self.message))))
        text, column = _window(self.text, self.where.column)
        if not text.strip():
            return head
        mark = f"\n    {' ' * (column - 1)}^" if column else ""
        return f"{head}\n    {text}{mark}"


def _window(line: str, column: int) -> tuple[str, int]:
    """At most MAX_TEXT characters of `line` around `column`, without what could move a terminal's cursor."""
    shown = _printable(line)
    if len(shown) <= MAX_TEXT:
        return shown.rstrip(), column
    start = min(max(0, column - 1 - MAX_TEXT // 2), len(shown) - MAX_TEXT)
    return shown[start : start + MAX_TEXT].rstrip(), column - start if column else 0


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def quoted(text: str) -> str:
    """The text in backticks as messages show it, cut where it is too long for one."""
    return f"`{text}`" if len(text) <= MAX_QUOTED else f"`{text[:MAX_QUOTED]}...`"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every one that was found, in the order of the file."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.where.line, problem.where.column)))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))
