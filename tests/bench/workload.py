"""The zones of the benchmark and the queries asked of them. The same seed gives the same of both, everywhere."""

from __future__ import annotations

import random
import shutil
import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.load import Query
from tests.peers.signing import sign

SMALL_ZONE = "small.example"
LARGE_ZONE = "large.example"
SIGNED_ZONES = {"signed-nsec.example": "nsec", "signed-nsec3.example": "nsec3"}  # as tests/peers/signing calls it
LARGE_NAMES = 1_000_000
MANY_ZONES = 100_000
SEED = 20_240_229

MIXED_QUERIES = 100_000
NXDOMAIN_QUERIES = 200_000

HEAD = """\
$ORIGIN {zone}.
$TTL 3600
@ SOA ns1 hostmaster 1 86400 7200 2419200 300
@ NS ns1
@ NS ns2
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
ns2 A 192.0.2.2
ns2 AAAA 2001:db8::2
"""

HOSTS, MAILS, ALIASES, CUTS = 600, 150, 100, 100  # some 1,000 names altogether


def write_small_zone(path: Path, zone: str = SMALL_ZONE) -> None:
    """Some 1,000 names: hosts, mail domains, aliases, delegations, a wildcard."""
    lines = [HEAD.format(zone=zone), "@ MX 10 mx1", "@ MX 20 mx2", "mx1 A 192.0.2.3", "mx2 A 192.0.2.4"]
    for i in range(HOSTS):
        lines.append(f"host{i} A 198.51.{100 + i // 250}.{i % 250}")
        if i % 2:
            lines.append(f"host{i} AAAA 2001:db8:1::{i:x}")
        if i % 3 == 0:
            lines.append(f'host{i} TXT "host number {i}"')
    for i in range(MAILS):
        lines += [f"mail{i} MX 10 host{i}", f"mail{i} MX 20 mx2"]
    lines += [f"alias{i} CNAME host{i}" for i in range(ALIASES)]
    for i in range(CUTS):
        lines += [f"cut{i} NS ns1.cut{i}", f"cut{i} NS ns2.cut{i}"]
        lines += [f"ns1.cut{i} A 203.0.113.{i}", f"ns2.cut{i} A 203.0.113.{i + 100}"]
    lines.append("*.wild A 192.0.2.99")
    path.write_text("\n".join(lines) + "\n")


def write_large_zone(path: Path) -> None:
    """A million names with an address each."""
    with path.open("w") as file:
        file.write(HEAD.format(zone=LARGE_ZONE))
        file.writelines(f"n{i} A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n" for i in range(LARGE_NAMES))


def write_many_zones(folder: Path) -> None:
    """A file of eight records for each of `many_zones`."""
    folder.mkdir()
    for i, zone in enumerate(many_zones()):
        text = f"{HEAD.format(zone=zone)}@ MX 10 mail\nmail A 192.0.2.3\nwww A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n"
        (folder / f"{zone}.zone").write_text(text)


def many_zones() -> list[str]:
    return [f"z{i}.example" for i in range(MANY_ZONES)]


def write_signed_zone(path: Path, zone: str) -> None:
    """The same, signed by dnssec-signzone in the way that belongs to the zone."""
    with tempfile.TemporaryDirectory(prefix="authdns-bench-") as folder:
        plain = Path(folder, "plain.zone")
        write_small_zone(plain, zone)
        shutil.copyfile(sign(plain, zone, SIGNED_ZONES[zone], Path(folder)), path)


def mixed(zone: str = SMALL_ZONE) -> list[Query]:
    """Every kind of answer; every second query with EDNS."""
    dice = random.Random(SEED)
    makers: dict[Callable[[], Query], int] = {  # with its share in percent
        lambda: Query(f"host{dice.randrange(HOSTS)}", "A"): 25,
        lambda: Query(f"host{dice.randrange(HOSTS // 2) * 2 + 1}", "AAAA"): 10,
        lambda: Query(f"host{dice.randrange(HOSTS // 3) * 3}", "TXT"): 5,
        lambda: Query(f"mail{dice.randrange(MAILS)}", "MX"): 10,
        lambda: Query(f"host{dice.randrange(HOSTS)}", "SRV"): 10,  # no data
        lambda: Query(f"{label(dice)}", "A", "NXDOMAIN"): 20,
        lambda: Query(f"{label(dice)}.wild", "A"): 5,
        lambda: Query(f"www.cut{dice.randrange(CUTS)}", "A"): 7,
        lambda: Query(f"alias{dice.randrange(ALIASES)}", "A"): 8,
    }
    chosen = dice.choices(list(makers), list(makers.values()), k=MIXED_QUERIES)
    made = (make() for make in chosen)
    return [q._replace(name=f"{q.name}.{zone}", edns=i % 2 == 0) for i, q in enumerate(made)]


def nxdomain(zone: str = SMALL_ZONE) -> list[Query]:
    """Random labels, none of which exists."""
    dice = random.Random(SEED + 1)
    return [Query(f"{label(dice)}.{zone}", "A", "NXDOMAIN") for _ in range(NXDOMAIN_QUERIES)]


def wildcard(zone: str = SMALL_ZONE) -> list[Query]:
    """Random labels below a wildcard, each of which gets its address."""
    dice = random.Random(SEED + 3)
    return [Query(f"{label(dice)}.wild.{zone}", "A") for _ in range(NXDOMAIN_QUERIES)]


def referral(zone: str = SMALL_ZONE) -> list[Query]:
    """Names below a hundred delegations, with two servers and their glue each."""
    dice = random.Random(SEED + 4)
    return [Query(f"{label(dice)}.cut{dice.randrange(CUTS)}.{zone}", "A") for _ in range(MIXED_QUERIES)]


def with_dnssec(queries: list[Query]) -> list[Query]:
    """The same questions, all of them with EDNS and DO."""
    return [query._replace(edns=True, dnssec_ok=True) for query in queries]


def signed() -> list[Query]:
    """The mixed load on the zone with NSEC."""
    return with_dnssec(mixed("signed-nsec.example"))


def signed_nsec3() -> list[Query]:
    """The mixed load on the zone with NSEC3."""
    return with_dnssec(mixed("signed-nsec3.example"))


def denied() -> list[Query]:
    """Names that do not exist in the zone with NSEC."""
    return with_dnssec(nxdomain("signed-nsec.example"))


def denied_nsec3() -> list[Query]:
    """Names that do not exist in the zone with NSEC3."""
    return with_dnssec(nxdomain("signed-nsec3.example"))


def one() -> list[Query]:
    """One existing name."""
    return [Query(f"host7.{SMALL_ZONE}", "A")]


def million() -> list[Query]:
    """A million existing names, each of them once, in random order."""
    numbers = random.Random(SEED + 2).sample(range(LARGE_NAMES), LARGE_NAMES)
    return [Query(f"n{number}.{LARGE_ZONE}", "A") for number in numbers]


def zones() -> list[Query]:
    """One existing name in each of the many zones, in random order."""
    return [Query(f"www.{zone}", "A") for zone in random.Random(SEED + 5).sample(many_zones(), MANY_ZONES)]


def label(dice: random.Random) -> str:
    """12 letters: not the name of anything above."""
    return "".join(dice.choices(string.ascii_lowercase, k=12))


def describe() -> Iterator[str]:
    yield f"mixed    {SMALL_ZONE}, ~1,000 names: A 25 %, AAAA 10 %, TXT 5 %, MX with additional 10 %, no data 10 %,"
    yield "         NXDOMAIN 20 %, wildcard 5 %, referral with glue 7 %, CNAME 8 %; every second query with EDNS"
    yield f"nxdomain {SMALL_ZONE}: random labels that do not exist"
    yield f"wildcard {SMALL_ZONE}: random labels below a wildcard, type A"
    yield f"referral {SMALL_ZONE}: random labels below {CUTS} delegations with two servers and their glue each"
    yield f"one      {SMALL_ZONE}: one existing name, type A"
    yield "signed, denied, signed-nsec3, denied-nsec3: `mixed` and `nxdomain` on that zone signed by dnssec-signzone"
    yield "         (ECDSAP256SHA256; NSEC, and NSEC3 without salt and iterations), every query with EDNS and DO"
    yield f"million  {LARGE_ZONE}, {LARGE_NAMES:,} names, type A: each name for the first time, in random order, and"
    yield "         a round ends when its share of the names is asked; million-warm: the same when all have been asked"
    yield f"zones    {MANY_ZONES:,} zones of eight records: one existing name of each, in random order, type A"
