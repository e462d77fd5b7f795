"""A random zone: records with names relative to the apex, drafted by families and then made a zone that can be served.

Names are text, relative to the apex (`@` is the apex itself) or absolute with a final dot, so the same records can be
served under any origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

APEX = "@"
MAX_OCTETS = 255
# With NSEC3, signers and NSD make a wildcard below every name, and fail or crash where that is too long.
MAX_OCTETS_NSEC3 = 253
# Few labels, so that names meet: wildcards, cuts and non-terminals end up above and below each other.
LABELS = {
    "a": 8, "b": 8, "c": 4, "*": 5, "ns": 2, "www": 3, "q": 1, "A": 1, "Bb": 1, "x" * 63: 1, r"\000": 1, r"a\.b": 1,
    "_tcp": 1, "1": 1, "*a": 1,
}  # fmt: skip
TTLS = (0, 60, 300, 3600, 86400)
WILDCARD_NS = 0.2  # of those that chance made are kept: BIND refuses the zone
OUTSIDE = "www.example.net."


class Record(NamedTuple):
    owner: str
    ttl: int
    type: str
    data: str

    def __str__(self) -> str:
        return f"{self.owner} {self.ttl} IN {self.type} {self.data}"


# What servers refuse, or some of them, and what they could take for it.
SPOILERS = (
    Record("a.example.org.", 300, "A", "192.0.2.1"),
    Record("spoilt", 2**31, "A", "192.0.2.1"),
    Record("spoilt", 2**32, "A", "192.0.2.1"),
    Record("spoilt", 300, "IPSECKEY", "10 0 0 ."),
    Record("spoilt", 300, "SOA", "nsx host 7 3600 900 604800 300"),
    Record("nsx", 300, "CNAME", "a"),
    Record(APEX, 300, "CNAME", "nsx"),
)


@dataclass(frozen=True)
class ZoneText:
    """A zone before it is signed and written: `signed` is a key of `tests.peers.signing.HOW`."""

    origin: str  # absolute
    records: tuple[Record, ...]
    signed: str | None = None
    families: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The zone file."""
        return f"$ORIGIN {self.origin}\n" + "".join(f"{record}\n" for record in self.records)

    def with_records(self, records: Iterable[Record], origin: str | None = None) -> ZoneText:
        return ZoneText(origin or self.origin, tuple(records), self.signed, self.families)

    def absolute(self, name: str) -> str:
        return absolute(name, self.origin)


def absolute(name: str, origin: str) -> str:
    if name.endswith(".") and not name.endswith("\\."):
        return name
    return origin if name == APEX else f"{name}.{'' if origin == '.' else origin}"


def below(label: str, name: str) -> str:
    """The name one label further down."""
    if name == APEX:
        return label
    return f"{label}." if name == "." else f"{label}.{name}"


def labels_of(name: str) -> list[str]:
    """The labels of a name, escapes kept; of an absolute one the last is empty. The apex has none."""
    if name == APEX:
        return []
    labels, escaped = [""], False
    for character in name:
        if character == "." and not escaped:
            labels.append("")
        else:
            labels[-1] += character
        escaped = character == "\\" and not escaped
    return labels


def parent(name: str) -> str:
    return ".".join(labels_of(name)[1:]) or APEX


def ancestors(name: str) -> Iterator[str]:
    """The name, then everything between it and the apex, the apex last."""
    while name != APEX:
        yield name
        name = parent(name)
    yield APEX


def octets(name: str) -> int:
    """How many octets a relative name adds in wire format."""
    return sum(1 + len(unescaped(label)) for label in labels_of(name))


def unescaped(label: str) -> bytes:
    out, at = bytearray(), 0
    while at < len(label):
        if label[at] == "\\" and label[at + 1].isdigit():
            out.append(int(label[at + 1 : at + 4]))
            at += 4
        else:
            at += label[at] == "\\"
            out.append(ord(label[at]))
            at += 1
    return bytes(out)


@dataclass
class Draft:
    """Records so far; families add to it."""

    random: Random
    origin: str
    most_octets: int = MAX_OCTETS
    records: list[Record] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: [APEX])
    ttls: dict[tuple[str, str], int] = field(default_factory=dict)

    # Names

    @property
    def room(self) -> int:
        """The octets that a relative name may have."""
        return self.most_octets - (1 if self.origin == "." else octets(self.origin))

    def label(self) -> str:
        return self.random.choices(list(LABELS), list(LABELS.values()))[0]

    def name(self) -> str:
        """A name near what is already there, or the apex."""
        base = self.random.choice(self.names) if self.random.random() < 0.6 else APEX
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3))):
            base = below(self.label(), base)
        return base if octets(base) < self.room - 20 else self.label()

    def new(self) -> str:
        """A name other than the apex."""
        return next((name for name in (self.name() for _ in range(20)) if name != APEX), "a")

    def target(self) -> str:
        """A name to point at: there, near, outside, the root, the apex, or not there."""
        chosen = self.random.random()
        if chosen < 0.45:
            return self.random.choice(self.names)
        if chosen < 0.8:
            return self.name()
        if chosen < 0.87:
            return OUTSIDE
        if chosen < 0.9:
            return "."
        return APEX if chosen < 0.95 else below("q", self.random.choice(self.names))

    # Records

    def add(self, owner: str, rrtype: str, data: str) -> None:
        if octets(owner) > self.room:
            return
        if rrtype == "NS" and owner.startswith("*") and self.chance(1 - WILDCARD_NS):
            return
        ttl = self.ttls.setdefault((owner.lower(), rrtype), self.random.choice(TTLS))
        self.records.append(Record(owner, ttl, rrtype, data))
        self.names.append(owner)

    def address(self, owner: str, rrtype: str | None = None) -> None:
        if (rrtype or self.random.choice(("A", "A", "AAAA"))) == "A":
            self.add(owner, "A", f"192.0.2.{self.random.randrange(256)}")
        else:
            self.add(owner, "AAAA", f"2001:db8::{self.random.randrange(1, 0x10000):x}")

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def zone(self, families: Sequence[str] = (), signed: str | None = None, *, clean: bool = True) -> ZoneText:
        """The zone: what no server takes is left out, if `clean`, and what the apex needs is put in front."""
        name_server = "ns.example.net." if any(each[::2] == (APEX, "DNAME") for each in self.records) else "nsx"
        minimum = self.random.choice((0, 60, 300, 3600))
        head = [
            Record(APEX, self.random.choice((60, 300, 3600)), "SOA", f"nsx host 7 3600 900 604800 {minimum}"),
            Record(APEX, 300, "NS", name_server),
        ]
        head += [Record("nsx", 300, "A", "192.0.2.1")] if name_server == "nsx" else []
        head += [Record(APEX, 300, "NS", "ns.example.net.")] if name_server == "nsx" and self.chance(0.5) else []
        fixed = {(record.owner, record.type) for record in head}
        records = [each for each in self.records if (each.owner.lower(), each.type) not in fixed]
        records = cleaned(records) if clean else [*records, self.random.choice(SPOILERS)]
        return ZoneText(self.origin, (*head, *records), signed, tuple(families))


def cleaned(records: Sequence[Record]) -> list[Record]:
    """Without what a zone must not hold: data beside CNAME or below DNAME (RFC 1034 §3.6.2, RFC 6672 §2.4), …"""
    cuts = {each.owner.lower() for each in records if each.type == "NS"}
    dnames = {each.owner.lower() for each in records if each.type == "DNAME" and each.owner.lower() not in cuts}
    aliases: dict[str, bool] = {APEX: False, "nsx": False}
    single: set[tuple[str, str]] = set()
    found: dict[tuple[str, str, str], Record] = {}
    for each in records:
        owner = each.owner.lower()
        if (owner == APEX and each.type in ("DS", "NS", "SOA")) or (owner == "nsx" and each.type in ("NS", "DNAME")):
            continue
        if (each.type == "DNAME" and owner in cuts) or (each.type == "NS" and each.data == "."):
            continue
        if any(above in dnames for above in ancestors(owner) if above != owner):
            continue
        if aliases.setdefault(owner, each.type == "CNAME") != (each.type == "CNAME"):
            continue
        if each.type in ("CNAME", "DNAME", "SOA"):
            if (owner, each.type) in single:
                continue
            single.add((owner, each.type))
        found.setdefault((owner, each.type, each.data.lower()), each)
    return list(found.values())
