"""Rounds of zones and questions until enough have been asked; what differs, by kind.

A round is made from its own seed, so the round in which a difference showed can be run alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.differential.comparison import OURS
from tests.differential.deviations import refusal
from tests.differential.facts import facts_of
from tests.differential.families import OLD_RDATA, random_zone
from tests.differential.judgement import Verdict, verdicts
from tests.differential.questions import PLAIN, Question, questions
from tests.differential.servers import Batch, Group, Wires
from tests.differential.shrink import Case, Shrinker
from tests.differential.zones import ZoneText, below
from tests.peers.signing import HOW

GROUPS_IN_A_ROUND = 50
NESTED = 0.15  # of the groups are zones below zones
ROOT_EVERY = 25  # rounds, one serves the root zone alone
SIGNED = 0.5  # of the zones
TOGETHER = 16  # questions are asked before the first response is awaited


@dataclass(frozen=True)
class Options:
    queries: int = 1000
    seed: int = 1
    signed: tuple[str, ...] = tuple(HOW)  # how the signed zones are signed; none: all zones are plain
    signed_share: float = SIGNED
    family: str | None = None
    groups: int = GROUPS_IN_A_ROUND
    seconds: float = float("inf")


class Finding(NamedTuple):
    """A difference that nobody has explained."""

    kind: str
    case: Case
    seed: int
    said: str


@dataclass
class Result:
    counts: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[Finding]] = field(default_factory=dict)  # by kind

    def found(self, finding: Finding) -> None:
        self.findings.setdefault(finding.kind, []).append(finding)


def run(options: Options, folder: Path, progress: Callable[[str], None] = print) -> Result:
    """Ask so many questions; the seeds of the rounds follow each other."""
    result, started = Result(), time.monotonic()
    seed = options.seed
    while result.counts["questions"] < options.queries and time.monotonic() < started + options.seconds:
        play(options, seed, folder, result, started + options.seconds)
        unexplained = sum(map(len, result.findings.values()))
        progress(
            f"seed {seed}: {result.counts['questions']} questions, {sum(result.explained.values())} differences "
            f"explained, {unexplained} not, in {len(result.findings)} kinds; {time.monotonic() - started:.0f} s"
        )
        seed += 1
    return result


def groups_of(options: Options, seed: int) -> list[Group]:
    """The zones of one round."""
    random = Random(seed)
    if seed % ROOT_EVERY == 0:
        return [(random_zone(random, ".", signing(options, random), options.family),)]
    groups = []
    for number in range(options.groups):
        origin = random_origin(random, number)
        if random.random() < NESTED:
            groups.append(tuple(nested_zones(options, random, origin)))
        else:
            groups.append((random_zone(random, origin, signing(options, random), options.family),))
    return groups


def signing(options: Options, random: Random) -> str | None:
    if not options.signed or random.random() >= options.signed_share:
        return None
    return random.choice(options.signed)


def random_origin(random: Random, number: int) -> str:
    first = f"z{number:04}"
    kind = random.random()
    if kind < 0.7:
        return f"{first}.test."
    if kind < 0.8:
        deep = ".".join(random.choice(("a", "b", "deep", "*")) for _ in range(random.randrange(2, 12)))
        return f"{first}.{deep}.test."
    if kind < 0.87:
        return f"{first}.2.0.192.in-addr.arpa."
    if kind < 0.92:
        return f"{first}{'k' * 58}.{'x' * 63}.test."
    return f"{first}." if kind < 0.96 else f"{first.upper()}.TeSt."


def nested_zones(options: Options, random: Random, origin: str) -> Iterator[ZoneText]:
    """Zones below one another, each delegated by the next one above it (unless an alias is there), some by others."""
    origins = [origin, f"a.{origin}", f"b.a.{origin}"]
    origins += random.sample([f"b.{origin}", f"ns.b.{origin}", f"*.{origin}", f"c.b.a.{origin}"], 2)
    chosen = [each for each in origins if each == origin or random.random() < 0.8]
    for each in chosen:
        zone = random_zone(random, each, signing(options, random), options.family)
        records = list(zone.records)
        taken = {(record.owner.lower(), record.type) for record in records}
        for child in chosen:
            cut = child.removesuffix("." + each)
            closest = max((above for above in chosen if child.endswith("." + above)), key=len, default="")
            skipped = each != closest and random.random() < 0.6
            if cut == child or skipped or {(cut, "CNAME"), (cut, "DNAME"), (cut, "NS")} & taken:
                continue
            server = random.choice((below("nsx", cut), "ns.example.net."))
            records.append(records[0]._replace(owner=cut, ttl=300, type="NS", data=server))
            if server != "ns.example.net." and (server, "A") not in taken:
                records.append(records[0]._replace(owner=server, ttl=300, type="A", data="192.0.2.1"))
            if random.random() < 0.4 and (cut, "DS") not in taken:
                records.append(records[0]._replace(owner=cut, ttl=300, type="DS", data="4711 8 2 " + "33" * 32))
        yield zone.with_records(records)


def play(options: Options, seed: int, folder: Path, result: Result, deadline: float) -> None:
    """One round."""
    groups = groups_of(options, seed)
    with Batch(folder / "round", groups) as batch:
        for name in batch.crashed:
            result.counts[f"rounds that crash {name}"] += 1
        for group in groups:
            result.counts["zones"] += len(group)
            for zone in group:
                if zone.origin in batch.unsigned:
                    result.counts[f"zones not signed: {zone.signed}"] += 1
                    continue
                judge_served(batch, Case((zone,), Question(b"\0", 6, PLAIN)), seed, result)
                if len(servers_of(batch, group)) < 3:
                    continue
                if time.monotonic() > deadline or result.counts["questions"] >= options.queries:
                    return
                asked = list(questions(zone, Random(f"{seed} {zone.origin}")))
                result.counts["questions"] += len(asked)
                result.counts[f"questions to zones signed: {zone.signed or 'not at all'}"] += len(asked)
                for case, wires in answered(batch, group, asked):
                    for verdict in judged(batch, case, wires):
                        if verdict.reason is None:
                            result.found(Finding(verdict.kind, case, seed, verdict.text))
                        else:
                            result.explained[verdict.reason.name] += 1


def judge_served(batch: Batch, case: Case, seed: int, result: Result) -> None:
    """Whether authdns takes the zones that most of its peers take."""
    zone = case.group[0]
    servers = batch.served[zone.origin]
    theirs = len(servers - {OURS})
    for name in batch.servers:
        result.counts[f"zones that {name} does not serve"] += name not in servers
    if OURS in servers:
        if theirs == 0 and not is_beyond_peers(zone):
            logs = "\n".join(batch.log_of(zone.origin, name) for name in batch.servers if name != OURS)
            result.found(Finding("served by authdns only", case, seed, logs))
    elif theirs >= 2:
        why = batch.log_of(zone.origin)
        known = refusal(why)
        if known is not None:
            result.explained[known.name] += 1
        else:
            result.found(Finding("refused by authdns", case, seed, why))
    else:
        result.counts["zones refused by authdns and most others"] += 1


def is_beyond_peers(zone: ZoneText) -> bool:
    """Whether the zone has what BIND refuses (RFC 4592 §4.2 only discourages it) or types that others do not know."""
    return any(each.type in OLD_RDATA or (each.type == "NS" and each.owner.startswith("*")) for each in zone.records)


def servers_of(batch: Batch, group: Group) -> frozenset[str]:
    """The servers that have all zones of the group; none if authdns does not."""
    having = frozenset(batch.servers).intersection(*(batch.served.get(zone.origin, ()) for zone in group))
    return having if OURS in having else frozenset()


def answered(batch: Batch, group: Group, asked: Sequence[Question]) -> Iterator[tuple[Case, Wires]]:
    """The questions and what each server that has all zones of the group says."""
    among = servers_of(batch, group)
    over_udp = [question for question in asked if not question.mode.tcp]
    for start in range(0, len(over_udp), TOGETHER):
        together = over_udp[start : start + TOGETHER]
        for question, wires in zip(together, batch.panel.ask_together(together, among), strict=True):
            yield Case(group, question), wires
    for question in asked:
        if question.mode.tcp:
            yield Case(group, question), batch.panel.ask(question, among)


def judged(batch: Batch, case: Case, wires: Wires) -> Iterator[Verdict]:
    def ask(question: Question) -> Wires:
        return batch.panel.ask(question, wires)

    return verdicts(case.question, wires, ask, batch.apexes, facts_of(case.group))


def shrunk(finding: Finding, folder: Path) -> Finding:
    """The same difference with as little zone as possible."""
    if finding.kind.startswith(("served", "refused")):
        return finding

    def still(batch: Batch, case: Case) -> bool:
        return any(True for _ in texts(batch, case))

    def texts(batch: Batch, case: Case) -> Iterator[str]:
        if len(servers_of(batch, case.group)) < len(batch.servers):
            return
        for each, wires in answered(batch, case.group, [case.question]):
            for verdict in judged(batch, each, wires):
                if verdict.reason is None and same(verdict.kind, finding.kind):
                    yield verdict.text

    case = Shrinker(folder / "shrink", still).shrunk(finding.case).rebased(0)
    with Batch(folder / "shrink", [case.group]) as batch:
        text = next(texts(batch, case), None)
    return finding._replace(case=case, said=text) if text else finding


def same(kind: str, another: str) -> bool:
    """Whether two kinds are the same aspect with the same rcodes."""
    return essence(kind) == essence(another)


def essence(kind: str) -> Sequence[str]:
    words = kind.split()
    return [words[0], *(words[at + 1] for at, word in enumerate(words) if word in ("ours", "most"))]
