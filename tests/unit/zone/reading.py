"""Helpers for the tests of the reader: zones from strings, records and messages out."""

from collections.abc import Callable, Mapping

from authdns.wire import name as names
from authdns.wire.types import type_to_text
from authdns.zone.problem import Problem, Severity
from authdns.zone.reader import Reading, read_zone

APEX = names.from_text("example.com.")
HEAD = """\
$TTL 300
@ SOA ns hostmaster 1 7200 3600 1209600 900
@ NS ns
@ NS ns.example.net.
ns A 192.0.2.1
"""

Record = tuple[str, int, str, bytes]


def loader(files: Mapping[str, str | bytes]) -> Callable[[str], bytes]:
    def load(path: str) -> bytes:
        try:
            content = files[path]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None
        return content if isinstance(content, bytes) else content.encode()

    return load


def read(body: str | bytes, head: str = HEAD, **others: str | bytes) -> Reading:
    """The zone example.com. from `head` and `body`; `others` are files by name, a `__` stands for a slash."""
    content = head.encode() + (body if isinstance(body, bytes) else body.encode())
    files: dict[str, str | bytes] = {"zones/main": content}
    files |= {f"zones/{name.replace('__', '/')}": text for name, text in others.items()}
    return read_zone("zones/main", APEX, loader(files))


def records(reading: Reading) -> set[Record]:
    """Owner as spelled, TTL, type, rdata."""
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    return {
        (names.to_text(owner), rrset.ttl, type_to_text(rrset.type), rdata)
        for owner, rrset in reading.zone.iterate()
        for rdata in rrset.rdatas
    }


def added(body: str | bytes, **others: str | bytes) -> set[Record]:
    """The records that `body` adds to those of HEAD."""
    return records(read(body, HEAD, **others)) - records(read(""))


def said(reading: Reading, severity: Severity = Severity.ERROR) -> list[Problem]:
    return [problem for problem in reading.problems if problem.severity is severity]


def errors(body: str | bytes, **others: str | bytes) -> list[str]:
    """`line:column message` of each error in `body`, lines counted from its own beginning."""
    reading = read(body, HEAD, **others)
    if said(reading):
        assert reading.zone is None
    return [_short(problem) for problem in said(reading)]


def remarks(body: str | bytes, severity: Severity = Severity.NOTE) -> list[str]:
    reading = read(body)
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    return [_short(problem) for problem in said(reading, severity) if problem.place.column]


def _short(problem: Problem) -> str:
    line = problem.place.line - HEAD.count("\n") if problem.place.file == "zones/main" else problem.place.line
    return f"{line}:{problem.place.column} {problem.message}"
