"""What a primary serves: the versions of one zone, and the transfers that lead to the last of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from authdns.zone.records import Record
from tests.hostile_primary.messages import name, record, serial_of, soa

if TYPE_CHECKING:
    from tests.hostile_primary.faults import Fault


@dataclass
class Copy:
    """One zone. `fault` is what is wrong with the answers about it, None for an honest primary."""

    zone: str
    hosts: int = 3
    fault: Fault | None = None
    versions: list[tuple[Record, ...]] = field(default_factory=list)  # the SOA first
    begun: threading.Event = field(default_factory=threading.Event)  # a fault was committed

    def __post_init__(self) -> None:
        self.apex = name(self.zone)
        if not self.versions:
            self.edit(1)

    def owner(self, label: str) -> str:
        return f"{label}.{self.zone}."

    def edit(self, serial: int) -> None:
        """A version in which every address has changed with the serial, and one name came and one went."""
        last = serial & 0xFF
        records = [
            soa(self.apex, serial),
            record(f"{self.zone}.", "NS", self.owner("ns1")),
            record(f"{self.zone}.", "MX", f"10 {self.owner('ns1')}"),
            record(self.owner("ns1"), "A", "192.0.2.1"),
            record(self.owner("version"), "TXT", f'"{serial}"'),
            record(self.owner(f"v{serial}"), "AAAA", f"2001:db8::{last:x}"),
            *(record(self.owner(f"h{i}"), "A", f"10.{i >> 8}.{i & 255}.{last}") for i in range(self.hosts)),
        ]
        self.versions.append(tuple(records))

    @property
    def new(self) -> tuple[Record, ...]:
        return self.versions[-1]

    @property
    def serial(self) -> int:
        return serial_of(self.new[0])

    def axfr(self) -> list[Record]:
        return [*self.new, self.new[0]]

    def step(self, before: Sequence[Record], after: Sequence[Record]) -> list[Record]:
        """RFC 1995 §4: the older SOA, what was removed, the newer SOA, what was added."""
        removed = [each for each in before[1:] if each not in after]
        added = [each for each in after[1:] if each not in before]
        return [before[0], *removed, after[0], *added]

    def ixfr(self, serial: int) -> list[Record] | None:
        """None if that version was never there."""
        versions = tuple(self.versions)
        places = [place for place, version in enumerate(versions) if serial_of(version[0]) == serial]
        if not places:
            return None
        path = versions[places[-1] :]
        steps = [each for before, after in pairwise(path) for each in self.step(before, after)]
        last = versions[-1][0]
        return [last, *steps, last] if steps else [last]
