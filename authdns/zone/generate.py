r"""BIND's `$GENERATE`: one line that stands for many records.

Only text is made here: a range is parsed, a template is filled in with its numbers. The reader then reads the result
like any other line. Semantics are those of BIND 9 (ARM, "BIND Primary File Extension: the $GENERATE Directive"):
`$` is the number, `\$` and `$$` a dollar sign, `${offset[,width[,base]]}` the number shifted, padded with zeros and
in base d, o, x, X, or n, N (hexadecimal nibbles in reverse order, with dots between: for ip6.arpa).
"""

import re
from collections.abc import Callable, Iterator

# A /16 of reverse names is 65,536. For all directives of one zone together: an $INCLUDE may repeat them.
MAX_GENERATED = 1_000_000
MAX_WIDTH = 255  # no name is longer
MAX_NUMBER = 2**31 - 1  # BIND's own limit for start, stop and step

_RANGE = re.compile(rb"(\d{1,10})-(\d{1,10})(?:/(\d{1,10}))?\Z")
_MODIFIER = re.compile(rb"\{([+-]?\d{1,10})(?:,(\d{1,3})(?:,([doxXnN]))?)?\}")
_PIECES = re.compile(rb"\\(?:.|\Z)|\$\$|\$(?:\{[^}]*\}?)?|[^\\$]+", re.DOTALL)

Filler = Callable[[int], bytes]


def parse_range(text: bytes) -> range:
    """`start-stop[/step]`, both ends included. Raises ValueError with what is wrong."""
    found = _RANGE.match(text)
    if not found:
        raise ValueError("expected a range such as 1-100 or 0-254/2")
    start, stop, step = int(found[1]), int(found[2]), int(found[3] or b"1")
    if max(start, stop, step) > MAX_NUMBER:
        raise ValueError(f"a number of the range is larger than {MAX_NUMBER}")
    if step == 0:
        raise ValueError("the step of the range is 0; expected 1 or more")
    if start > stop:
        raise ValueError(f"the range begins at {start}, behind its end {stop}")
    return range(start, stop + 1, step)


def fill(template: bytes, numbers: range) -> Iterator[bytes]:
    """The template's text for each number. Raises ValueError at once if the template is wrong for one of them."""
    fillers = _compile(template, numbers)
    return (b"".join([filler if isinstance(filler, bytes) else filler(n) for filler in fillers]) for n in numbers)


def _compile(template: bytes, numbers: range) -> list[bytes | Filler]:
    parts: list[bytes | Filler] = []
    for piece in _PIECES.findall(template):
        if piece == b"$$":
            parts.append(rb"\$")
        elif piece == b"$":
            parts.append(lambda n: b"%d" % n)
        elif piece.startswith(b"$"):
            parts.append(_modifier(piece, numbers))
        else:
            parts.append(piece)  # an escape stays an escape: the record's own reading will undo it
    return parts


def _modifier(piece: bytes, numbers: range) -> Filler:
    shown = piece.decode("utf-8", "replace")
    found = _MODIFIER.fullmatch(piece[1:])
    if not found:
        raise ValueError(f"{shown} is no modifier; expected ${{offset,width,base}} with base d, o, x, X, n or N")
    offset, width, base = int(found[1]), int(found[2] or b"0"), (found[3] or b"d").decode()
    if width > MAX_WIDTH:
        raise ValueError(f"{shown}: the width is larger than {MAX_WIDTH}")
    if numbers[0] + offset < 0:
        raise ValueError(f"{shown}: {numbers[0]} with the offset {offset} is below 0")
    if numbers[-1] + offset > MAX_NUMBER:
        raise ValueError(f"{shown}: {numbers[-1]} with the offset {offset} is larger than {MAX_NUMBER}")
    if base in "nN":
        return lambda n: _nibbles(n + offset, width, base)
    style = f"%0{width}{base}".encode()
    return lambda n: style % (n + offset)


def _nibbles(value: int, width: int, base: str) -> bytes:
    """Least significant nibble first; `width` counts the dots as well, and an even one ends in a dot (as in BIND)."""
    digits = f"{value:x}" if base == "n" else f"{value:X}"
    digits = digits[::-1].ljust((width + 1) // 2, "0")
    text = ".".join(digits)
    return (text + "." if len(text) < width else text).encode()
