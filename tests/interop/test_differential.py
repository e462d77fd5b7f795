"""One nasty zone, every question that it can be asked, BIND, NSD, Knot and authdns: section by section as sets.

Where two peers agree and authdns says otherwise, the test fails, unless `tests.differential.deviations` has the reason.
Random zones are asked in `test_random_differential`; both compare in the same way (`tests.differential.comparison`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import dns.name
import dns.zone
import pytest

from authdns.wire import name as names
from authdns.wire.types import type_from_text
from tests.differential.comparison import OURS, Response, understood
from tests.differential.facts import Facts
from tests.differential.judgement import Verdict, verdicts
from tests.differential.questions import PLAIN, TCP, Mode, Question
from tests.differential.servers import Panel
from tests.interop.conftest import CONTROL_RUN
from tests.peers import Authdns, Bind, Knot, Nsd, Zone, requires
from tests.unit.answer.packets import opt

pytestmark = [
    requires("bind", "nsd", "knot"),
    pytest.mark.skipif(CONTROL_RUN, reason="the control run has peers in the place of authdns"),
]

LABEL = "l" * 60
ZONE = f"""\
$ORIGIN example.com.
$TTL 300
@               IN SOA   ns1 hostmaster 7 86400 43200 2419200 60
                IN NS    ns1
                IN NS    ns.example.net.
                IN MX    10 mail
                IN TXT   "apex"
                IN CAA   0 issue "ca.example.net"
ns1             IN A     192.0.2.1
                IN AAAA  2001:db8::1
mail            IN A     192.0.2.25
WwW             IN A     192.0.2.80
                IN A     192.0.2.81
                IN AAAA  2001:db8::80
                IN TXT   "www"
; empty non-terminals
a.b.ent         IN A     192.0.2.2
b.c.d.ENT       IN TXT   "deep"
*.below.ent     IN A     192.0.2.3
; wildcards
*.wild          IN A     192.0.2.4
                IN TXT   "wild"
                IN MX    10 mail
x.wild          IN TXT   "exists, and stops the wildcard"
y.x.wild        IN A     192.0.2.5
*.z.wild        IN AAAA  2001:db8::5
*.*.star        IN TXT   "two asterisks"
a.*.mid         IN TXT   "an asterisk in the middle"
*.cwild         IN CNAME www
*.cwild2        IN CNAME a.cwild
*.cloop         IN CNAME x.cloop
*.cout          IN CNAME www.example.net.
*.cnx           IN CNAME nothing
*.cdel          IN CNAME www.child
*.svcwild       IN HTTPS 1 . alpn=h2
                IN A     192.0.2.8
; delegations
child           IN NS    ns.child
                IN NS    ns2.child
                IN NS    ns.sibling
                IN NS    ns.example.net.
                IN NS    mail
ns.child        IN A     192.0.2.10
                IN AAAA  2001:db8::10
ns2.child       IN A     192.0.2.11
www.child       IN A     192.0.2.12
deep.child      IN NS    ns.deep.child
ns.deep.child   IN A     192.0.2.13
sibling         IN NS    ns.sibling
ns.sibling      IN A     192.0.2.14
signed          IN NS    ns.signed
                IN DS    4711 8 2 {"a" * 64}
ns.signed       IN A     192.0.2.15
noglue          IN NS    ns.example.net.
                IN NS    ns.nothing
under.ent2      IN NS    ns1
many            IN NS    a{LABEL}.many
                IN NS    b{LABEL}.many
                IN NS    c{LABEL}.many
                IN NS    d{LABEL}.many
                IN NS    e{LABEL}.many
a{LABEL}.many   IN A     192.0.2.16
b{LABEL}.many   IN A     192.0.2.17
c{LABEL}.many   IN A     192.0.2.18
d{LABEL}.many   IN A     192.0.2.19
e{LABEL}.many   IN AAAA  2001:db8::19
; DNAME
dn              IN DNAME www2
                IN TXT   "beside the DNAME"
www2            IN A     192.0.2.20
a.www2          IN A     192.0.2.21
b.a.www2        IN CNAME www
chain1          IN DNAME chain2
chain2          IN DNAME www2
self            IN DNAME self
longer          IN DNAME x.longer
toolong         IN DNAME {LABEL}.{LABEL}.{LABEL}
dout            IN DNAME example.net.
dchild          IN DNAME child
dwild           IN DNAME wild
dnx             IN DNAME nothing
DUpper          IN DNAME WwW2
; CNAME
c1              IN CNAME c2
c2              IN CNAME c3
c3              IN CNAME www
loop1           IN CNAME loop2
loop2           IN CNAME loop1
loopself        IN CNAME loopself
tow             IN CNAME any.wild
tonx            IN CNAME nothing
tonx2           IN CNAME nothing.below.www
toent           IN CNAME ent
tochild         IN CNAME www.child
tocut           IN CNAME child
toout           IN CNAME www.example.net.
toapex          IN CNAME @
todname         IN CNAME a.dn
todnameowner    IN CNAME dn
toloop          IN CNAME loop1
tosigned        IN CNAME signed
CASE            IN CNAME WWW
l01             IN CNAME l02
l02             IN CNAME l03
l03             IN CNAME l04
l04             IN CNAME l05
l05             IN CNAME l06
l06             IN CNAME l07
l07             IN CNAME l08
l08             IN CNAME mail
; targets
mx              IN MX    10 mail
                IN MX    20 WWW
                IN MX    30 ns.child
                IN MX    40 www.child
                IN MX    50 any.wild
                IN MX    60 c1
                IN MX    70 mx.example.net.
                IN MX    80 nothing
nullmx          IN MX    0 .
srv             IN SRV   0 5 443 www
                IN SRV   0 5 443 ns.child
                IN SRV   0 0 0 .
svcb            IN SVCB  1 www alpn=h2
                IN A     192.0.2.30
https           IN HTTPS 1 . alpn=h2
                IN A     192.0.2.31
                IN AAAA  2001:db8::31
httpsalias      IN HTTPS 0 www
ptr             IN PTR   www
naptr           IN NAPTR 100 10 "a" "E2U+sip" "" www
rp              IN RP    mail www
afsdb           IN AFSDB 1 www
kx              IN KX    1 www
; sizes
big             IN TXT   "{"1" * 250}"
                IN TXT   "{"2" * 250}"
                IN TXT   "{"3" * 250}"
                IN TXT   "{"4" * 250}"
                IN TXT   "{"5" * 250}"
                IN TXT   "{"6" * 250}"
medium          IN TXT   "{"1" * 250}"
                IN TXT   "{"2" * 250}"
tobig           IN CNAME big
; odd names
dot\\.ted       IN TXT   "odd 40"
back\\\\slash   IN TXT   "odd 41"
sp\\032ace      IN TXT   "odd 42"
nul\\000        IN TXT   "odd 43"
\\000           IN TXT   "odd 44"
high\\255       IN TXT   "odd 45"
_under._tcp     IN SRV   0 0 80 www
wild\\.x.star2  IN TXT   "no wildcard"
\\*.star3       IN TXT   "an escaped asterisk is an asterisk"
unknown         IN TYPE65280 \\# 3 abcdef
"""

TYPES = (
    "A",
    "AAAA",
    "NS",
    "SOA",
    "CNAME",
    "DNAME",
    "MX",
    "TXT",
    "SRV",
    "HTTPS",
    "SVCB",
    "DS",
    "PTR",
    "ANY",
    "TYPE65280",
)
RARE_TYPES = ("CAA", "NAPTR", "RP", "AFSDB", "KX", "NSEC", "NSEC3PARAM", "DNSKEY", "RRSIG", "CDS", "TYPE127")
APEX = "example.com."


def owners() -> list[str]:
    """Every owner of the zone, as the file spells it, absolute."""
    found = {line.split()[0] for line in ZONE.splitlines() if line[0] not in " ;$@"}
    return [APEX, *(f"{owner}.{APEX}" for owner in sorted(found))]


def asked_names() -> list[bytes]:
    """All owners, the names between them and the apex, names beside and below them, other spellings."""
    found: dict[bytes, None] = {}
    for owner in owners():
        wire = names.from_text(owner)
        for ancestor in names.ancestors(wire):
            if not names.is_at_or_below(ancestor.lower(), names.from_text(APEX)):
                break
            for name in (ancestor, ancestor.upper(), b"\1q" + ancestor, b"\1q\1r" + ancestor, b"\1*" + ancestor):
                found.setdefault(name)
            found.setdefault(bytes((ancestor[0] + 1, 0x71)) + ancestor[1:] if 0 < ancestor[0] < 63 else ancestor)
    for text in ("a.b.c.d.e.f.g.example.com.", "b.a.dn.example.com.", "q.a.dn.example.com.", "x.y.wild.example.com."):
        found.setdefault(names.from_text(text))
    for labels in (1, 2, 3):  # below the DNAMEs until nothing fits
        for owner in ("toolong", "longer", "dn", "self"):
            found.setdefault(names.from_text(f"{(LABEL + '.') * labels}{owner}.{APEX}"))
    return [name for name in found if len(name) <= names.MAX_NAME_OCTETS]


MODES = {
    "EDNS": Mode("EDNS", opt()),
    "DO": Mode("DO", opt(flags=0x8000)),
    "EDNS 4096": Mode("EDNS 4096", opt(payload=4096)),
}
APEXES = frozenset({names.from_text(APEX)})


def facts() -> Facts:
    zone = dns.zone.from_text(ZONE, origin=APEX, relativize=False)
    rdatasets = ((name.canonicalize().to_wire(), rdataset.rdtype) for name, rdataset in zone.iterate_rdatasets())
    return Facts(APEXES, ((owner, rrtype) for owner, rrtype in rdatasets if owner is not None))


FACTS = facts()


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """The peers and authdns."""
    folder = tmp_path_factory.mktemp("differential")
    zone = folder / "example.com.zone"
    zone.write_text(ZONE)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(kind(folder / kind.name, [Zone("example.com", zone)]))
            for kind in (Bind, Nsd, Knot, Authdns)
        ]
        panel = Panel({server.name: server.endpoint for server in servers})
        stack.callback(panel.close)
        yield panel


def unexplained(panel: Panel, questions: Sequence[Question]) -> list[Verdict]:
    found: list[Verdict] = []
    for question, wires in zip(questions, panel.ask_together(questions), strict=True):
        found += verdicts(question, wires, panel.ask, APEXES, FACTS)
    return [verdict for verdict in found if verdict.reason is None]


def assert_same(panel: Panel, mode: Mode, rrtypes: Sequence[str], asked: Sequence[bytes]) -> None:
    found: list[Verdict] = []
    for name in asked:
        found += unexplained(panel, [Question(name, type_from_text(rrtype), mode) for rrtype in rrtypes])
    assert not found, f"{len(found)} differences, among them:\n" + "\n".join(verdict.text for verdict in found[:20])


def test_every_name_and_its_neighbours_for_every_usual_type(panel: Panel) -> None:
    assert_same(panel, PLAIN, TYPES, asked_names())


@pytest.mark.parametrize("mode", MODES)
def test_with_edns_as_well(panel: Panel, mode: str) -> None:
    wires = [names.from_text(owner) for owner in owners()]
    asked = [*wires, *(b"\1q" + wire for wire in wires if len(wire) < names.MAX_NAME_OCTETS - 1)]
    assert_same(panel, MODES[mode], ("A", "NS", "TXT", "MX", "DS", "ANY"), asked)


def test_every_owner_for_rare_types(panel: Panel) -> None:
    assert_same(panel, PLAIN, RARE_TYPES, [names.from_text(owner) for owner in owners()])


def test_answers_over_tcp_are_whole(panel: Panel) -> None:
    for owner in ("big", "tobig", "many", "mx", "medium"):
        for rrtype in ("TXT", "A", "MX"):
            question = Question(names.from_text(f"{owner}.{APEX}"), type_from_text(rrtype), TCP)
            wires = panel.ask(question)
            assert "TC" not in understood(wires[OURS], APEXES).flags
            assert not [each for each in verdicts(question, wires, panel.ask, APEXES, FACTS) if each.reason is None]


# What was wrong once, each with the question that showed it.


def agreed(panel: Panel, name: str, rrtype: str) -> tuple[Response, Response]:
    """What authdns says, and what all of its peers say; but for the octets, which are their own."""
    wires = panel.ask(Question(names.from_text(name), type_from_text(rrtype), PLAIN))
    said = {name: understood(wire, APEXES)._replace(octets=0) for name, wire in wires.items()}
    ours = said.pop(OURS)
    (theirs,) = set(said.values())
    return ours, theirs


def test_a_cname_to_a_name_below_a_dname_is_followed_to_the_data(panel: Panel) -> None:
    ours, theirs = agreed(panel, "todname.example.com.", "A")
    assert ours == theirs


@pytest.mark.parametrize(
    "name", ["q.dnx.example.com.", "a.dn.example.com.", "b.a.dn.example.com.", "q.dchild.example.com."]
)
def test_a_question_for_the_cname_below_a_dname_ends_there(panel: Panel, name: str) -> None:
    ours, theirs = agreed(panel, name, "CNAME")
    assert ours == theirs
