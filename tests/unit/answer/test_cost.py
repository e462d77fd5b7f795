"""The most expensive packet costs at most 20 times what an ordinary one of its size costs.

Cost is counted in bytecode instructions that `Responder.respond` executes, not in seconds: the same on every machine.
Each packet is sent once before, so that its answer is compiled, as in a server that is attacked.
"""

import statistics
import sys
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.types import Class, Type
from tests.unit.answer.packets import APEX, WWW, below_apex, header, opt, option, query, question, record, tsig
from tests.unit.answer.zones import zone_from_text

TIMES = 20
SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 65535)  # classes: up to so many octets

ZONE = f"""\
www.example.com. 60 A 192.0.2.1
www.example.com. 60 MX 10 www.example.com.
*.wild.example.com. 60 A 192.0.2.2
alias.example.com. 60 CNAME www.example.com.
child.example.com. 60 NS ns.child.example.com.
ns.child.example.com. 60 A 192.0.2.3
{"d." * 90}example.com. 60 TXT deep
{"c." * 90}child.example.com. 60 A 192.0.2.4
\\000.\\000.\\000.example.com. 60 A 192.0.2.5
"""
ABOVE = (
    "example.com.",
    "wild.example.com.",
    "child.example.com.",
    "d." * 45 + "example.com.",
    "com.",
    "example.org.",
    ".",
)


def responder(text: str, *, tcp: bool = False) -> Responder:
    served = ServedZone(zone_from_text(text))
    served.compile_all()
    table = ZoneTable()
    table.publish(served.zone.apex, served)
    return Responder(table, tcp=tcp)


UDP, TCP = responder(ZONE), responder(ZONE, tcp=True)


def instructions(function: Callable[[bytes], object], argument: bytes) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(argument)
    finally:
        sys.settrace(before)
    return count


def cost(packet: bytes, to: Responder | None = None) -> int:
    if to is None:
        to = UDP if len(packet) <= 4096 else TCP
    to.respond(packet)
    return instructions(to.respond, packet)


def size_class(packet: bytes) -> int:
    return next(size for size in SIZES if len(packet) <= size)


@cache
def ordinary_cost(size: int) -> float:
    """The median over ordinary packets of a class: short names as they are, longer packets by names and padding."""
    cookie = option(10, b"12345678")
    extra = (b"", opt(), opt(flags=0x8000), opt(options=cookie))
    if size == SIZES[0]:
        return statistics.median(cost(query(name, edns=edns)) for name in (WWW, b"\2nx" + APEX) for edns in extra)
    smaller = SIZES[SIZES.index(size) - 1]
    middle = (smaller + size) // 2 if size <= 4096 else 8192
    padding = middle - len(query(edns=opt(options=cookie + option(12))))
    packets = [
        query(edns=opt(options=option(12, bytes(padding)))),
        query(edns=opt(options=cookie + option(12, bytes(padding)))),
    ]
    if size <= 512:
        packets += [query(below_apex(min(255, middle - 40)), edns=edns) for edns in extra[:3]]
    assert all(size_class(packet) == size for packet in packets), [len(packet) for packet in packets]
    return statistics.median(map(cost, packets))


def times_ordinary(packet: bytes) -> float:
    return cost(packet) / ordinary_cost(size_class(packet))


def short_labels(above: str, octet: bytes = b"a") -> bytes:
    """The name with the most labels below `above`."""
    base = names.from_text(above)
    return (b"\1" + octet) * ((names.MAX_NAME_OCTETS - len(base)) // 2) + base


MANY = short_labels("example.com.")
POINTERS = b"".join((0xC000 | 12 + i).to_bytes(2, "big") for i in range(0, 0x3FF0, 2))

WORST: dict[str, bytes] = {
    **{f"127 labels below {above[-20:]}": query(short_labels(above)) for above in ABOVE},
    **{f"127 labels below {above[-20:]}, Z": query(short_labels(above), flags=0x40, edns=opt()) for above in ABOVE},
    "127 labels for DS": query(MANY, Type.DS),
    "127 labels for DS, Z": query(MANY, Type.DS, flags=0x40),
    "127 labels of class CH": query(MANY, Type.TXT, Class.CH),
    "labels of zero octets": query(short_labels("example.com.", b"\0")),
    "labels of zero octets below names of zero octets": query(short_labels("\\000.\\000.\\000.example.com.", b"\0")),
    "labels of zero octets, none of our zones": query(short_labels(".", b"\0"), edns=opt()),
    "one label of zero octets": query(b"\x3f" + bytes(63) + APEX),
    "a thousand empty options": query(edns=opt(options=option(65001) * 1015)),
    "as many empty options as are read, 127 labels": query(MANY, edns=opt(options=option(65001) * 64)),
    "16,000 empty options": query(edns=opt(options=option(65001) * 16_000)),
    "one option of 65,000 octets": query(edns=opt(options=option(65001, bytes(65_000)))),
    "TSIG with long names": query(below_apex(255), edns=tsig(owner=below_apex(255), algorithm=below_apex(255))),
    "TSIG with many labels": query(MANY, edns=tsig(owner=MANY, algorithm=MANY)),
    "TSIG with many labels, behind a pointer": query(MANY, edns=tsig(owner=b"\xc0\x0c", algorithm=MANY)),
    "TSIG with a large MAC": query(edns=tsig(mac=bytes(60_000))),
    "TSIG behind options": query(MANY, edns=opt(options=option(1) * 64) + tsig(owner=MANY, algorithm=MANY), more=1),
    "8,000 pointers for a question": header() + POINTERS,
    "8,000 pointers behind a question": query(edns=tsig(owner=POINTERS)),
    "32,000 labels for a question": query(b"\1a" * 32_000 + b"\0"),
    "32,000 labels for a key": query(edns=tsig(owner=b"\1a" * 32_000 + b"\0")),
    "32,000 labels for an algorithm": query(edns=tsig(algorithm=b"\1a" * 32_000 + b"\0")),
    "65,535 records": header(counts=(1, 0, 0, 65535)) + question() + opt() * 5900,
    "65,535 questions": header(counts=(65535, 0, 0, 0)) + question() * 3000,
    "65,535 octets of ones": header() + b"\1" * 65_523,
    "65,535 octets of zeros": header() + bytes(65_523),
    "an IXFR query with many labels": header(counts=(1, 0, 1, 0))
    + question(MANY, Type.IXFR)
    + record(MANY, Type.SOA, Class.IN, 0, MANY + MANY + bytes(20)),
    "NOTIFY with everything": header(opcode=4, counts=(1, 1, 0, 2))
    + question(MANY, Type.SOA)
    + record(MANY, Type.SOA, Class.IN, 0, MANY + MANY + bytes(20))
    + opt(options=option(1) * 64)
    + tsig(owner=MANY, algorithm=MANY),
    "UPDATE with everything": header(opcode=5, counts=(1, 0, 0, 2))
    + question(MANY, Type.SOA)
    + opt(options=option(1) * 64)
    + tsig(owner=MANY, algorithm=MANY),
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_packets_that_we_know(name: str) -> None:
    assert times_ordinary(WORST[name][:65535]) <= TIMES


def test_the_count_counts() -> None:
    """A cost of nothing would pass every other test here."""
    assert 100 < cost(query()) < cost(query(flags=0x40)) < cost(WORST["127 labels below example.com., Z"])


LABELS = st.sampled_from([b"a", b"\0", b"\xff", b"\0" * 63, b"x" * 63, b"d", b"www", b"A"])


@st.composite
def wire_names(draw: st.DrawFn) -> bytes:
    base = names.from_text(draw(st.sampled_from([*ABOVE, "www.example.com.", "alias.example.com."])))
    label = draw(LABELS)
    repeated = (bytes((len(label),)) + label) * draw(st.integers(0, 130))
    found = repeated + b"".join(bytes((len(part),)) + part for part in draw(st.lists(LABELS, max_size=3))) + base
    return found if draw(st.booleans()) else found[-255:] if len(found) <= 255 else below_apex(255)


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    qname = draw(wire_names())
    options = b"".join(
        option(code, bytes(octets)) * times
        for code, octets, times in draw(
            st.lists(
                st.tuples(st.integers(0, 20), st.integers(0, 40), st.sampled_from([1, 2, 60, 64, 1000])), max_size=3
            )
        )
    )
    additional = [
        b"",
        opt(),
        opt(options=options[:65535]),
        tsig(owner=draw(st.one_of(wire_names(), st.just(b"\xc0\x0c")))),
    ]
    additional.append(tsig(algorithm=draw(wire_names()), mac=bytes(draw(st.sampled_from([0, 16, 64, 2000])))))
    chosen = draw(st.lists(st.sampled_from(additional), max_size=3))
    counts = (1, draw(st.sampled_from([0, 0, 0, 1])), draw(st.sampled_from([0, 0, 0, 1])), sum(map(bool, chosen)))
    flags = draw(st.sampled_from([0, 0x0100, 0x0040, 0x0200]))
    qtype = draw(st.sampled_from([Type.A, Type.DS, Type.ANY, Type.MX, Type.IXFR, Type.TKEY, 65535]))
    packet = header(flags, counts, draw(st.sampled_from([0, 0, 0, 4, 5]))) + question(
        qname, qtype, draw(st.sampled_from([1, 1, 1, 3, 255]))
    )
    if counts[1]:
        packet += record(draw(wire_names()), Type.SOA, Class.IN, 0, draw(wire_names()) * 2 + bytes(20))
    if counts[2]:
        packet += record(draw(wire_names()), Type.SOA, Class.IN, 0, draw(wire_names()) * 2 + bytes(20))
    return (packet + b"".join(chosen) + bytes(draw(st.sampled_from([0, 0, 0, 1, 600]))))[:65535]


@settings(deadline=None, max_examples=400)
@given(packets())
def test_a_search_finds_no_worse_one(packet: bytes) -> None:
    found = times_ordinary(packet)
    target(found, label="times an ordinary packet")
    assert found <= TIMES


# DNAME: every name below one has an answer of its own, which cannot be compiled.

DNAMES = """\
dn.example.com. 60 DNAME www.example.com.
a.www.example.com. 60 A 192.0.2.1
first.example.com. 60 DNAME longer.example.com.
longer.example.com. 60 DNAME x.longer.example.com.
"""


@pytest.mark.parametrize("name", ["a.dn.example.com.", "nothing.dn.example.com."])
def test_a_name_below_a_dname(name: str) -> None:
    packet = query(names.from_text(name))
    assert cost(packet, responder(DNAMES)) <= TIMES * ordinary_cost(size_class(packet))


@pytest.mark.parametrize("name", [short_labels("dn.example.com."), short_labels("first.example.com.")[80:]])
def test_many_labels_below_a_dname(name: bytes) -> None:
    packet = query(name)
    assert cost(packet, responder(DNAMES)) <= TIMES * ordinary_cost(size_class(packet))
