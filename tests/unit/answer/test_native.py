"""The engine answers what the Python executor answers, octet for octet, or declines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.image import write_image
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.types import type_from_text
from authdns.zone.zone import RRset, Zone
from tests.unit.answer.hostile import MAX_UDP_OCTETS, WORST, odd_packets, plain_queries, responder, zones
from tests.unit.answer.packets import opt, query
from tests.unit.answer.zones import (
    SIGNED,
    SIGNED_QUERY_TYPES,
    dname_query_names,
    dname_zones,
    query_names,
    random_zones,
    zone_from_text,
)

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
from authdns.answer.native import _native as native

SEED = 0x1234_5678_9ABC_DEF0


def engine_for(*served: Zone) -> native.Engine:
    engine = native.Engine(SEED)
    for zone in served:
        engine.publish(zone.apex, native.Image(write_image(zone), SEED, RRset))
    return engine


def compare(engine: native.Engine, python: Responder, packet: bytes) -> bool:
    """False if the engine declined."""
    got = engine.respond(packet)
    if got == native.DECLINED:
        return False
    assert (None if got == native.DROPPED else got) == python.respond(packet)
    return True


QUERIES = st.lists(
    st.tuples(st.one_of(query_names(), dname_query_names()), st.sampled_from(SIGNED_QUERY_TYPES)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(random_zones(("plain", *SIGNED)), dname_zones(("plain", *SIGNED))), QUERIES)
def test_every_class_of_random_zones(zone: Zone, queries: list[tuple[bytes, str]]) -> None:
    engine = engine_for(zone)
    table = ZoneTable()
    table.publish(zone.apex, ServedZone(zone))
    python = Responder(table, tcp=False)
    for qname, rrtype in queries:
        for edns in (b"", opt(payload=512), opt(payload=600, flags=0x8000), opt(flags=0x8000)):
            answered = compare(engine, python, query(qname, type_from_text(rrtype), edns=edns))
            assert answered or zone.dnames


@pytest.mark.parametrize("first", ["a.loop", "\\000.loop", "\\001.loop", "b.other", "\\000.other", "\\000.x.loop"])
@pytest.mark.parametrize("second", ["a.loop", "\\000.loop", "\\001.loop", "\\000.other"])
def test_wildcards_that_lead_back_are_never_declined(first: str, second: str) -> None:
    """Whichever names are exceptions in their classes, also the one that would stand for the class."""
    records = f"*.loop.example.com. 60 CNAME {first}.example.com.\n*.other.example.com. 60 CNAME {second}.example.com."
    zone = zone_from_text(records)
    engine = engine_for(zone)
    table = ZoneTable()
    table.publish(zone.apex, ServedZone(zone))
    python = Responder(table, tcp=False)
    for label in ("a", "b", r"\000", r"\001", r"\002", r"a.\000", r"\000.x"):
        for above in ("loop", "other"):
            for rrtype in ("A", "CNAME", "ANY"):
                qname = names.from_text(f"{label}.{above}.example.com.")
                assert compare(engine, python, query(qname, type_from_text(rrtype)))


@pytest.fixture(scope="module")
def hostile_engine() -> native.Engine:
    return engine_for(*zones())


@pytest.mark.parametrize("name", [name for name, packet in WORST.items() if len(packet) <= MAX_UDP_OCTETS])
def test_the_packets_that_cost_most(hostile_engine: native.Engine, name: str) -> None:
    compare(hostile_engine, responder(tcp=False), WORST[name])


@pytest.mark.parametrize("packets", [plain_queries(), odd_packets()], ids=["well-formed", "odd"])
def test_whatever_a_searcher_may_combine(hostile_engine: native.Engine, packets: st.SearchStrategy[bytes]) -> None:
    @settings(deadline=None, max_examples=1000)
    @given(packets)
    def search(packet: bytes) -> None:
        if len(packet) <= MAX_UDP_OCTETS:
            compare(hostile_engine, responder(tcp=False), packet)

    search()
