"""One nasty zone, every question that it can be asked, BIND, NSD, Knot and authdns: section by section as sets.

Where two peers agree and authdns says otherwise, the test fails, unless `deviation` gives the reason. Peers add records
to positive answers that nobody asked for (the apex's NS, addresses that they come across); what is compared of the
additional section are addresses of the names that the other sections point at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.IN.SRV
import dns.rdtypes.svcbbase
import pytest

from authdns.wire import name as names
from authdns.wire.types import type_from_text
from tests.interop.conftest import CONTROL_RUN
from tests.interop.raw import Udp, over_tcp
from tests.peers import Authdns, Bind, Knot, NameServer, Nsd, Zone, requires
from tests.unit.answer.packets import opt, query

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


Row = tuple[str, int, str, bytes]  # owner in lower case, TTL, type, rdata in canonical form


class Response(NamedTuple):
    """What is compared of a response."""

    rcode: str
    flags: str
    answer: frozenset[Row]
    authority: frozenset[Row]
    additional: frozenset[Row]

    def __str__(self) -> str:
        lines = [f"{self.rcode} {self.flags}"]
        for section in ("answer", "authority", "additional"):
            for owner, ttl, rrtype, rdata in sorted(getattr(self, section)):
                lines.append(f"        {section}: {owner} {ttl} {rrtype} {rdata!r}")
        return "\n".join(lines)


def understood(wire: bytes) -> Response:
    message = dns.message.from_wire(wire, one_rr_per_rrset=True)
    flags = message.flags & (dns.flags.AA | dns.flags.TC | dns.flags.RA | dns.flags.AD)
    authority, additional = message.authority, message.additional
    positive = message.rcode() == dns.rcode.NOERROR and bool(message.answer)
    if positive and any(
        rrset.rdtype == dns.rdatatype.NS and rrset.name == dns.name.from_text(APEX) for rrset in authority
    ):
        authority = []  # NSD adds the apex's NS
    wanted = {target for rrset in [*message.answer, *authority] for target in targets(rrset.name, rrset[0])}
    additional = [rrset for rrset in additional if rrset.name in wanted]
    if flags & dns.flags.TC:
        return Response(
            dns.rcode.to_text(message.rcode()), dns.flags.to_text(flags), frozenset(), frozenset(), frozenset()
        )
    return Response(
        dns.rcode.to_text(message.rcode()),
        dns.flags.to_text(flags),
        *(
            frozenset(
                (
                    rrset.name.canonicalize().to_text(),
                    rrset.ttl,
                    dns.rdatatype.to_text(rrset.rdtype),
                    rrset[0].to_digestable(dns.name.root),
                )
                for rrset in section
            )
            for section in (message.answer, authority, additional)
        ),
    )


def targets(owner: dns.name.Name, rdata: dns.rdata.Rdata) -> list[dns.name.Name]:
    """The names whose addresses a client needs next."""
    if isinstance(rdata, dns.rdtypes.ANY.NS.NS | dns.rdtypes.IN.SRV.SRV):
        return [rdata.target]
    if isinstance(rdata, dns.rdtypes.ANY.MX.MX):
        return [rdata.exchange]
    if isinstance(rdata, dns.rdtypes.svcbbase.SVCBBase):
        return [owner if rdata.target == dns.name.root else rdata.target]
    return []


MODES = {"plain": b"", "EDNS": opt(), "DO": opt(flags=0x8000), "EDNS 4096": opt(payload=4096)}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NameServer]]:
    """The peers, then authdns."""
    folder = tmp_path_factory.mktemp("differential")
    zone = folder / "example.com.zone"
    zone.write_text(ZONE)
    with ExitStack() as stack:
        yield [
            stack.enter_context(kind(folder / kind.name, [Zone("example.com", zone)]))
            for kind in (Bind, Nsd, Knot, Authdns)
        ]


class Difference(NamedTuple):
    """One question to which authdns says something else than two of its peers (or than each of three)."""

    qname: str  # in lower case
    qtype: str
    aspect: str
    responses: dict[str, Response]

    def __str__(self) -> str:
        said = "\n".join(f"    {name}: {response}" for name, response in self.responses.items())
        return f"{self.qname} {self.qtype}: {self.aspect} differs\n{said}"

    @property
    def ours(self) -> Response:
        return self.responses["authdns"]


def difference(qname: str, qtype: str, responses: dict[str, Response]) -> Difference | None:
    ours = responses["authdns"]
    for index, aspect in enumerate(Response._fields):
        votes = Counter(response[index] for name, response in responses.items() if name != "authdns")
        (value, count), *_ = votes.most_common(1)
        if value != ours[index] if count > 1 else ours[index] not in votes:
            return Difference(qname, qtype, aspect, responses)
    return None


def is_below(qname: str, *owners: str) -> bool:
    return any(qname.endswith(f".{owner}.{APEX}") for owner in owners)


DNAMES = ("dn", "chain1", "chain2", "self", "longer", "toolong", "dout", "dchild", "dwild", "dnx", "dupper")


def deviation(found: Difference) -> str | None:
    """The reason why authdns does otherwise on purpose."""
    ours, theirs = found.ours, [response for name, response in found.responses.items() if name != "authdns"]
    if found.qtype == "ANY" and ours.answer and all(ours.rcode == response.rcode for response in theirs):
        everything = found.responses["bind"].answer
        if ours.answer <= everything and len({row[2] for row in ours.answer}) == 1:
            return "one RRset stands for all of them: RFC 8482 §4.1"
    if found.aspect == "flags" and "TC" in ours.flags and is_below(f".{found.qname}", "many"):
        # In-domain glue must be whole or TC is set (RFC 9471 §3.1); the peers send what fits. Where the question is
        # one of the glue names itself, they save octets by pointing at it, which a compiled answer cannot know.
        return "glue that does not fit: TC"
    if found.aspect == "additional" and found.qtype in ("HTTPS", "ANY"):
        return "a target of . is the owner, and its addresses are added: RFC 9460 §2.5, §4.1"
    if is_below(found.qname, "longer"):
        return "a DNAME that makes every name longer ends after 4 links; each peer has another limit"
    return None


def ask_all(servers: list[NameServer], mode: str, rrtypes: tuple[str, ...], asked: list[bytes]) -> list[Difference]:
    found = []
    with ExitStack() as stack:
        sockets = {server.name: stack.enter_context(Udp(server.endpoint, query())) for server in servers}
        for qname in asked:
            for qtype in rrtypes:
                packet = query(qname, type_from_text(qtype), edns=MODES[mode])
                responses = {name: understood(socket.ask(packet)) for name, socket in sockets.items()}
                differing = difference(names.to_text(qname.lower()), qtype, responses)
                if differing is not None and deviation(differing) is None:
                    found.append(differing)
    return found


def report(found: list[Difference]) -> str:
    return f"{len(found)} questions, among them:\n" + "\n".join(str(each) for each in found[:20])


def test_every_name_and_its_neighbours_for_every_usual_type(servers: list[NameServer]) -> None:
    found = ask_all(servers, "plain", TYPES, asked_names())
    assert not found, report(found)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "plain"])
def test_with_edns_as_well(servers: list[NameServer], mode: str) -> None:
    wires = [names.from_text(owner) for owner in owners()]
    asked = [*wires, *(b"\1q" + wire for wire in wires if len(wire) < names.MAX_NAME_OCTETS - 1)]
    found = ask_all(servers, mode, ("A", "NS", "TXT", "MX", "DS", "ANY"), asked)
    assert not found, report(found)


def test_every_owner_for_rare_types(servers: list[NameServer]) -> None:
    found = ask_all(servers, "plain", RARE_TYPES, [names.from_text(owner) for owner in owners()])
    assert not found, report(found)


def test_answers_over_tcp_are_whole(servers: list[NameServer]) -> None:
    for owner in ("big", "tobig", "many", "mx", "medium"):
        for qtype in ("TXT", "A", "MX"):
            packet = query(names.from_text(f"{owner}.{APEX}"), type_from_text(qtype))
            responses = {}
            for server in servers:
                response = over_tcp(server.endpoint, packet, query())
                assert response is not None
                responses[server.name] = understood(response)
            assert "TC" not in responses["authdns"].flags
            found = difference(f"{owner}.{APEX}", qtype, responses)
            assert found is None or deviation(found), str(found)


# What was wrong once, each with the question that showed it.


def agreed(servers: list[NameServer], name: str, rrtype: str) -> tuple[Response, Response]:
    """What authdns says, and what all of its peers say."""
    packet = query(names.from_text(name), type_from_text(rrtype))
    said = {}
    for server in servers:
        with Udp(server.endpoint, query()) as socket:
            said[server.name] = understood(socket.ask(packet))
    ours = said.pop("authdns")
    (theirs,) = set(said.values())
    return ours, theirs


def test_a_cname_to_a_name_below_a_dname_is_followed_to_the_data(servers: list[NameServer]) -> None:
    ours, theirs = agreed(servers, "todname.example.com.", "A")
    assert ours == theirs


@pytest.mark.parametrize(
    "name", ["q.dnx.example.com.", "a.dn.example.com.", "b.a.dn.example.com.", "q.dchild.example.com."]
)
def test_a_question_for_the_cname_below_a_dname_ends_there(servers: list[NameServer], name: str) -> None:
    ours, theirs = agreed(servers, name, "CNAME")
    assert ours == theirs
