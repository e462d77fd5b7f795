"""Zones for tests: from plain text lines, and random nasty ones.

They go through the builder, not through the checks: the semantics must hold for odd zones as well.
"""

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.types import type_from_text
from authdns.zone.builder import ZoneBuilder
from authdns.zone.problem import Problems
from authdns.zone.zone import Zone

SOA = "ns1.example.com. hostmaster.example.com. 7 3600 900 604800 300"


Record = tuple[str, int, str, str]  # owner, TTL, type, data
SIGNED = ("nsec", "nsec3", "opt-out")  # ways in which `signed` makes a chain of denial


def zone_from_records(apex: str, records: list[Record]) -> Zone:
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


def signed(
    records: list[Record], how: str, apex: str = "example.com.", salt: str = "ABCD", iterations: int = 1
) -> list[Record]:
    """The records with RRSIGs (which nobody could verify) and a chain of denial, by RFC 4035 §2 and RFC 5155 §7.1.

    Made with dnspython alone: what is tested has another idea of canonical order and hashes.
    """
    top = dns.name.from_text(apex)
    by_owner: dict[dns.name.Name, dict[str, int]] = {}
    for owner, ttl, rrtype, _ in records:
        known = by_owner.setdefault(dns.name.from_text(owner).canonicalize(), {})
        known[rrtype] = min(ttl, known.get(rrtype, ttl))
    cuts = {name for name, types in by_owner.items() if "NS" in types and name != top}
    made = []
    chained: dict[dns.name.Name, list[str]] = {}  # with the types for the bitmap
    for name, types in by_owner.items():
        if any(name != cut and name.is_subdomain(cut) for cut in cuts):
            continue
        chained[name] = sorted({"NS", "DS"} & types.keys() if name in cuts else types)
        covered = [rrtype for rrtype in chained[name] if rrtype != "NS" or name not in cuts]
        made += [_rrsig(name, types[rrtype], rrtype, apex) for rrtype in covered]
    if how == "nsec":
        ordered = sorted(chained)
        for name, following in zip(ordered, [*ordered[1:], top], strict=True):
            made.append((str(name), 300, "NSEC", f"{following} {' '.join([*chained[name], 'RRSIG', 'NSEC'])}"))
            made.append(_rrsig(name, 300, "NSEC", apex))
        return records + made
    if how == "opt-out":
        for name in [name for name in cuts & chained.keys() if chained[name] == ["NS"]]:
            del chained[name]
    for name in list(chained):  # empty non-terminals have a place in this chain
        while name != top:
            chained.setdefault(name, [])
            name = name.parent()
    made.append((apex, 0, "NSEC3PARAM", f"1 0 {iterations} {salt}"))
    made.append(_rrsig(top, 0, "NSEC3PARAM", apex))
    hashed = sorted((dns.dnssec.nsec3_hash(name, salt, iterations, 1), bitmap) for name, bitmap in chained.items())
    flags = int(how == "opt-out")
    for (digest, bitmap), (next_digest, _) in zip(hashed, [*hashed[1:], hashed[0]], strict=True):
        data = f"1 {flags} {iterations} {salt} {next_digest} {' '.join([*bitmap, 'RRSIG'] if bitmap else [])}"
        name = dns.name.from_text(f"{digest}.{apex}")
        made += [(str(name), 300, "NSEC3", data), _rrsig(name, 300, "NSEC3", apex)]
    return records + made


def _rrsig(owner: dns.name.Name, ttl: int, rrtype: str, apex: str) -> Record:
    labels = len(owner) - 1 - owner.is_wild()
    data = f"{rrtype} 13 {labels} {ttl} 20480101000000 20260101000000 4711 {apex} {'A' * 86}=="
    return (str(owner), ttl, "RRSIG", data)


# Few labels, so that names meet: wildcards, cuts and non-terminals end up above and below each other.
LABELS = ("a", "b", "*", "ns", "A", "x" * 63, "\\000", "a\\.b")


@st.composite
def owner_names(draw: st.DrawFn) -> str:
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=0, max_size=3))
    return ".".join([*labels, "example.com."])


@st.composite
def random_records(draw: st.DrawFn) -> Record:
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
def random_zones(draw: st.DrawFn, how: tuple[str, ...] = ("plain",)) -> Zone:
    """A zone of up to a dozen random records besides SOA and NS, signed in one of those ways."""
    records = [("example.com.", 3600, "SOA", SOA), ("example.com.", 3600, "NS", "ns1.example.com.")]
    extra = draw(st.lists(random_records(), max_size=12))
    if draw(st.booleans()):  # an RRset that does not fit into a datagram
        owner = draw(owner_names())
        extra += [(owner, 60, "A", f"198.51.100.{i}") for i in range(100)]
    records += extra
    way = draw(st.sampled_from(how))
    return zone_from_records("example.com.", records if way == "plain" else signed(records, way))


@st.composite
def query_names(draw: st.DrawFn) -> bytes:
    """Names around what such a zone holds, up to the longest that there can be."""
    labels = draw(st.lists(st.sampled_from([*LABELS, "q", "*a"]), max_size=4))
    wire = names.from_text(".".join([*labels[-3:], "example.com."]))
    if len(labels) == 4 and len(wire) + 64 <= names.MAX_NAME_OCTETS:
        wire = b"\x3f" + b"y" * 63 + wire
    return wire


QUERY_TYPES = ("A", "AAAA", "TXT", "NS", "CNAME", "MX", "DNAME", "SOA", "DS", "ANY", "TYPE731", "TYPE65280", "HTTPS")
SIGNED_QUERY_TYPES = (*QUERY_TYPES, "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM")

_DNAME_LABELS = ("a", "b", "*", "c")


@st.composite
def _dname_names(draw: st.DrawFn) -> str:
    labels = draw(st.lists(st.sampled_from(_DNAME_LABELS), min_size=1, max_size=2))
    return ".".join([*labels, "example.com."])


@st.composite
def dname_zones(draw: st.DrawFn, how: tuple[str, ...] = ("plain",)) -> Zone:
    """Zones of little else than DNAMEs, each to where others are, or to below them, or to where names get long; with
    wildcards that lead back, and cuts."""
    records: list[Record] = [("example.com.", 3600, "SOA", SOA), ("example.com.", 3600, "NS", "ns1.example.com.")]
    labels = [("x" * octets + ".") for octets in draw(st.lists(st.sampled_from([1, 20, 63]), max_size=3))]
    for _ in range(draw(st.integers(1, 6))):
        above = "".join(draw(st.lists(st.sampled_from(labels), max_size=3))) if labels else ""
        records.append((draw(_dname_names()), 60, "DNAME", above + draw(_dname_names())))
    for rrtype in draw(st.lists(st.sampled_from(["A", "CNAME", "HTTPS", "NS", "MX", "TXT"]), max_size=8)):
        target = draw(_dname_names())
        data = {"A": "192.0.2.1", "HTTPS": f"1 {draw(st.sampled_from(['.', target]))}", "MX": f"1 {target}"}
        owner = "".join(draw(st.lists(st.sampled_from(labels), max_size=1))) if labels else ""
        records.append((owner + draw(_dname_names()), 60, rrtype, data.get(rrtype, target)))
    way = draw(st.sampled_from(how))
    return zone_from_records("example.com.", records if way == "plain" else signed(records, way))


@st.composite
def dname_query_names(draw: st.DrawFn) -> bytes:
    labels = draw(st.lists(st.sampled_from([*_DNAME_LABELS, "q"]), min_size=1, max_size=4))
    above = draw(st.one_of(st.just(b""), st.sampled_from([b"\1a", b"\1q", b"\x14" + b"x" * 20, b"\x3f" + b"x" * 63])))
    base = names.from_text(".".join([*labels, "example.com."]))
    room = (names.MAX_NAME_OCTETS - len(base)) // len(above) if above else 0
    return above * draw(st.one_of(st.integers(0, min(room, 3)), st.integers(0, room))) + base
