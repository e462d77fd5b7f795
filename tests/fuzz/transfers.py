"""Conversations with a primary, valid ones and then changed: the inbound machine ends with a reason, or with exactly
what was sent.

    python -m tests.fuzz.transfers --conversations 1000000
    python -m tests.fuzz.transfers --seed 4711 --conversations 1     one of them again

A conversation is decided by its seed: versions of a zone, what the secondary has of them, IXFR or AXFR, messages of
one record or of many, a key or none, one message in so many signed. Then something happens to it:

- *on its way*: octets are changed, messages cut, joined, lost, doubled, swapped, replayed. If it is signed, it ends
  with the primary's zone or not at all. If it is not, nobody can know what the primary has sent; then what comes out is
  whole by its own framing: what was delivered from the first SOA to the last, nothing more and nothing less.
- *at the primary*: records are lost, doubled, swapped or from elsewhere, and then signed. Again what comes out is what
  was sent.

Whatever is delivered and read is also read by dnspython, now and then.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import dns.exception
import dns.message

from authdns.transfer.inbound import Ask, Caps, Changes, Failed, Inbound, UpToDate, Whole
from authdns.transfer.reading import read_answer
from authdns.wire.query import parse_query
from authdns.wire.rdata import folded
from authdns.wire.serial import is_newer
from authdns.wire.tsig import ALGORITHMS, Key
from authdns.wire.types import Rcode, Type
from authdns.zone.records import Record
from tests.fuzz.invariants import Violation
from tests.fuzz.mutations import change
from tests.hostile_primary.conversation import NOW, End, zone_after
from tests.hostile_primary.faults import AXFR, IXFR, SOA, Talk
from tests.hostile_primary.messages import in_messages, name, record, serial_of, soa
from tests.hostile_primary.zones import Copy

KEY = Key(name("key.example."), ALGORITHMS["hmac-sha256"], b"0123456789abcdef0123456789abcdef")
APEX = name("example.com.")
CAPS = Caps(records=2000, octets=1 << 20)
SERVER = record("example.com.", "NS", "ns1.example.com.")
POOL = [
    *(record(f"h{i}.example.com.", "A", f"192.0.2.{i}") for i in range(20)),
    *(record(f"h{i}.example.com.", "AAAA", f"2001:db8::{i}") for i in range(5)),
    *(record("example.com.", "MX", f"{i} mail{i}.example.com.") for i in range(3)),
    *(record(f"d{i}.Deep.Example.com.", "CNAME", "h1.example.com.") for i in range(5)),
    record("example.com.", "TXT", '"some text" "and more"'),
    record("_sip._udp.example.com.", "SRV", "1 2 3 h1.example.com."),
    record("n.example.com.", "NAPTR", '1 2 "s" "E2U+sip" "" h2.example.com.'),
    record("sub.example.com.", "NS", "ns.sub.example.com."),
    record("ns.sub.example.com.", "A", "192.0.2.200"),
]
STRANGERS = [
    record("www.example.org.", "A", "192.0.2.66"),
    record("com.", "NS", "ns.example.org."),
    soa(name("sub.example.com."), 5),
    soa(APEX, 77),
    SERVER,
]
READ_BY_DNSPYTHON = 20  # one conversation in so many


@dataclass
class Conversation:
    """What is said, decided by a seed."""

    seed: int
    copy: Copy = field(init=False)
    delivered: list[bytes] = field(default_factory=list)  # in answer to the last question

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        below = self.random.random
        self.copy = Copy("example.com", versions=list(self._versions()))
        self.key = KEY if below() < 0.5 else None
        known = self.random.choice(self.copy.versions)
        self.before = None if below() < 0.25 else known
        self.have = None if self.before is None else self.before[0]
        self.per_message = self.random.choice((1, 1, 2, 3, 7, 1000))
        self.sign_every = self.random.choice((1, 1, 2, 50, 99))
        self.axfr_only = below() < 0.2
        self.on_its_way = below() < 0.7
        self.phase = self.random.choice((SOA, IXFR, IXFR, IXFR, AXFR, AXFR, "any"))
        self.changes = self.random.choice((0, 1, 1, 1, 1, 2, 3, 6))

    def _versions(self) -> Iterator[tuple[Record, ...]]:
        serial = self.random.choice((1, 4_294_967_290, self.random.getrandbits(32)))
        chosen = set(self.random.sample(POOL, 12))
        for _ in range(self.random.randint(2, 4)):
            yield (soa(APEX, serial), SERVER, *sorted(chosen))
            chosen ^= set(self.random.sample(POOL, self.random.choice((0, 1, 2, 8))))
            serial = serial + self.random.choice((1, 1, 1, 2, 1000, (1 << 31) - 1)) & 0xFFFFFFFF

    def run(self) -> End:
        ids = iter(self.random.sample(range(65536), 8))
        machine = Inbound(
            APEX, self.have, self.key, lambda: next(ids), "fuzz", whole=self.random.random() < 0.1, caps=CAPS
        )
        request = machine.begin(NOW)
        while True:
            self.delivered = []
            for message in self._answers(Talk(request, parse_query(request), self.copy, self.key, NOW)):
                self.delivered.append(message)
                step = machine.receive(message, NOW)
                if step is not None:
                    break
            else:
                return machine.broken_off()
            if not isinstance(step, Ask):
                return step
            request = step.request

    def read(self, message: bytes) -> list[Record]:
        question = APEX + self.asked.to_bytes(2, "big") + b"\0\1"
        return read_answer(message, self.ident, question).records

    def _answers(self, talk: Talk) -> list[bytes]:
        self.asked, self.ident = talk.query.qtype, talk.ident
        here = self.phase in (talk.phase, "any")
        if talk.phase == IXFR and self.axfr_only:
            if self.random.random() < 0.5:
                return [talk.message(rcode=self.random.choice((Rcode.FORMERR, Rcode.NOTIMP, Rcode.REFUSED)))]
            records = talk.axfr()
        else:
            records = talk.records()
        if here and not self.on_its_way:
            for _ in range(self.changes):
                self._change_records(records)
        messages = list(self._signed(talk, in_messages(records, self.per_message)))
        if here and self.on_its_way:
            for _ in range(self.changes):
                self._change_messages(messages)
        return messages

    def _signed(self, talk: Talk, parts: Iterable[Iterable[Record]]) -> Iterator[bytes]:
        plain = [talk.message(part, sign=False) for part in parts]
        if talk.signer is None:
            yield from plain
            return
        unsigned = b""
        for place, each in enumerate(plain):
            if place % self.sign_every and place < len(plain) - 1:
                unsigned += each
                yield each
            else:
                yield talk.signed_after(unsigned, each)
                unsigned = b""

    def _change_records(self, records: list[Record]) -> None:
        place = self.random.randrange(len(records)) if records else 0
        match self.random.randrange(8):
            case 0:
                del records[place : place + 1]
            case 1:
                records[place:place] = records[place : place + 1]
            case 2:
                self.random.shuffle(records)
            case 3:
                records[place : place + 2] = reversed(records[place : place + 2])
            case 4:
                records.insert(place, self.random.choice(STRANGERS))
            case 5:
                records.insert(
                    place, soa(APEX, self.copy.serial + self.random.choice((-1, 0, 1, 1 << 31)) & 0xFFFFFFFF)
                )
            case 6:
                records.insert(place, self.random.choice(POOL))
            case _:
                del records[place:]

    def _change_messages(self, messages: list[bytes]) -> None:
        place = self.random.randrange(len(messages)) if messages else 0
        other = self.random.randrange(len(messages)) if messages else 0
        if not messages:
            return
        match self.random.randrange(12):
            case 0:
                del messages[place]
            case 1:
                messages.insert(other, messages[place])
            case 2:
                messages[place], messages[other] = messages[other], messages[place]
            case 3:
                messages[place] = messages[place][: self.random.randrange(len(messages[place]) + 1)]
            case 4:
                messages[place] += messages[other]
            case 5:
                messages[place] = self.random.randbytes(2) + messages[place][2:]
            case 6:  # one and the records of another
                messages[place] = messages[place][:12] + messages[other][12:]
            case 7:
                del messages[place:]
            case _:
                octets = bytearray(messages[place])
                change(self.random, octets, messages)
                messages[place] = bytes(octets)


def check(seed: int) -> str:
    """What became of it, in a word or two. Raises Violation."""
    talk = Conversation(seed)
    try:
        end = talk.run()
        return _check(talk, end)
    except Violation:
        raise
    except Exception as error:
        raise Violation(f"conversation {seed}: {error!r}") from error


def _check(talk: Conversation, end: End) -> str:
    genuine = talk.key is not None and talk.on_its_way
    if isinstance(end, Failed):
        _must(talk, bool(end.reason), "no reason")
        _must(talk, talk.changes > 0, f"failed without a fault: {end}")
        return f"failed: {end.trouble.name}"
    have = None if talk.have is None else serial_of(talk.have)
    if isinstance(end, UpToDate):
        _must(talk, have is not None and not is_newer(end.serial, have), f"{end} of {have}")
        if genuine or not talk.changes:
            _must(talk, end.serial == talk.copy.serial, f"{end} of {talk.copy.serial}")
        return "up to date"
    _check_framing(talk, end)
    if talk.seed % READ_BY_DNSPYTHON == 0:
        for message in talk.delivered:
            _compare_with_dnspython(talk, message)
    kind = "whole" if isinstance(end, Whole) else "changes"
    try:
        zone = zone_after(end, talk.before or ())
    except ValueError as error:
        _must(talk, not genuine, f"a genuine transfer makes no zone: {error}")
        return f"{kind}, and no zone"
    new = frozenset(each._replace(owner=each.owner.lower()) for each in talk.copy.new)
    if genuine or not talk.changes:
        _must(talk, zone == new, "another zone than the primary's")
        return f"{kind}, the primary's"
    return f"{kind}, the primary's" if zone == new else f"{kind}, as it was sent"


def _check_framing(talk: Conversation, end: Whole | Changes) -> None:
    """All that was delivered, and nothing else."""
    sent = [each for message in talk.delivered for each in talk.read(message)]
    _must(talk, end.records == len(sent), f"{end.records} records of {len(sent)}")
    first, last = sent[0], sent[-1]
    _must(
        talk, _key(first) == _key(last) and first.type == Type.SOA and first.owner.lower() == APEX, "not between SOAs"
    )
    if talk.have is not None:
        _must(talk, is_newer(serial_of(first), serial_of(talk.have)), "not newer")
    if isinstance(end, Whole):
        _must(talk, all(each.type != Type.SOA for each in sent[1:-1]), "an SOA in the middle")
        zone = end.builder
        found = {
            (owner, fields[at], folded(fields[at], fields[at + 2]))  # type: ignore[arg-type]
            for owner, fields in zone._growing.items()
            for at in range(0, len(fields), 4)
        }
        _must(talk, found == {_key(each) for each in sent}, "the builder holds something else")
        return
    steps = [each for delta in end.deltas for each in (delta.before, *delta.removed, delta.after, *delta.added)]
    _must(talk, steps == sent[1:-1], "the deltas hold something else")
    _must(talk, talk.have is not None and serial_of(end.deltas[0].before) == serial_of(talk.have), "not from ours")
    _must(talk, _key(end.deltas[-1].after) == _key(first), "not to the last one")
    for one, other in pairwise(end.deltas):
        _must(talk, serial_of(one.after) == serial_of(other.before), "a gap")


def _key(each: Record) -> tuple[bytes, int, bytes]:
    return each.owner.lower(), each.type, folded(each.type, each.rdata)


def _compare_with_dnspython(talk: Conversation, message: bytes) -> None:
    try:
        theirs = dns.message.from_wire(message, one_rr_per_rrset=True, keyring=False)
    except (dns.exception.DNSException, ValueError):
        return  # it looks into rdata that is opaque to us
    meant = [(rrset.name.canonicalize().to_wire(), int(rrset.rdtype), rrset.ttl) for rrset in theirs.answer]
    found = [(each.owner.lower(), each.type, each.ttl) for each in talk.read(message)]
    _must(talk, found == meant, f"dnspython reads {meant}, and we {found}")


def _must(talk: Conversation, holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(f"conversation {talk.seed}: {otherwise}")


def run(seeds: range) -> Counter[str]:
    return Counter(map(check, seeds))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.transfers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    begun = time.monotonic()
    end = given.seed + given.conversations
    parts = [range(at, min(at + 5000, end)) for at in range(given.seed, end, 5000)]
    outcomes: Counter[str] = Counter()
    with ProcessPoolExecutor(given.workers) as pool:
        for each in pool.map(run, parts):
            outcomes += each
    for outcome, number in outcomes.most_common():
        print(f"{number:10,}  {outcome}")
    print(f"{given.conversations:,} conversations in {time.monotonic() - begun:.0f} s, no violation")


if __name__ == "__main__":
    main()
