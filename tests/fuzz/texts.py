"""Changes of zone files and configurations with understanding of lines and words."""

from __future__ import annotations

import random
import re
from pathlib import Path

from tests.unit.config.examples import FULL, SINGLE_TEXTS

WORDS_FOLDER = Path(__file__).with_name("words")
LONG_WORDS = {
    "zonefile": [
        "x" * 63,
        "x" * 64,
        "a." * 120 + "a",
        f'"{"t" * 255}"',
        f'"{"t" * 256}"',
        '"a b"',
        "0" * 70,
        "\t",
        "\r",
    ],
    "config": ["x" * 256, "1" * 70, "[" * 40, "{a: " * 40, "\t", "\x85", "\u2028", "\ufeff"],
}
OTHER_LINES = {"zonefile": [], "config": [*FULL.splitlines(), *SINGLE_TEXTS.splitlines()]}


def _read(name: str) -> str:
    return (WORDS_FOLDER / name).read_text(encoding="utf-8")


WORDS = {target: _read(f"{target}.words").split() + more for target, more in LONG_WORDS.items()}
LINES = {target: _read(f"{target}.lines").splitlines() + more for target, more in OTHER_LINES.items()}
_WORD = re.compile(rb"[^\s,\[\]{}:]+")


def changed(random_: random.Random, data: bytes, target: str) -> bytes:
    """One to four lines or words of `data` replaced, added, moved or taken out."""
    lines = data.split(b"\n")
    for _ in range(random_.choice((1, 1, 2, 4))):
        at = random_.randrange(len(lines)) if lines else 0
        match random_.randrange(7):
            case 0:
                lines[at:at] = [random_.choice(LINES[target]).encode()]
            case 1:
                lines[at : at + 1] = [random_.choice(LINES[target]).encode()]
            case 2:
                del lines[at : at + random_.randrange(1, 4)]
            case 3 if lines:
                lines.insert(random_.randrange(len(lines)), lines[at])
            case _ if lines:
                lines[at] = _other_word(random_, lines[at], WORDS[target])
    return b"\n".join(lines)


def _other_word(random_: random.Random, line: bytes, words: list[str]) -> bytes:
    found = list(_WORD.finditer(line))
    word = random_.choice(words).encode()
    if not found:
        return line + word
    place = random_.choice(found)
    match random_.randrange(4):
        case 0:
            return line[: place.start()] + word + b" " + line[place.start() :]
        case 1:
            return line[: place.start()] + line[place.end() :]
        case 2:
            return line[: place.start()] + word + line[place.start() :]
        case _:
            return line[: place.start()] + word + line[place.end() :]
