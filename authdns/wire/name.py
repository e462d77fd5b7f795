"""Domain names as wire bytes.

A name is its uncompressed wire form (RFC 1035 §3.1): length octet, label, ..., zero octet. Names that are compared
or looked up are lower-case (RFC 4343); since a length octet is at most 63 and `A` is 65, `bytes.lower()` folds the
labels and leaves the lengths alone. Text exists only at the edges: zone files, logs, the command line.
"""

from collections.abc import Iterator
from functools import lru_cache

ROOT = b"\0"
MAX_NAME_OCTETS = 255  # RFC 1035 §2.3.4, the finished name with its root label
MAX_LABEL_OCTETS = 63
WILDCARD_LABEL = b"\x01*"

_SPECIAL = frozenset(b'."\\();@$')
_DECIMAL = frozenset(b"0123456789")


class BadName(ValueError):
    """The text or the bytes are not a domain name; the message says what was wrong."""


def from_text(text: str, origin: bytes = ROOT) -> bytes:
    """Presentation form (RFC 1035 §5.1) to wire bytes, spelling kept. A relative name ends in `origin`.

    >>> from_text("www.Example.com.")
    b'\\x03www\\x07Example\\x03com\\x00'
    """
    if text == "@":
        return origin
    if text == ".":
        return ROOT
    if not text:
        raise BadName("a name is empty")
    labels, absolute = _labels_from_text(text)
    wire = b"".join(bytes((len(label),)) + label for label in labels) + (ROOT if absolute else origin)
    if len(wire) > MAX_NAME_OCTETS:
        raise BadName(f"the name is {len(wire)} octets long, at most {MAX_NAME_OCTETS} are possible")
    return wire


def _labels_from_text(text: str) -> tuple[list[bytes], bool]:
    raw = text.encode("utf-8", "surrogateescape")
    labels = raw.split(b".") if b"\\" not in raw else list(_split_escaped(raw))
    absolute = labels[-1] == b""
    if absolute:
        labels.pop()
    for label in labels:
        if not label:
            raise BadName("two dots follow each other (an empty label)")
        if len(label) > MAX_LABEL_OCTETS:
            raise BadName(f"a label is {len(label)} octets long, at most {MAX_LABEL_OCTETS} are possible")
    return labels, absolute


def _split_escaped(raw: bytes) -> Iterator[bytes]:
    label = bytearray()
    position = 0
    while position < len(raw):
        octet = raw[position]
        position += 1
        if octet == 0x2E:
            yield bytes(label)
            label.clear()
        elif octet == 0x5C:
            octet, position = unescape(raw, position)
            label.append(octet)
        else:
            label.append(octet)
    yield bytes(label)


def unescape(raw: bytes, position: int) -> tuple[int, int]:
    r"""The octet that `\DDD` or `\X` stands for; `position` is behind the backslash. Returns (octet, next position)."""
    if position >= len(raw):
        raise BadName("a backslash at the end escapes nothing")
    if raw[position] not in _DECIMAL:
        return raw[position], position + 1
    digits = raw[position : position + 3]
    if len(digits) < 3 or not digits.isdigit() or int(digits) > 255:
        raise BadName(r"\DDD needs three decimal digits, at most 255")
    return int(digits), position + 3


def to_text(name: bytes) -> str:
    """Presentation form, absolute (ends in a dot), with everything escaped that a zone file would misread."""
    if name == ROOT:
        return "."
    return "".join(f"{label_to_text(label)}." for label in labels(name))


def zone_text(apex: bytes) -> str:
    """A zone's name as logs and people write it: without the last dot, the root as a dot."""
    return to_text(apex).rstrip(".") or "."


def label_to_text(label: bytes) -> str:
    return "".join(
        f"\\{chr(octet)}" if octet in _SPECIAL else chr(octet) if 0x20 < octet < 0x7F else f"\\{octet:03d}"
        for octet in label
    )


def labels(name: bytes) -> tuple[bytes, ...]:
    """The labels, the root's empty one left out."""
    found = []
    position = 0
    while length := name[position]:
        found.append(name[position + 1 : position + 1 + length])
        position += length + 1
    return tuple(found)


def label_starts(name: bytes) -> list[int]:
    """The offset of each label, the root's empty one left out."""
    found = []
    position = 0
    while length := name[position]:
        found.append(position)
        position += length + 1
    return found


def count_labels(name: bytes) -> int:
    """How many labels the name has, the root's empty one left out."""
    count = position = 0
    while length := name[position]:
        count += 1
        position += length + 1
    return count


def parent(name: bytes) -> bytes:
    """The name without its first label. The root has no parent and must not be asked for."""
    return name[name[0] + 1 :]


def ancestors(name: bytes) -> Iterator[bytes]:
    """`name` itself, then each name above it up to and including the root."""
    while True:
        yield name
        if name == ROOT:
            return
        name = name[name[0] + 1 :]


def is_at_or_below(name: bytes, ancestor: bytes) -> bool:
    """Both lower-case. A bare `endswith` would also match inside a label."""
    if not name.endswith(ancestor):
        return False
    cut = len(name) - len(ancestor)
    position = 0
    while position < cut:
        position += name[position] + 1
    return position == cut


def next_closer(name: bytes, encloser_octets: int) -> bytes:
    """The name one label longer than the closest encloser of `name` (RFC 5155 §1.3), which is that much shorter."""
    position, end = 0, len(name) - encloser_octets
    while (following := position + name[position] + 1) < end:
        position = following
    return name[position:]


def canonical_key(name: bytes) -> bytes:
    """Sorting by this gives DNSSEC's canonical order: by labels from the right, a name before those below it.

    RFC 4034 §6.1. A zero octet stands behind each label, lower than any other; octets 0 and 1 inside a label are
    written as two, which keeps their order.
    """
    end = name[0] + 1
    label = name[1:end].lower()
    if b"\0" in label or b"\1" in label:
        label = label.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    return _key_of_parent(name[end:]) + label + b"\0" if label else b""


@lru_cache(maxsize=256)  # names come in families
def _key_of_parent(name: bytes) -> bytes:
    return canonical_key(name)
