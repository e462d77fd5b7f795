"""Packets that were made to be expensive, the zones that they are aimed at, and what is ordinary beside them.

The search in `test_cost.py` begins with them; `tests/bench/cost.py` measures in microseconds what they cost here and in
general message parsers.
"""

from __future__ import annotations

import statistics
from functools import cache

from hypothesis import strategies as st

from authdns.answer.cookies import Cookies
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.limiter import Limiter
from authdns.answer.respond import NANOSECONDS, Responder
from authdns.wire import name as names
from authdns.wire.types import Class, Type
from authdns.zone.reader import read_zone
from authdns.zone.zone import Zone
from tests.fuzz.zones import SIGNED
from tests.unit.answer.costs import LIMIT, NOW, SECRETS, Cost, cost
from tests.unit.answer.packets import APEX, WWW, below_apex, header, opt, option, query, question, record, tsig
from tests.unit.answer.zones import zone_from_text

SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 65535)  # classes: up to so many octets
MAX_UDP_OCTETS = 4096
DO = 0x8000
WITH_DO = opt(flags=DO)

NULL = 10  # the type
MANY_SERVERS = 100
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
*.loop.example.com. 60 CNAME x.loop.example.com.
{"".join(f"c{i}.example.com. 60 CNAME c{i + 1}.example.com.{chr(10)}" for i in range(20))}
dn.example.com. 60 DNAME www.example.com.
a.www.example.com. 60 A 192.0.2.1
first.example.com. 60 DNAME longer.example.com.
longer.example.com. 60 DNAME x.longer.example.com.
chain.example.com. 60 DNAME second.example.com.
second.example.com. 60 DNAME third.example.com.
third.example.com. 60 DNAME {"d." * 39}example.com.
*.behind.example.com. 60 CNAME a.a.a.chain.example.com.
{"".join(f"*.many.example.com. 60 MX {i} m{i}.example.com.{chr(10)}" for i in range(MANY_SERVERS))}
{"".join(f"m{i}.example.com. 60 A 192.0.2.{i}{chr(10)}" for i in range(MANY_SERVERS))}
{"".join(f"far.example.com. 60 NS m{i}.example.com.{chr(10)}" for i in range(MANY_SERVERS))}
*.huge.example.com. 60 TXT {" ".join(['"' + "x" * 255 + '"'] * 240)}
"""
ABOVE = (
    "example.com.",
    "wild.example.com.",
    "child.example.com.",
    "far.example.com.",
    "many.example.com.",
    "huge.example.com.",
    "loop.example.com.",
    "behind.example.com.",
    "d." * 45 + "example.com.",
    "dn.example.com.",
    "first.example.com.",
    "chain.example.com.",
    "com.",
    "example.org.",
    ".",
    *(
        f"{labels}{zone}."
        for zone in ("nsec.example", "nsec3.example", "optout.example")
        for labels in ("", "www.", "wild.", "wildalias.", "dn.", "secure.", "insecure.", "insecureent.", "deep.")
    ),
    *(
        f"{labels}costly.example."
        for labels in (
            "",
            "wild.",
            "again.",
            "cw.",
            "dn.",
            "other.",
            "third.",
            "fourth.",
            "grow.",
            "insecure.",
            "insecureent.",
            "i." * 30 + "insecureent.",
            "i." * 60 + "insecureent.",
            "d." * 30 + "deep.",
            "d." * 60 + "deep.",
        )
    ),
)
NSEC3_ITERATIONS = 150  # of the zones among these that have the most


def _table() -> ZoneTable:
    table = ZoneTable()
    zones = [zone_from_text("\n".join(filter(None, ZONE.splitlines())))]
    for name, text in SIGNED.items():
        zone = read_zone(name, names.from_text(f"{name}."), lambda _, text=text: text.encode()).zone  # type: ignore[misc]
        assert zone is not None
        zones.append(zone)
    for zone in zones:
        served = ServedZone(zone)
        served.compile_all()
        table.publish(zone.apex, served)
    return table


@cache
def responder(*, tcp: bool) -> Responder:
    return Responder(_served(), tcp=tcp)


@cache
def _served() -> ZoneTable:
    return _table()


def zones() -> list[Zone]:
    return [served.zone for served in _served().by_apex.values() if isinstance(served, ServedZone)]


@cache
def guarded_responder(*, tcp: bool) -> Responder:
    """With cookies and, by UDP, a limit."""
    return Responder(_served(), tcp=tcp, cookies=Cookies(SECRETS), limiter=None if tcp else Limiter(LIMIT))


def cost_here(packet: bytes, *, stranger: bool = True) -> Cost:
    """By UDP as far as a datagram is read, else by TCP."""
    return cost(packet, guarded_responder(tcp=len(packet) > MAX_UDP_OCTETS), stranger=stranger)


def size_class(packet: bytes) -> int:
    return next(size for size in SIZES if len(packet) <= size)


def ordinary(size: int) -> list[bytes]:
    """Ordinary packets of a class: short names as they are, longer packets by names and padding."""
    cookie = option(10, b"12345678")
    extra = (b"", opt(), opt(flags=DO), opt(options=cookie))
    if size == SIZES[0]:
        return [query(name, edns=edns) for name in (WWW, b"\2nx" + APEX) for edns in extra]
    smaller = SIZES[SIZES.index(size) - 1]
    middle = (smaller + size) // 2 if size <= MAX_UDP_OCTETS else 8192
    padding = middle - len(query(edns=opt(options=cookie + option(12))))
    packets = [
        query(edns=opt(options=option(12, bytes(padding)))),
        query(edns=opt(options=cookie + option(12, bytes(padding)))),
    ]
    if size <= 512:
        packets += [query(below_apex(min(255, middle - 40)), edns=edns) for edns in extra[:3]]
    assert all(size_class(packet) == size for packet in packets), [len(packet) for packet in packets]
    return packets


@cache
def ordinary_cost(size: int) -> float:
    """The median over the ordinary packets of a class; no hash is in it."""
    return statistics.median(cost_here(packet, stranger=False).instructions for packet in ordinary(size))


def times_ordinary(packet: bytes) -> float:
    """The cost without rounds of SHA-1, which `hashed_names` counts."""
    return cost_here(packet).instructions / ordinary_cost(size_class(packet))


def hashed_names(packet: bytes) -> float:
    """For how many names NSEC3 was computed, if it was in the zone with the most iterations."""
    return cost_here(packet).rounds / (NSEC3_ITERATIONS + 1)


def short_labels(above: str, octet: bytes = b"a") -> bytes:
    """The name with the most labels below `above`."""
    base = names.from_text(above)
    return (b"\1" + octet) * ((names.MAX_NAME_OCTETS - len(base)) // 2) + base


def pointer_chain(hops: int, label: bytes = b"\1a") -> bytes:
    """A query whose key is a chain of labels and pointers, hidden in an option of OPT."""
    start = len(query(edns=opt(options=option(65001))))
    links = [label + b"\0"]
    at = start
    for _ in range(hops - 1):
        links.append(label + (0xC000 | at).to_bytes(2, "big"))
        at += len(links[-2])
    edns = opt(options=option(65001, b"".join(links)))
    return query(edns=edns + tsig(owner=label + (0xC000 | at).to_bytes(2, "big")), more=1)


def records_behind_pointers(octets: int) -> bytes:
    """What makes a general parser expensive: records, as many as there is room for, whose owner is one long name."""
    name = short_labels("example.com.")
    single = record(b"\xc0\x0c", Type.NS, Class.IN, 0, b"\xc0\x0c")
    start = question(name)
    count = (octets - len(header()) - len(start)) // len(single)
    return header(counts=(1, count, 0, 0)) + start + single * count


def chains_of_pointers(octets: int) -> bytes:
    """Half of the packet is pointers, each to the one before it; the other half is records that begin with the last."""
    start = len(query())
    links = min(octets // 4, 0x3FFF - start) // 2
    targets = (start + 11, *range(start + 12, start + 10 + 2 * links, 2))
    chain = b"\0" + b"".join((0xC000 | at).to_bytes(2, "big") for at in targets)
    first = record(b"\0", NULL, Class.IN, 0, chain)
    last = (0xC000 | start + len(first) - 2).to_bytes(2, "big")
    single = record(last, Type.TXT, Class.IN, 0, b"\0")
    count = (octets - start - len(first)) // len(single)
    return header(counts=(1, count + 1, 0, 0)) + question() + first + single * count


MANY = short_labels("example.com.")
POINTERS = b"".join((0xC000 | 12 + i).to_bytes(2, "big") for i in range(0, 0x3FF0, 2))
COOKIE = b"unheard.\1\0\0\0" + (NOW // NANOSECONDS).to_bytes(4, "big") + b"unheard."
ANCESTORS = [names.from_text(above) for above in ABOVE]

WORST: dict[str, bytes] = {
    **{f"127 labels below {above[-30:]}": query(short_labels(above)) for above in ABOVE},
    **{
        f"127 labels below {above[-30:]}, DO, Z": query(short_labels(above), flags=0x40, edns=WITH_DO)
        for above in ABOVE
    },
    **{f"a name below {above[-30:]}, DO": query(b"\1q" + names.from_text(above), edns=WITH_DO) for above in ABOVE},
    # What the search found: names that the DNAMEs make no longer than what is followed.
    "33 labels below two DNAMEs": query(b"\1a" * 33 + names.from_text("first.example.com."), Type.NS, edns=WITH_DO),
    "32 labels below a DNAME onto itself": query(b"\1a" * 32 + names.from_text("grow.costly.example."), edns=WITH_DO),
    "41 labels below five DNAMEs": query(b"\1a" * 41 + names.from_text("dn.costly.example."), flags=0x40, edns=WITH_DO),
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
    "64 options of 1,000 octets": query(edns=opt(options=option(65001, bytes(1000)) * 64)),
    "a client cookie": query(edns=opt(options=option(10, b"unheard."))),
    "a client cookie of the root": query(b"\0", edns=opt(options=option(10, b"unheard."))),
    "a server cookie that might be ours": query(edns=opt(options=option(10, COOKIE))),
    "such a cookie and 127 labels": query(MANY, edns=opt(options=option(10, COOKIE))),
    "such a cookie, long options": query(b"\0", edns=opt(options=option(10, COOKIE) + option(10, COOKIE) * 63)),
    "such a cookie and no question": header(counts=(0, 0, 0, 1)) + opt(options=option(10, COOKIE)),
    "TSIG with long names": query(below_apex(255), edns=tsig(owner=below_apex(255), algorithm=below_apex(255))),
    "TSIG with many labels": query(MANY, edns=tsig(owner=MANY, algorithm=MANY)),
    "TSIG with many labels, behind a pointer": query(MANY, edns=tsig(owner=b"\xc0\x0c", algorithm=MANY)),
    "TSIG with a large MAC": query(edns=tsig(mac=bytes(60_000))),
    "TSIG behind options": query(MANY, edns=opt(options=option(1) * 64) + tsig(owner=MANY, algorithm=MANY), more=1),
    "a key of 16 pointers": pointer_chain(16),
    "a key of 16 pointers and long labels": pointer_chain(16, b"\x0e" + b"k" * 14),
    "a key of 17 pointers": pointer_chain(17),
    "8,000 pointers for a question": header() + POINTERS,
    "8,000 pointers behind a question": query(edns=tsig(owner=POINTERS)),
    "32,000 labels for a question": query(b"\1a" * 32_000 + b"\0"),
    "32,000 labels for a key": query(edns=tsig(owner=b"\1a" * 32_000 + b"\0")),
    "32,000 labels for an algorithm": query(edns=tsig(algorithm=b"\1a" * 32_000 + b"\0")),
    **{f"{octets} octets of records behind pointers": records_behind_pointers(octets) for octets in (512, 1232, 65535)},
    **{f"{octets} octets of chains of pointers": chains_of_pointers(octets) for octets in (512, 1232, 65535)},
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
WORST = {name: packet[:65535] for name, packet in WORST.items()}

# Whatever a searcher may combine.

LABELS = st.sampled_from([b"a", b"\0", b"\xff", b"\0" * 63, b"x" * 63, b"d", b"i", b"www", b"A", b"*"])


@st.composite
def wire_names(draw: st.DrawFn) -> bytes:
    """Mostly names of at most 255 octets: a label many times, a few others, a place in a zone."""
    base = draw(st.sampled_from(ANCESTORS))
    label = draw(LABELS)
    others = b"".join(bytes((len(part),)) + part for part in draw(st.lists(LABELS, max_size=3)))
    single = bytes((len(label),)) + label
    room = max(0, names.MAX_NAME_OCTETS - len(base) - len(others)) // len(single)
    times = draw(st.one_of(st.just(room), st.integers(0, room + 3)))
    return single * times + others + base


@st.composite
def optional_records(draw: st.DrawFn) -> bytes:
    """OPT, up to the largest."""
    times = st.sampled_from([1, 2, 60, 64, 1000])
    found = draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1100), times), max_size=3))
    options = b"".join(option(code, bytes(octets)) * repeated for code, octets, repeated in found)
    payload, flags = draw(st.sampled_from([0, 512, 1232, 4096])), draw(st.sampled_from([0, DO]))
    return opt(payload=payload, flags=flags, options=options[:65000])


@st.composite
def keys(draw: st.DrawFn) -> bytes:
    owner = draw(st.one_of(wire_names(), st.integers(12, 300).map(lambda at: (0xC000 | at).to_bytes(2, "big"))))
    mac = bytes(draw(st.sampled_from([0, 16, 64, 2000, 30_000])))
    return tsig(owner=owner, algorithm=draw(wire_names()), mac=mac, other=bytes(draw(st.sampled_from([0, 6, 30_000]))))


TYPES = st.sampled_from([1, 2, 5, 6, 15, 16, 39, 43, 46, 47, 48, 50, 251, 252, 255, 249, 65535])


@st.composite
def plain_queries(draw: st.DrawFn) -> bytes:
    """Well-formed ones, mostly with DO."""
    edns = draw(st.sampled_from([b"", WITH_DO, WITH_DO, opt(payload=512, flags=DO), opt(flags=DO, options=option(3))]))
    return query(draw(wire_names()), draw(TYPES), edns=edns, flags=draw(st.sampled_from([0, 0, 0x40])))


@st.composite
def odd_packets(draw: st.DrawFn) -> bytes:
    qclass = draw(st.sampled_from([1, 1, 1, 1, 3, 255]))
    additional = draw(st.lists(st.one_of(optional_records(), st.just(WITH_DO), keys()), max_size=2))
    counts = (1, draw(st.sampled_from([0, 0, 0, 1])), draw(st.sampled_from([0, 0, 0, 1])), len(additional))
    flags = draw(st.sampled_from([0, 0x0100, 0x0040, 0x0200]))
    packet = header(flags, counts, draw(st.sampled_from([0, 0, 0, 0, 4, 5])))
    packet += question(draw(wire_names()), draw(TYPES), qclass)
    for _ in range(counts[1] + counts[2]):
        rdata = draw(wire_names()) + draw(wire_names()) + bytes(20)
        packet += record(draw(st.one_of(wire_names(), st.just(b"\xc0\x0c"))), Type.SOA, Class.IN, 0, rdata)
    return (packet + b"".join(additional) + bytes(draw(st.sampled_from([0, 0, 0, 1, 600]))))[:65535]
