"""A zone with one of everything that DNSSEC has a rule for, its children, and what a validator must make of each name.

Each way of signing (`tests.peers.signing.HOW`) gets the same zone under a name of its own, below one parent that all
trust leads down from:

    example.                     signed, the trust anchor; delegates all below
      HOW.example.               the zone, with a DS in its parent
        secure.HOW.example.      signed in the same way, with a DS in its parent
        plain.HOW.example.       not signed, no DS
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from tests.peers import Zone
from tests.peers.signing import HOW, Denial, delegation_signer, published_keys, sign

TOP = "example"
DENIALS: dict[str, Denial] = {how: denial for how, (_, denial) in HOW.items()}
NSEC_WAYS = [how for how, denial in DENIALS.items() if denial.salt is None]
NSEC3_WAYS = [how for how, denial in DENIALS.items() if denial.salt is not None]
OPT_OUT_WAYS = [how for how, denial in DENIALS.items() if denial.opt_out]
# ldns sets the flag and leaves no delegation out.
LEAVES_DELEGATIONS_OUT = [how for how in OPT_OUT_WAYS if not how.startswith("ldns")]

HEAD = """\
$ORIGIN {zone}.
$TTL 3600
@           IN SOA   ns1 hostmaster ( 7 86400 43200 2419200 300 )
            IN NS    ns1
ns1         IN A     {child}
"""

RICH = (
    HEAD
    + """\
@           IN NS    ns2
            IN MX    10 mail
            IN TXT   "v=spf1 mx -all"
ns1         IN AAAA  2001:db8::1
ns2         IN A     192.0.2.2
mail        IN A     192.0.2.25
www         IN A     192.0.2.80
            IN A     192.0.2.81
            IN AAAA  2001:db8::80
UPPER.Case  IN TXT   "Capitals"
capitals    IN MX    10 MAIL
            IN SRV   0 5 5060 Www
            IN HTTPS 1 Www alpn=h2
            IN NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" WWW
            IN RP    HostMaster WwW
            IN TYPE65280 \\# 4 0a000001
odd\\.name   IN TXT   "a dot inside a label"
\\000        IN TXT   "first in canonical order"
zzz         IN TXT   "last in canonical order"
big         IN TXT   "{filler}" "1"
            IN TXT   "{filler}" "2"
            IN TXT   "{filler}" "3"
            IN TXT   "{filler}" "4"
            IN TXT   "{filler}" "5"
alias       IN CNAME Www
chain       IN CNAME alias
to-wild     IN CNAME any.wild
to-nothing  IN CNAME nothing
to-no-data  IN CNAME mail
to-empty    IN CNAME b.deep
to-old      IN CNAME host.old
to-secure   IN CNAME host.secure
to-plain    IN CNAME host.plain
old         IN DNAME new
older       IN DNAME old
old-wild    IN DNAME wild
old-secure  IN DNAME secure
old-plain   IN DNAME plain
*.to-old    IN CNAME host.old
host.new    IN A     192.0.2.90
            IN TXT   "renamed"
a.b.deep    IN A     192.0.2.50
*.wild      IN A     192.0.2.99
            IN TXT   "from the wildcard"
here.wild   IN A     192.0.2.98
a.b.wild    IN A     192.0.2.97
*.WildCaps  IN TXT   "Capitals"
*.cname     IN CNAME www
*.cnames    IN CNAME any.cname
*.gone      IN CNAME nothing
*.none      IN CNAME any.wild
*.beside    IN A     192.0.2.96
x.empty.beside IN A  192.0.2.95
*.*.star    IN TXT   "below a wildcard"
a.*.mid     IN TXT   "below an asterisk"
*.del       IN TXT   "beside a delegation"
cut.del     IN NS    ns1.plain
cut.lonely  IN NS    ns1.plain
a.mixed     IN A     192.0.2.92
cut.b.mixed IN NS    ns1.plain
secure      IN NS    ns1.secure
ns1.secure  IN A     {child}
occluded.secure IN TXT "below the cut"
plain       IN NS    ns1.plain
ns1.plain    IN A     {child}
"""
)

ADDRESS = "192.0.2.53"
# For what is made of many zones: a bit of everything.
SMALL = (
    HEAD
    + """\
www         IN A     192.0.2.80
mail        IN A     192.0.2.25
*.wild      IN A     192.0.2.99
plain       IN NS    ns1.plain
ns1.plain   IN A     {child}
secure      IN NS    ns1.plain
"""
)
SECURE = (
    HEAD
    + """\
host        IN A     203.0.113.7
alias       IN CNAME www.{parent}.
*           IN TXT   "a wildcard at the apex"
a.deep      IN TXT   "deep"
"""
)

PLAIN = (
    HEAD
    + """\
host        IN A     203.0.113.8
alias       IN CNAME www.{parent}.
*.wild      IN TXT   "not signed"
"""
)


class How(Enum):
    """How a name stands to the zone."""

    EXACT = "exists, perhaps as an empty non-terminal"
    WILDCARD = "comes from a wildcard"
    NOTHING = "does not exist"
    LEFT_OUT = "exists, but opt-out may leave it out of the chain"
    INSECURE = "exists in the zone that is not signed"
    INSECURE_NOTHING = "does not exist in the zone that is not signed"


class Name(NamedTuple):
    """`types` it has; or `leads_to` another name, by a CNAME or a DNAME. With `only_ds`, nobody serves the rest."""

    how: How
    types: frozenset[str] = frozenset()
    leads_to: str | None = None
    only_ds: bool = False


class Outcome(NamedTuple):
    """What a validating resolver says: `data` is whether the answer has RRs of the type that was asked for."""

    rcode: str
    data: bool
    secure: bool

    def __str__(self) -> str:
        what = self.rcode if self.rcode != "NOERROR" else "data" if self.data else "no data"
        return f"{what}, {'secure' if self.secure else 'insecure'}"


# Name, how it stands to the zone, and then the types that it has or the name that it leads to.
NAMES = """
@                   exact      SOA NS MX TXT DNSKEY CDS CDNSKEY DS
ns1                 exact      A AAAA
mail                exact      A
www                 exact      A AAAA
WwW                 exact      A AAAA
upper.case          exact      TXT
case                exact
capitals            exact      MX SRV HTTPS NAPTR RP TYPE65280
odd\\.name           exact      TXT
\\000                exact      TXT
zzz                 exact      TXT
big                 exact      TXT
deep                exact
b.deep              exact
a.b.deep            exact      A
nothing             nothing
below.nothing       nothing
below.www           nothing
a.below.www         nothing
\\000.\\000           nothing
0                   nothing
zzzz                nothing
*                   nothing
x.b.deep            nothing
x.deep              nothing
below.alias         nothing
alias               exact      -> www
chain               exact      -> alias
to-wild             exact      -> any.wild
to-nothing          exact      -> nothing
to-no-data          exact      -> mail
to-empty            exact      -> b.deep
to-old              exact      -> host.old
to-secure           exact      -> host.secure
to-plain            exact      -> host.plain
old                 exact      DNAME
new                 exact
host.new            exact      A TXT
host.old            exact      -> host.new
nothing.old         exact      -> nothing.new
host.older          exact      -> host.old
old-wild            exact      DNAME
any.old-wild        exact      -> any.wild
here.old-wild       exact      -> here.wild
x.b.old-wild        exact      -> x.b.wild
host.old-secure     exact      -> host.secure
x.y.old-secure      exact      -> x.y.secure
host.old-plain      exact      -> host.plain
any.to-old          wildcard   -> host.old
wild                exact
*.wild              exact      A TXT
any.wild            wildcard   A TXT
a.b.c.any.wild      wildcard   A TXT
ANY.Wild            wildcard   A TXT
here.wild           exact      A
below.here.wild     nothing
b.wild              exact
x.b.wild            nothing
below.*.wild        nothing
any.wildcaps        wildcard   TXT
*.cname             exact      -> www
any.cname           wildcard   -> www
any.cnames          wildcard   -> any.cname
any.gone            wildcard   -> nothing
any.none            wildcard   -> any.wild
any.beside          wildcard   A
empty.beside        exact
x.empty.beside      exact      A
y.empty.beside      nothing
star                exact
*.star              exact
*.*.star            exact      TXT
x.star              wildcard
x.y.star            wildcard
x.*.star            wildcard   TXT
x.y.*.star          wildcard   TXT
mid                 exact
*.mid               exact
x.mid               wildcard
a.*.mid             exact      TXT
b.*.mid             nothing
any.del             wildcard   TXT
cut.del             left-out   DS-ONLY
cut.lonely          left-out   DS-ONLY
lonely              left-out
x.lonely            nothing
cut.b.mixed         left-out   DS-ONLY
b.mixed             left-out
mixed               exact
x.mixed             nothing
x.b.mixed           nothing
secure              exact      SOA NS DNSKEY CDS CDNSKEY DS
host.secure         exact      A
alias.secure        exact      -> www
any.secure          wildcard   TXT
occluded.secure     wildcard   TXT
x.y.secure          wildcard   TXT
deep.secure         exact
x.deep.secure       nothing
plain               insecure   SOA NS
host.plain          insecure   A
alias.plain         insecure   -> www
any.wild.plain      insecure   TXT
x.y.plain           insecure-nothing
"""
ASKED_OF_ALL = ("A", "TXT", "DS")


def table() -> dict[str, Name]:
    """`NAMES`, by name."""
    found = {}
    for line in NAMES.strip().splitlines():
        name, how, *rest = line.split()
        kind = How[how.upper().replace("-", "_")]
        if rest[:1] == ["->"]:
            found[name] = Name(kind, leads_to=rest[1])
        else:
            found[name] = Name(kind, frozenset(rest) - {"DS-ONLY"}, only_ds="DS-ONLY" in rest)
    return found


EXPECTED = table()


def questions(how: str) -> Iterator[tuple[str, str]]:
    """Each name of the table, with the types that it has and some that it does not."""
    for name, expected in EXPECTED.items():
        if expected.only_ds:
            yield name, "DS"
            continue
        types = {*ASKED_OF_ALL, *expected.types}
        # For the CNAME made from a DNAME unbound looks for a DS where none can be, whoever the server is.
        if expected.leads_to and ".old" not in name:
            types.add("CNAME")
        for rdtype in sorted(types):
            yield name, rdtype
    if how in NSEC3_WAYS:
        yield "@", "NSEC3PARAM"


def outcome(how: str, name: str, rdtype: str) -> Outcome:
    """What a validator must say of the zone that was signed in this way."""
    expected = EXPECTED.get(name) or Name(How.NOTHING)
    secure = expected.how not in (How.INSECURE, How.INSECURE_NOTHING)
    if name == "plain" and rdtype == "DS":
        expected, secure = Name(How.LEFT_OUT), True  # the parent's side
    if expected.how in (How.WILDCARD, How.NOTHING) and how in OPT_OUT_WAYS:
        # That the name itself does not exist is all that an opt-out NSEC3 would prove, and it does not (RFC 5155 §9.2).
        secure = False
    if expected.how is How.LEFT_OUT and how in LEAVES_DELEGATIONS_OUT:
        secure = False
    if expected.how in (How.NOTHING, How.INSECURE_NOTHING):
        return Outcome("NXDOMAIN", False, secure)
    if expected.leads_to is None or rdtype == "CNAME":
        has = rdtype == "CNAME" if expected.leads_to else rdtype in {*expected.types, "NSEC3PARAM"}
        return Outcome("NOERROR", has, secure)
    end = outcome(how, expected.leads_to, rdtype)
    return end._replace(secure=secure and end.secure)


def absolute(name: str, zone: str) -> str:
    return f"{zone}." if name == "@" else f"{name}.{zone}."


class Family(NamedTuple):
    """The zones as they are served: one of `rich` and of each child for each way of signing."""

    top: Zone
    rich: dict[str, Zone]
    secure: dict[str, Zone]
    plain: dict[str, Zone]

    @property
    def children(self) -> list[Zone]:
        return [*self.secure.values(), *self.plain.values()]


def write(path: Path, template: str, zone: str, child: str, more: str = "") -> Path:
    parent = zone.partition(".")[2]
    path.write_text(template.format(zone=zone, parent=parent, child=child, filler="x" * 250) + more)
    return path


def write_all(folder: Path, ways: list[str], child: str = "192.0.2.53") -> Family:
    """The files, signed; `child` is the address of all name servers."""
    rich, secure, plain = {}, {}, {}
    delegations = ""
    for how in ways:
        zone = f"{how}.{TOP}"
        below = f"secure.{zone}"
        file = write(folder / f"{below}.zone", SECURE, below, child, published_keys(below))
        secure[how] = Zone(below, sign(file, below, how, folder / below))
        file = write(folder / f"{zone}.zone", RICH, zone, child, published_keys(zone) + delegation_signer(below))
        rich[how] = Zone(zone, sign(file, zone, how, folder / zone))
        plain[how] = Zone(f"plain.{zone}", write(folder / f"plain.{zone}.zone", PLAIN, f"plain.{zone}", child))
        delegations += f"{zone}. IN NS ns1.{zone}.\nns1.{zone}. IN A {child}\n{delegation_signer(zone)}"
    file = write(folder / f"{TOP}.zone", HEAD, TOP, child, delegations)
    return Family(Zone(TOP, sign(file, TOP, "nsec", folder / TOP)), rich, secure, plain)
