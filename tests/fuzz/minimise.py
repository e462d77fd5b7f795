"""`python -m tests.fuzz.minimise TARGET FOLDER`: takes from a folder of finds what the corpus does not cover yet.

Smallest files first, a file stays if it takes a way from one line of authdns to another that none before it took. The
files that are in the corpus come first and are dropped by the same rule, unless their names say what they are for
(finds of the fuzzer are named by their hash).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import authdns
from tests.fuzz.__main__ import CORPUS, MAX_OCTETS, TARGETS

PACKAGE = str(Path(authdns.__file__).parent)
NAMED_BY_HASH = re.compile("[0-9a-f]{12,}")

Way = tuple[str, int, int]


def ways(function: Callable[[bytes], str], argument: bytes) -> set[Way]:
    """The pairs of lines of authdns that were executed one after the other in the same function."""
    found: set[Way] = set()
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE):
            return None
        if event == "line":
            found.add((name, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        elif event == "return":
            last.pop(frame, None)
        return trace

    sys.settrace(trace)
    try:
        function(argument)
    finally:
        sys.settrace(None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.fuzz.minimise")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("finds", type=Path)
    given = parser.parse_args()
    check = importlib.import_module(f"tests.fuzz.{given.target}").check
    corpus = CORPUS / given.target
    found = {path.read_bytes(): path for folder in (given.finds, corpus) for path in folder.iterdir()}
    kept: set[Way] = set()
    by_name = {path for path in found.values() if path.parent == corpus and not NAMED_BY_HASH.fullmatch(path.name)}
    for data, path in sorted(found.items(), key=lambda item: (item[1] not in by_name, len(item[0]))):
        named = path in by_name
        try:
            new = ways(check, data) - kept
        except Exception as error:
            print(f"{path}: {error!r}")
            continue
        if path.parent == corpus:
            path.unlink()
        if (new or named) and len(data) <= MAX_OCTETS[given.target]:
            kept |= new
            name = path.name if named else hashlib.sha256(data).hexdigest()[:12]
            (corpus / name).write_bytes(data)
    print(f"{sum(1 for _ in corpus.iterdir())} files, {len(kept)} ways")


if __name__ == "__main__":
    main()
