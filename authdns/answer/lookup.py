"""What a zone answers: RFC 1034 §4.3.2 on a page, with wildcards (RFC 4592), DNAME (RFC 6672), glue (RFC 9471), and
the signatures and proofs of a signed zone (RFC 4035 §3.1, RFC 5155 §7.2).

`lookup` is the only statement of the semantics. It decides an Answer as a value; nothing here encodes, caches or
knows of messages. The compiler runs it once per class of queries (see classes.py), tests run it per query.

The Answer says of the question's own name only what all questions of its class share: a record at that name has the
owner QUESTION, and `base` is the suffix that the class knows. Where a DNAME has moved what the question has in front of
it, names begin with MOVED. `exceptions` are names of the class that have another answer: those that a wildcard's CNAME
leads to by way of the same wildcard, where the chain ends one link earlier.

Of the proofs of a signed zone all but one are the same for the whole class as well. The one that is not says that the
next closer name of what was asked for does not exist: `denied_below` asks for it, `next_closer_proof` finds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.message import MOVED, QUESTION
from authdns.wire.rdata import TARGET_OFFSET, target
from authdns.wire.types import Rcode, Type
from authdns.zone.denial import Nsec, Nsec3
from authdns.zone.zone import RRset, RRsets, Zone, find_rrset, signatures

MAX_CHAIN = 16  # CNAME and DNAME links followed in one answer; longer ones end there, as resolvers do

# Substitutions in one answer. Each may lead to a name of which only this query can tell whether it exists; Knot follows
# as many, the others more.
MAX_DNAME_LINKS = 5
NO_DATA = b""  # no name: what a step returns where the name exists, but not with the type that was asked for
PROOFS = (Type.NSEC, Type.NSEC3)
BESIDE_CNAME = (Type.RRSIG, Type.NSEC)  # they stand beside a CNAME and are not led away by it (RFC 4034 §3, §4)

Section = tuple[tuple[bytes, RRset], ...]  # (owner, RRset); QUESTION as owner: the name that was asked for


class Answer(NamedTuple):
    """One response, decided. Of `additional`, the first `required_glue` RRsets must fit, or TC is set (RFC 9471). If
    there is a `denied_below`, a next closer name is still to be denied: the label that the question has in front of
    `base`, in front of this name."""

    rcode: Rcode
    authoritative: bool
    answer: Section
    authority: Section
    additional: Section
    required_glue: int
    base: bytes
    exceptions: tuple[bytes, ...] = ()
    denied_below: bytes | None = None


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
        hider = _hidden_by(zone, qname, encloser, qtype)
        if hider is not None:
            return hider
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


def hidden(zone: Zone, encloser: bytes) -> Match | None:
    """The cut or the DNAME, if any, that hides what is below the existing name `encloser`."""
    return _hidden_by(zone, b"", encloser, Type.ANY)


def substitution(match: Match, name: bytes) -> tuple[RRset, bytes]:
    """The DNAME of `match`, and what it makes of `name` (RFC 6672 §2.2), as spelled; it may be too long for a name."""
    dname = find_rrset(match.rrsets, Type.DNAME)
    assert dname is not None, "zone.dnames lists owners of DNAME"
    return dname, name[: len(name) - len(match.node)] + dname.rdatas[0]


def next_closer_proof(zone: Zone, answer: Answer, qname: bytes) -> bytes | None:
    """The owner of the NSEC or NSEC3 that `answer` still needs for this name; None if it has it already."""
    if answer.denied_below is None:
        return None
    assert zone.denial is not None, "only a chain can deny"
    owner = zone.denial.covering(denied_name(qname, answer.base, answer.denied_below))
    return None if owner in proven(answer) else owner


def denied_name(qname: bytes, base: bytes, below: bytes) -> bytes:
    """The next closer name that an answer with this `base` and `denied_below` must deny."""
    if below == base:
        return names.next_closer(qname, len(base))
    return names.next_closer(qname[: -len(base)] + below, len(below))


def proven(answer: Answer) -> frozenset[bytes]:
    """The owners of NSEC and NSEC3 in the authority section."""
    return frozenset(owner for owner, rrset in answer.authority if rrset.type in PROOFS)


def lookup(zone: Zone, qname: bytes, qtype: int, dnssec_ok: bool = False) -> Answer:
    """The answer of `zone` to (qname, qtype), class IN; `qname` is lower-case, at or below the apex. With `dnssec_ok`
    (RFC 3225), RRSIGs and proofs go along if the zone is signed; a DS in one that is not helps nobody."""
    dnssec_ok = dnssec_ok and zone.signed
    first = find(zone, qname, qtype)
    if first.found is Found.EXACT and qtype not in TARGET_OFFSET and not dnssec_ok:
        rrset = find_rrset(first.rrsets, qtype)
        if rrset is not None and qtype != Type.RRSIG:  # most of every zone, so it is kept short: it leads nowhere else
            return Answer(Rcode.NOERROR, True, ((QUESTION, rrset),), (), (), 0, qname)
    draft = _Draft(zone, qname, qtype, dnssec_ok)
    owner, name, match = QUESTION, qname, first
    for _ in range(MAX_CHAIN):
        following = draft.step(owner, name, match)
        if following is None:
            break
        owner, name = following, following.removeprefix(MOVED)
        if owner == name:
            draft.led_to.append(name)
        # RFC 1034 §4.3.2 step 3a: go on at the canonical name, unless it leaves the zone or has been seen.
        if name in draft.visited or not names.is_at_or_below(name, zone.apex):
            break
        draft.visited.add(name)
        match = find(zone, name, qtype)
    return draft.finish(referral=first.found is Found.DELEGATION)


@dataclass(slots=True)
class _Draft:
    """The answer while the chain is followed: one method per outcome."""

    zone: Zone
    qname: bytes
    qtype: int
    dnssec_ok: bool
    rcode: Rcode = Rcode.NOERROR
    authoritative: bool = True
    answer: list[tuple[bytes, RRset]] = field(default_factory=list)
    authority: list[tuple[bytes, RRset]] = field(default_factory=list)
    additional: list[tuple[bytes, RRset]] = field(default_factory=list)
    # Behind all addresses: they are the first to be left out where there is no room (RFC 4035 §3.1.1).
    additional_rrsigs: list[tuple[bytes, RRset]] = field(default_factory=list)
    required_glue: int = 0
    denied_below: bytes | None = None
    dname_links: int = 0
    visited: set[bytes] = field(default_factory=set)
    begun: list[bytes] = field(default_factory=list)  # the question's name, and those that DNAMEs made of it
    led_to: list[bytes] = field(default_factory=list)  # the names behind them, which do not depend on the question
    above: int = 0  # octets of the question in front of what the class knows
    denial: Nsec | Nsec3 | None = None
    proved: set[bytes] = field(default_factory=set)  # owners of the NSEC and NSEC3 that are in `authority`

    def __post_init__(self) -> None:
        self.visited.add(self.qname)
        self.above = len(self.qname)
        self.denial = self.zone.denial if self.dnssec_ok else None

    def finish(self, referral: bool) -> Answer:
        # What of the question name the answer makes use of: less of it, and more classes share one encoded answer.
        used = self.answer or self.proved or self.denied_below or referral
        base = self.qname[self.above :] if used else self.zone.apex
        if self.dname_links:
            self.answer = [(self._named(owner), self._renamed(rrset)) for owner, rrset in self.answer]
            self.additional = [(self._named(owner), rrset) for owner, rrset in self.additional]
            self.additional_rrsigs = [(self._named(owner), rrset) for owner, rrset in self.additional_rrsigs]
        return Answer(
            self.rcode,
            self.authoritative,
            tuple(self.answer),
            tuple(self.authority),
            (*self.additional, *self.additional_rrsigs),
            self.required_glue,
            base,
            tuple(self._exceptions(base)),
            self.denied_below,
        )

    def _named(self, name: bytes) -> bytes:
        """A name of which `step` knew that it was moved, but not yet how much of it the class will know."""
        if not name.startswith(MOVED):
            return name
        return MOVED + name[1 + self.above :] if self.above else name[1:]

    def _renamed(self, rrset: RRset) -> RRset:
        if rrset.type != Type.CNAME:
            return rrset
        return rrset._replace(rdatas=(self._named(rrset.rdatas[0]),))

    def _exceptions(self, base: bytes) -> Iterator[bytes]:
        """The questions of this class that would meet themselves, or what was made of them, where this chain goes."""
        if not self.above:
            return
        for name in self.begun:
            known = name[self.above :]
            for other in self.led_to:
                if other != known and names.is_at_or_below(other, known):
                    yield other[: -len(known)] + base

    def step(self, owner: bytes, name: bytes, match: Match) -> bytes | None:
        """Adds what one name of the chain contributes; returns the name at which to go on, if any. `owner` is QUESTION
        or begins with MOVED where `name` depends on the question, else it is `name`."""
        if owner != name:
            self.begun.append(name)
            self.above = min(self.above, len(name) - len(match.node))
            if not self.above and owner != QUESTION:
                owner = name  # it exists, so the question is a class of its own
        match match.found:
            case Found.DELEGATION:
                self._referral(match.node)
            case Found.DNAME:
                return self._substitute(owner, name, match)
            case Found.NOTHING:
                self.rcode = Rcode.NXDOMAIN  # of the last name in the chain (RFC 6604 §3)
                self._negative()
                self._prove_no_name(owner, name, match.node)
            case Found.EXACT:
                following = self._data(owner, name, match.rrsets)
                if following != NO_DATA:
                    return following
                self._negative()
                self._prove_no_data(name)
            case Found.WILDCARD:
                following = self._data(owner, name, match.rrsets)
                if following != NO_DATA:
                    self._deny_next_closer(owner, name, match.node)  # RFC 4035 §3.1.3.3, RFC 5155 §7.2.6
                    return following
                self._negative()
                self._prove_no_wildcard_data(owner, name, match.node)
        return None

    def _data(self, owner: bytes, name: bytes, rrsets: RRsets) -> bytes | None:
        """What a name or a wildcard has; returns the name at which to go on, None at the end, or NO_DATA."""
        if self.qtype == Type.ANY:
            rrset = next((rrset for rrset in rrsets if rrset.type not in BESIDE_CNAME), None)
            if rrset is not None:
                self._add(self.answer, owner, rrset, rrsets)  # one RRset stands for all (RFC 8482 §4.1)
                return None
        elif self.qtype == Type.RRSIG:
            found = [rrset for rrset in rrsets if rrset.type == Type.RRSIG]
            for rrset in found:
                self._add(self.answer, owner, rrset, ())
            if found:
                return None
        else:
            rrset = find_rrset(rrsets, self.qtype)
            if rrset is not None:
                self._add(self.answer, owner, rrset, rrsets)
                self._add_targets(owner, name, rrset)
                return None
        cname = find_rrset(rrsets, Type.CNAME)
        if cname is not None and self.qtype not in BESIDE_CNAME:
            self._add(self.answer, owner, cname, rrsets)
            return cname.rdatas[0].lower()
        return NO_DATA

    def _add(self, section: list[tuple[bytes, RRset]], owner: bytes, rrset: RRset, beside: RRsets) -> None:
        """The RRset, and with DO the RRSIGs `beside` it that cover it (RFC 4035 §3.1.1). A DNAME is there already where
        its chain goes through it again, or ends at its owner."""
        if (owner, rrset) in section:
            return
        section.append((owner, rrset))
        if self.dnssec_ok:
            rrsigs = signatures(beside, rrset.type)
            if rrsigs is not None:
                section.append((owner, rrsigs))

    def _substitute(self, owner: bytes, name: bytes, match: Match) -> bytes | None:
        """RFC 6672 §3.2: the DNAME, and a CNAME with its TTL (§3.1) made from it."""
        if self.dname_links == MAX_DNAME_LINKS:
            return None  # the resolver will ask for the last name itself
        self.dname_links += 1
        dname, substituted = substitution(match, name)
        self._add(self.answer, match.node, dname, match.rrsets)
        if len(substituted) > names.MAX_NAME_OCTETS:
            self.rcode = Rcode.YXDOMAIN  # RFC 6672 §2.2
            return None
        moved = MOVED if owner != name else b""
        self.answer.append((owner, RRset(Type.CNAME, dname.ttl, (moved + substituted,))))
        if self.qtype == Type.CNAME:
            return None  # this CNAME is what was asked for (RFC 1034 §4.3.2 step 3a)
        return moved + substituted.lower()

    def _negative(self) -> None:
        """RFC 2308 §3: the SOA, its TTL the smaller of its own and MINIMUM (§5)."""
        soa = self.zone.negative_soa
        self.authority.append((self.zone.apex, soa))
        if self.dnssec_ok:
            rrsigs = signatures(self.zone.names[self.zone.apex], Type.SOA)
            if rrsigs is not None:
                self.authority.append((self.zone.apex, rrsigs._replace(ttl=min(rrsigs.ttl, soa.ttl))))

    def _prove(self, owner: bytes) -> None:
        if owner not in self.proved:
            self.proved.add(owner)
            self.authority += [(owner, rrset) for rrset in self.zone.proof(owner)]

    def _prove_no_data(self, name: bytes) -> None:
        """`name` exists, but not with this type: RFC 4035 §3.1.3.1, RFC 5155 §7.2.3, §7.2.4."""
        if self.denial is None:
            return
        found = self.denial.matching(name)
        if found is not None:
            self._prove(found)
        elif isinstance(
            self.denial, Nsec3
        ):  # opt-out: an insecure delegation, or an empty non-terminal above only such
            self._prove_closest_encloser(self.denial, name)
        else:
            self._prove(self.denial.covering(name))  # an empty non-terminal

    def _prove_no_name(self, owner: bytes, name: bytes, encloser: bytes) -> None:
        """Neither `name` nor a wildcard exists below its closest encloser: RFC 4035 §3.1.3.2, RFC 5155 §7.2.2."""
        if self.denial is None:
            return
        if isinstance(self.denial, Nsec3):
            found = self.denial.matching(encloser)
            if found is None:
                encloser = self._prove_closest_encloser(self.denial, encloser)
                self._prove(self.denial.covering(names.WILDCARD_LABEL + encloser))
                return
            self._prove(found)
        self._prove(self.denial.covering(names.WILDCARD_LABEL + encloser))
        self._deny_next_closer(owner, name, encloser)

    def _prove_no_wildcard_data(self, owner: bytes, name: bytes, encloser: bytes) -> None:
        """A wildcard covers `name`, but does not have this type: RFC 4035 §3.1.3.4, RFC 5155 §7.2.5."""
        if self.denial is None:
            return
        if isinstance(self.denial, Nsec3):
            found = self.denial.matching(encloser)
            if found is not None:
                self._prove(found)
        self._prove_no_data(names.WILDCARD_LABEL + encloser)
        self._deny_next_closer(owner, name, encloser)

    def _deny_next_closer(self, owner: bytes, name: bytes, encloser: bytes) -> None:
        if self.denial is None:
            return
        if owner != name and len(name) - len(encloser) == self.above:
            self.denied_below = encloser  # which record does it, the class does not know
        else:
            self._prove(self.denial.covering(names.next_closer(name, len(encloser))))

    def _prove_closest_encloser(self, denial: Nsec3, name: bytes) -> bytes:
        """The closest provable encloser of a name that opt-out left without NSEC3 (RFC 5155 §7.2.1); returns it."""
        above = name
        while (found := denial.matching(above)) is None and above != self.zone.apex:
            name, above = above, names.parent(above)
        if found is not None:  # else the chain lacks even the apex, and there is nothing better than the nearest
            self._prove(found)
        self._prove(denial.covering(name))
        return above

    def _referral(self, cut: bytes) -> None:
        """RFC 1034 §4.3.2 step 3b: the child's NS, and every address that we know of its targets (RFC 9471). With DO
        its DS, or the proof that there is none (RFC 4035 §3.1.4, RFC 5155 §7.2.7)."""
        rrsets = self.zone.names[cut]
        ns = find_rrset(rrsets, Type.NS)
        assert ns is not None, "zone.cuts lists owners of NS"
        self.authority.append((cut, ns))
        if not self.answer:
            self.authoritative = False
        if self.dnssec_ok:
            ds = find_rrset(rrsets, Type.DS)
            if ds is None:
                self._prove_no_data(cut)
            else:
                self._add(self.authority, cut, ds, rrsets)
        sibling: list[tuple[bytes, RRset]] = []
        for rdata in ns.rdatas:
            server = rdata.lower()
            found = [(server, rrset) for rrset in self._addresses_of_target(server, server, Type.NS)]
            if names.is_at_or_below(server, cut):  # in-domain: without it the child cannot be reached
                self.additional += found
            else:
                sibling += found
        self.required_glue = len(self.additional)
        self.additional += sibling

    def _add_targets(self, owner: bytes, name: bytes, rrset: RRset) -> None:
        """The addresses of the names that the data points at (RFC 1034 §4.3.2 step 6, RFC 2782, RFC 9460 §4.2)."""
        if rrset.type not in TARGET_OFFSET:
            return
        servers = dict.fromkeys(target(rrset.type, rdata, owner) for rdata in rrset.rdatas)
        if owner in servers and owner != name:  # HTTPS with the target "."; where it is named as well, once is enough
            del servers[owner]
            self.led_to += servers
            servers.pop(name, None)
            self.additional += [(owner, found) for found in self._addresses_of_target(owner, name, rrset.type)]
        for server in servers:
            self.additional += [(server, found) for found in self._addresses_of_target(server, server, rrset.type)]

    def _addresses_of_target(self, owner: bytes, server: bytes, rrtype: int) -> list[RRset]:
        """Addresses that a query for them would get, and for name servers also those below a cut: they are glue there,
        and there is no other way to them. (Glue has no RRSIGs: RFC 4035 §2.2.) `owner` stands for the server's name."""
        if not names.is_at_or_below(server, self.zone.apex):
            return []
        match = find(self.zone, server, Type.A)
        if match.found in (Found.EXACT, Found.WILDCARD):
            if self.dnssec_ok:
                rrsigs = (signatures(match.rrsets, covered) for covered in (Type.A, Type.AAAA))
                self.additional_rrsigs += [(owner, found) for found in rrsigs if found is not None]
            return _addresses(match.rrsets)
        return _addresses(self.zone.names.get(server, ())) if rrtype == Type.NS else []


def _addresses(rrsets: RRsets) -> list[RRset]:
    return [rrset for rrset in rrsets if rrset.type in (Type.A, Type.AAAA)]
