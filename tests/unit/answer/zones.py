"""Zones for tests: from plain text lines, and random nasty ones.

They go through the builder, not through the checks: the semantics must hold for odd zones as well.
"""

import dns.rdata
import dns.rdataclass
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.types import type_from_text
from authdns.zone.builder import ZoneBuilder
from authdns.zone.problem import Problems
from authdns.zone.zone import Zone

SOA = "ns1.example.com. hostmaster.example.com. 7 3600 900 604800 300"


def zone_from_records(apex: str, records: list[tuple[str, int, str, str]]) -> Zone:
    """`records` are (owner, TTL, type, data), everything absolute."""
    problems = Problems()
    builder = ZoneBuilder(names.from_text(apex).lower(), problems, ["test"])
    for line, (owner, ttl, rrtype, data) in enumerate(records, start=1):
        spelled = names.from_text(owner)
        rdata = dns.rdata.from_text(dns.rdataclass.IN, rrtype, data).to_wire()
        assert rdata is not None
        builder.add(spelled.lower(), type_from_text(rrtype), ttl, rdata, line)
        if spelled != spelled.lower():
            builder.spell(spelled.lower(), spelled)
    zone = builder.build()
    assert zone is not None, [str(problem) for problem in problems]
    return zone


def zone_from_text(text: str, apex: str = "example.com.") -> Zone:
    """One record a line: owner TTL type data; SOA and NS of the apex are added if they are missing."""
    records = []
    for line in text.strip().splitlines():
        owner, ttl, rrtype, data = line.split(None, 3)
        records.append((owner, int(ttl), rrtype, data))
    for rrtype, data in (("SOA", SOA), ("NS", f"ns1.{apex}".replace("..", "."))):
        if not any(owner == apex and found == rrtype for owner, _, found, _ in records):
            records.insert(0, (apex, 3600, rrtype, data))
    return zone_from_records(apex, records)


# Few labels, so that names meet: wildcards, cuts and non-terminals end up above and below each other.
LABELS = ("a", "b", "*", "ns", "A", "x" * 63, "\\000", "a\\.b")


@st.composite
def owner_names(draw: st.DrawFn) -> str:
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=0, max_size=3))
    return ".".join([*labels, "example.com."])


@st.composite
def random_records(draw: st.DrawFn) -> tuple[str, int, str, str]:
    rrtype = draw(
        st.sampled_from(["A", "AAAA", "TXT", "NS", "CNAME", "MX", "DNAME", "SRV", "DS", "HTTPS", "TYPE731", "PTR"])
    )
    target = draw(st.one_of(owner_names(), st.sampled_from([".", "example.org.", "ns1.example.com."])))
    number = draw(st.integers(0, 3))
    data = {
        "A": f"192.0.2.{number}",
        "AAAA": f"2001:db8::{number}",
        "TXT": '"' + "t" * (1 + 80 * number) + '"',
        "MX": f"{number} {target}",
        "SRV": f"{number} 0 443 {target}",
        "DS": "1 8 2 " + "0" * 64,
        "HTTPS": f"{number} {target}",
        "TYPE731": "\\# 2 abcd",
    }.get(rrtype, target)
    return (draw(owner_names()), draw(st.sampled_from([60, 3600])), rrtype, data)


@st.composite
def random_zones(draw: st.DrawFn) -> Zone:
    """A zone of up to a dozen random records besides SOA and NS."""
    records = [("example.com.", 3600, "SOA", SOA), ("example.com.", 3600, "NS", "ns1.example.com.")]
    extra = draw(st.lists(random_records(), max_size=12))
    if draw(st.booleans()):  # an RRset that does not fit into a datagram
        owner = draw(owner_names())
        extra += [(owner, 60, "A", f"198.51.100.{i}") for i in range(100)]
    return zone_from_records("example.com.", records + extra)


@st.composite
def query_names(draw: st.DrawFn) -> bytes:
    """Names around what such a zone holds, up to the longest that there can be."""
    labels = draw(st.lists(st.sampled_from([*LABELS, "q", "*a"]), max_size=4))
    wire = names.from_text(".".join([*labels[-3:], "example.com."]))
    if len(labels) == 4 and len(wire) + 64 <= names.MAX_NAME_OCTETS:
        wire = b"\x3f" + b"y" * 63 + wire
    return wire


QUERY_TYPES = ("A", "AAAA", "TXT", "NS", "CNAME", "MX", "DNAME", "SOA", "DS", "ANY", "TYPE731", "TYPE65280", "HTTPS")
