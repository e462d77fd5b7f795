"""The smallest zone that still shows a difference: records are taken away, then labels, as long as it stays.

Many candidates are asked at once: each is served under an origin of its own, of the same length as the original's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from authdns.wire import name as names
from tests.differential.questions import Question
from tests.differential.servers import Batch, Group
from tests.differential.zones import APEX, Record, labels_of

MOST_AT_ONCE = 60
MOST_STARTS = 40
SHRINK_ORIGIN = "y"


class Case(NamedTuple):
    """A question to the zones of one group."""

    group: Group
    question: Question

    @property
    def size(self) -> int:
        return sum(len(zone.records) for zone in self.group)

    @property
    def base(self) -> str:
        """The highest of the group's origins."""
        return min((zone.origin for zone in self.group), key=len)

    def rebased(self, number: int) -> Case:
        """The same under another origin of the same length: `z0001.test.` becomes `y0042.test.`."""
        old = self.base
        if old == ".":
            return self
        new = f"{SHRINK_ORIGIN}{number:04}{old[5:]}"
        group = tuple(zone.with_records(zone.records, zone.origin.removesuffix(old) + new) for zone in self.group)
        return Case(group, self.question._replace(name=respelled(self.question.name, old, new)))


def respelled(name: bytes, old: str, new: str) -> bytes:
    suffix = names.from_text(old)
    if not names.is_at_or_below(name.lower(), suffix.lower()):
        return name
    return name[: len(name) - len(suffix)] + names.from_text(new)


Still = Callable[[Batch, Case], bool]


class Shrinker:
    """`still` says whether a case that is served shows the difference."""

    def __init__(self, folder: Path, still: Still) -> None:
        self.folder = folder
        self.still = still
        self.starts = 0

    def shrunk(self, case: Case) -> Case:
        if not self._which([case]):
            return case
        for smaller in (self._without_zones, self._without_records, self._without_labels, self._without_records):
            case = smaller(case)
        return case

    def _which(self, candidates: Sequence[Case]) -> list[int]:
        """Which of the candidates still show it."""
        found = []
        step = 1 if candidates and candidates[0].base == "." else MOST_AT_ONCE
        for start in range(0, len(candidates), step):
            if self.starts >= MOST_STARTS:
                break
            self.starts += 1
            rebased = [each.rebased(start + number) for number, each in enumerate(candidates[start : start + step])]
            with Batch(self.folder, [each.group for each in rebased]) as batch:
                found += [start + number for number, each in enumerate(rebased) if self.still(batch, each)]
        return found

    def _smallest(self, case: Case, candidates: Iterable[Case]) -> Case:
        candidates = list(candidates)
        found = [candidates[each] for each in self._which(candidates)]
        return min([*found, case], key=lambda each: each.size)

    def _without_zones(self, case: Case) -> Case:
        while len(case.group) > 1:
            candidates = [
                case._replace(group=case.group[:number] + case.group[number + 1 :])
                for number, zone in enumerate(case.group)
                if zone.origin != case.base
            ]
            smaller = self._smallest(case, candidates)
            if smaller is case:
                break
            case = smaller
        return case

    def _without_records(self, case: Case) -> Case:
        """Chunks are taken away, of half the records first, of one record last; those that can go, together."""
        chunk = max(1, len(removable(case)) // 2)
        while removable(case):
            chunks = [removable(case)[at : at + chunk] for at in range(0, len(removable(case)), chunk)]
            gone = self._which([without(case, each) for each in chunks])
            together: list[tuple[int, int]] = []
            candidates = []
            for number in gone:
                together = together + chunks[number]
                candidates.append(without(case, together))
            smaller = self._smallest(case, candidates)
            if chunk == 1 and (smaller is case or len(gone) == 1):
                return smaller
            case = smaller
            chunk = max(1, min(chunk // 2, len(removable(case)) // 2))
        return case

    def _without_labels(self, case: Case) -> Case:
        while len(case.group) == 1:
            candidates = list(relabelled(case))
            found = self._which(candidates)
            if not found:
                break
            case = candidates[found[0]]
        return case


def removable(case: Case) -> list[tuple[int, int]]:
    """Which records (zone, index) a zone can do without: all but SOA and one NS of the apex."""
    found = []
    for number, zone in enumerate(case.group):
        first_ns = next(i for i, each in enumerate(zone.records) if (each.owner, each.type) == (APEX, "NS"))
        found += [(number, i) for i, each in enumerate(zone.records) if each.type != "SOA" and i != first_ns]
    return found


def without(case: Case, gone: Sequence[tuple[int, int]]) -> Case:
    missing = set(gone)
    group = tuple(
        zone.with_records(each for i, each in enumerate(zone.records) if (number, i) not in missing)
        for number, zone in enumerate(case.group)
    )
    return case._replace(group=group)


def relabelled(case: Case) -> Iterator[Case]:
    """The zone with one label less: every name that ends in it and what is above it."""
    (zone,) = case.group
    apex = names.from_text(zone.origin)
    relative = case.question.name[: len(case.question.name) - len(apex)] + b"\0"
    asked = names.to_text(relative).rstrip(".") if len(relative) > 1 else APEX
    for suffix in sorted(
        {each for owner in [asked, *(record.owner for record in zone.records)] for each in tails(owner)}
    ):
        label, *rest = labels_of(suffix)
        if label == "*" or suffix == "nsx":
            continue
        records = tuple(
            Record(renamed(each.owner, suffix, rest), each.ttl, each.type, renamed_in(each.data, suffix, rest))
            for each in zone.records
        )
        if len({(each.owner.lower(), each.type) for each in records if each.type in ("SOA", "CNAME", "DNAME")}) < sum(
            each.type in ("SOA", "CNAME", "DNAME") for each in records
        ):
            continue
        name = names.from_text(zone.absolute(renamed(asked, suffix, rest)))
        yield Case((zone.with_records(records),), case.question._replace(name=name))


def tails(name: str) -> Iterator[str]:
    labels = labels_of(name)
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def renamed(name: str, suffix: str, rest: Sequence[str]) -> str:
    """`name` with `suffix` replaced by `rest`, which is `suffix` without its first label."""
    if name.lower() == suffix.lower():
        return ".".join(rest) or APEX
    if name.lower().endswith("." + suffix.lower()):
        return ".".join([name[: -len(suffix) - 1], *rest])
    return name


def renamed_in(data: str, suffix: str, rest: Sequence[str]) -> str:
    return " ".join(renamed(word, suffix, rest) for word in re.split(" ", data))
