"""The bounded form of `python -m tests.fuzz.engine`, and what it would meet too rarely."""

from __future__ import annotations

import pytest

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.wire.types import Opcode, Type
from tests.fuzz.engine import TRANSPORTS, Pair, Reason, pair, run
from tests.fuzz.images import crowded_queries, crowded_zones, queries, small_zones
from tests.fuzz.mutations import NAMES, SEEDS
from tests.unit.answer.hostile import WORST
from tests.unit.answer.packets import header, opt, option, query, question, tsig

QUERIES = 200_000
NSID = option(3)
CLASSES = (
    "silence",
    "limited",
    *(f"rcode {rcode}" for rcode in (0, 1, 3, 4, 5, 7)),
    *(f"declined: {reason}" for reason in Reason),
)


def test_mutated_queries() -> None:
    outcomes = run(QUERIES, seed=4711)
    assert outcomes.keys() >= set(CLASSES)
    assert min(outcomes[each] for each in CLASSES) > QUERIES / 1000, outcomes  # or nothing was tested


@pytest.mark.parametrize("transport", range(len(TRANSPORTS)))
def test_every_seed(transport: int) -> None:
    for packet in (*SEEDS, *WORST.values()):
        pair().check(packet, transport)


@pytest.mark.parametrize("transport", range(len(TRANSPORTS)))
def test_every_length_of_a_payload(transport: int) -> None:
    """Each place where a response may have to be cut."""
    for name in NAMES:
        for qtype in (Type.A, Type.NS, Type.TXT, Type.MX):
            for payload in range(512, 1432, 61):
                for flags in (0, 0x8000):
                    packet = query(name, qtype, edns=opt(payload=payload, flags=flags, options=NSID))
                    pair().check(packet, transport)


@pytest.mark.parametrize("how", small_zones())
def test_every_class_of_small_zones(how: str) -> None:
    table = ZoneTable()
    table.publish(small_zones()[how].apex, ServedZone(small_zones()[how]))
    both = Pair(table)
    for transport in range(len(TRANSPORTS)):
        for packet in queries(how):
            both.check(packet, transport)


def test_proofs_that_push_additional_records_on() -> None:
    table = ZoneTable()
    for zone in crowded_zones().values():
        table.publish(zone.apex, ServedZone(zone))
    both = Pair(table)
    for transport in range(len(TRANSPORTS)):
        assert {both.check(packet, transport) for packet in crowded_queries()} == {"rcode 0"}


@pytest.mark.parametrize("number", [0, 1, 62, 63, 64, 65, 200])
def test_an_option_behind_so_many(number: int) -> None:
    """Of too many options the first 64 are read, also to know whether the FORMERR carries NSID."""
    for transport in range(len(TRANSPORTS)):
        for cut in (0, 1, 3):
            options = option(65001) * number + NSID
            pair().check(query(edns=opt(options=options[: len(options) - cut])), transport)


def test_every_prefix_and_every_end_of_a_name() -> None:
    """Pointers, labels and records that end with the packet."""
    for edns in (opt(), tsig(), tsig(owner=b"\xc0\x0c"), tsig(owner=b"\3key\xc0\x10"), opt(owner=b"\1a\xc0\x0c")):
        packet = query(edns=edns)
        for end in range(len(packet)):
            for more in (b"", b"\xc0", b"\xc0\x0c", b"\xc1", b"\xff", b"\x40", b"\x3f"):
                assert pair().check(packet[:end] + more) != f"declined: {Reason.OPCODE}"


@pytest.mark.parametrize("opcode", range(16))
def test_opcodes(opcode: int) -> None:
    outcome = pair().check(header(opcode=opcode) + question())
    assert outcome == (f"declined: {Reason.OPCODE}" if opcode != Opcode.QUERY else "rcode 0")
