"""What a zone answers: RFC 1034 §4.3.2 on a page, with wildcards (RFC 4592), DNAME (RFC 6672) and glue (RFC 9471).

`lookup` is the only statement of the semantics. It decides an Answer as a value; nothing here encodes, caches or
knows of messages. The compiler runs it once per class of queries (see classes.py), tests run it per query.

The Answer says of the question's own name only what all questions of its class share: a record at that name has the
owner QUESTION, and `base` is the suffix that the class knows. `per_query` marks the two cases in which the answer
depends on more of the name: DNAME substitution, and a wildcard CNAME whose chain comes back to the same wildcard.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.message import QUESTION
from authdns.wire.rdata import TARGET_OFFSET, target
from authdns.wire.types import Rcode, Type
from authdns.zone.zone import RRset, RRsets, Zone, find_rrset

MAX_CHAIN = 16  # CNAME and DNAME links followed in one answer; longer ones end there, as resolvers do

# Substitutions in one answer. Each makes names that no class can know beforehand, so they are the costliest step there
# is; Knot follows as many.
MAX_DNAME_LINKS = 4
# Of a substituted name; the resolver can ask for a longer one itself, and nobody but an attacker will.
MAX_FOLLOWED_LABELS = 40
BESIDE_CNAME = (Type.RRSIG, Type.NSEC)  # they stand beside a CNAME and are not led away by it (RFC 4034 §3, §4)

Section = tuple[tuple[bytes, RRset], ...]  # (owner, RRset); QUESTION as owner: the name that was asked for


class Answer(NamedTuple):
    """One response, decided. Of `additional`, the first `required_glue` RRsets must fit, or TC is set (RFC 9471)."""

    rcode: Rcode
    authoritative: bool
    answer: Section
    authority: Section
    additional: Section
    required_glue: int
    base: bytes
    per_query: bool


class Found(Enum):
    """How a name stands to a zone: the closed set of outcomes of the walk down the tree."""

    DELEGATION = "at or below a zone cut"
    DNAME = "below a DNAME"
    EXACT = "exists, perhaps as an empty non-terminal"
    WILDCARD = "does not exist, a wildcard covers it"
    NOTHING = "does not exist"


class Match(NamedTuple):
    """`node` is the cut, the DNAME's owner, the name itself, or the closest encloser."""

    found: Found
    node: bytes
    rrsets: RRsets


def find(zone: Zone, qname: bytes, qtype: int) -> Match:
    """RFC 1034 §4.3.2 step 3 for a name at or below the apex. What lies nearer to the apex hides what is below it."""
    encloser = zone.closest_encloser(qname)
    if zone.cuts or zone.dnames:
        hidden = _hidden_by(zone, qname, encloser, qtype)
        if hidden is not None:
            return hidden
    if encloser == qname:
        return Match(Found.EXACT, qname, zone.names[qname])
    source = zone.names.get(names.WILDCARD_LABEL + encloser)  # the source of synthesis (RFC 4592 §3.3.1)
    if source is not None:
        return Match(Found.WILDCARD, encloser, source)
    return Match(Found.NOTHING, encloser, ())


def _hidden_by(zone: Zone, qname: bytes, encloser: bytes, qtype: int) -> Match | None:
    found = None
    for ancestor in names.ancestors(encloser):
        if ancestor in zone.dnames and ancestor != qname:  # the DNAME's owner itself is not substituted (RFC 6672 §2.3)
            found = Match(Found.DNAME, ancestor, zone.names[ancestor])
        # The parent's side of the cut is authoritative for DS (RFC 4035 §3.1.4.1).
        elif ancestor in zone.cuts and not (ancestor == qname and qtype == Type.DS):
            found = Match(Found.DELEGATION, ancestor, zone.names[ancestor])
        if ancestor == zone.apex:
            break
    return found


def substitution(match: Match, name: bytes) -> tuple[RRset, bytes]:
    """The DNAME of `match`, and what it makes of `name` (RFC 6672 §2.2), as spelled; it may be too long for a name."""
    dname = find_rrset(match.rrsets, Type.DNAME)
    assert dname is not None, "zone.dnames lists owners of DNAME"
    return dname, name[: len(name) - len(match.node)] + dname.rdatas[0]


def lookup(zone: Zone, qname: bytes, qtype: int) -> Answer:
    """The answer of `zone` to (qname, qtype), class IN; `qname` is lower-case, at or below the apex."""
    first = find(zone, qname, qtype)
    if first.found is Found.EXACT and qtype not in TARGET_OFFSET:
        rrset = find_rrset(first.rrsets, qtype)
        if rrset is not None:  # most of every zone, so it is kept short: data that leads to nothing else
            return Answer(Rcode.NOERROR, True, ((QUESTION, rrset),), (), (), 0, qname, False)
    draft = _Draft(zone, qname, qtype)
    draft.per_query = first.found is Found.DNAME
    owner, name, match = QUESTION, qname, first
    for _ in range(MAX_CHAIN):
        following = draft.step(owner, name, match)
        # RFC 1034 §4.3.2 step 3a: go on at the canonical name, unless it leaves the zone or has been seen.
        if following == qname and first.found is Found.WILDCARD:
            draft.per_query = True
        if following is None or following in draft.visited or not names.is_at_or_below(following, zone.apex):
            break
        draft.visited.add(following)
        owner = name = following
        match = find(zone, name, qtype)
        if match.found is Found.WILDCARD and first.found is Found.WILDCARD and match.node == first.node:
            draft.per_query = True  # the question could be this very name
    return draft.finish(_base(zone, qname, first, draft))


def _base(zone: Zone, qname: bytes, first: Match, draft: "_Draft") -> bytes:
    """What of the question name the answer makes use of: less of it, and more classes share one encoded answer."""
    if not draft.answer:
        return first.node if first.found is Found.DELEGATION else zone.apex
    return qname if first.found is Found.EXACT else first.node


@dataclass(slots=True)
class _Draft:
    """The answer while the chain is followed: one method per outcome."""

    zone: Zone
    qname: bytes
    qtype: int
    rcode: Rcode = Rcode.NOERROR
    authoritative: bool = True
    answer: list[tuple[bytes, RRset]] = field(default_factory=list)
    authority: list[tuple[bytes, RRset]] = field(default_factory=list)
    additional: list[tuple[bytes, RRset]] = field(default_factory=list)
    required_glue: int = 0
    per_query: bool = False
    dname_links: int = 0
    visited: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.visited.add(self.qname)

    def finish(self, base: bytes) -> Answer:
        return Answer(
            self.rcode,
            self.authoritative,
            tuple(self.answer),
            tuple(self.authority),
            tuple(self.additional),
            self.required_glue,
            base,
            self.per_query,
        )

    def step(self, owner: bytes, name: bytes, match: Match) -> bytes | None:
        """Adds what one name of the chain contributes; returns the name at which to go on, if any."""
        match match.found:
            case Found.DELEGATION:
                self._referral(match.node)
                return None
            case Found.DNAME:
                return self._substitute(owner, name, match)
            case Found.NOTHING:
                self.rcode = Rcode.NXDOMAIN  # of the last name in the chain (RFC 6604 §3)
                self._negative()
                return None
            case Found.EXACT | Found.WILDCARD:
                return self._data(owner, match.rrsets)

    def _data(self, owner: bytes, rrsets: RRsets) -> bytes | None:
        if self.qtype == Type.ANY:
            if rrsets:
                self.answer.append((owner, rrsets[0]))  # one RRset stands for all (RFC 8482 §4.1)
                return None
        else:
            rrset = find_rrset(rrsets, self.qtype)
            if rrset is not None:
                if (owner, rrset) not in self.answer:  # a DNAME that led back to its own owner is there already
                    self.answer.append((owner, rrset))
                self._add_targets(owner, rrset)
                return None
            cname = find_rrset(rrsets, Type.CNAME)
            if cname is not None and self.qtype not in BESIDE_CNAME:
                self.answer.append((owner, cname))
                return cname.rdatas[0].lower()
        self._negative()
        return None

    def _substitute(self, owner: bytes, name: bytes, match: Match) -> bytes | None:
        """RFC 6672 §3.2: the DNAME, and a CNAME with its TTL (§3.1) made from it."""
        if self.dname_links == MAX_DNAME_LINKS:
            return None  # the resolver will ask for the last name itself
        dname, substituted = substitution(match, name)
        if (match.node, dname) not in self.answer:
            self.answer.append((match.node, dname))
        if len(substituted) > names.MAX_NAME_OCTETS:
            self.rcode = Rcode.YXDOMAIN  # RFC 6672 §2.2
            return None
        self.answer.append((owner, RRset(Type.CNAME, dname.ttl, (substituted,))))
        if self.qtype == Type.CNAME:
            return None  # this CNAME is what was asked for (RFC 1034 §4.3.2 step 3a)
        self.dname_links += 1
        if names.has_more_labels(substituted, MAX_FOLLOWED_LABELS):
            return None
        return substituted.lower()

    def _negative(self) -> None:
        """RFC 2308 §3: the SOA, its TTL the smaller of its own and MINIMUM (§5)."""
        self.authority.append((self.zone.apex, self.zone.negative_soa))

    def _referral(self, cut: bytes) -> None:
        """RFC 1034 §4.3.2 step 3b: the child's NS, and every address that we know of its targets (RFC 9471)."""
        ns = self.zone.rrset(cut, Type.NS)
        assert ns is not None, "zone.cuts lists owners of NS"
        self.authority.append((cut, ns))
        if not self.answer:
            self.authoritative = False
        sibling: list[tuple[bytes, RRset]] = []
        for rdata in ns.rdatas:
            server = rdata.lower()
            found = [(server, rrset) for rrset in self._addresses_of_target(server, Type.NS)]
            if names.is_at_or_below(server, cut):  # in-domain: without it the child cannot be reached
                self.additional += found
            else:
                sibling += found
        self.required_glue = len(self.additional)
        self.additional += sibling

    def _add_targets(self, owner: bytes, rrset: RRset) -> None:
        """The addresses of the names that the data points at (RFC 1034 §4.3.2 step 6, RFC 2782, RFC 9460 §4.2)."""
        if rrset.type not in TARGET_OFFSET:
            return
        seen = set()
        for rdata in rrset.rdatas:
            server = target(rrset.type, rdata, owner or self.qname)
            if server not in seen:
                seen.add(server)
                self.additional += [(server, found) for found in self._addresses_of_target(server, rrset.type)]

    def _addresses_of_target(self, server: bytes, rrtype: int) -> list[RRset]:
        """Addresses that a query for them would get, and for name servers also those below a cut: they are glue there,
        and there is no other way to them."""
        if not names.is_at_or_below(server, self.zone.apex):
            return []
        match = find(self.zone, server, Type.A)
        if match.found in (Found.EXACT, Found.WILDCARD):
            return _addresses(match.rrsets)
        return _addresses(self.zone.names.get(server, ())) if rrtype == Type.NS else []


def _addresses(rrsets: RRsets) -> list[RRset]:
    return [rrset for rrset in rrsets if rrset.type in (Type.A, Type.AAAA)]
