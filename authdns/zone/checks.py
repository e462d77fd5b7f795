"""What is wrong with a zone that can be read: mistakes that make it unusable, and those that are probably not meant.

Here live the checks that need the zone as a whole; what one line shows, the reader says, and what building it shows
(SOA, NS, caps, TTLs, duplicates), the builder. Nothing here changes the zone. The texts of SPF, DKIM and DMARC are
judged in `mail_policy`, what a signer made in `signed_checks`.

**Error** (the zone is not published, the last good version stays) is what has no meaning in the protocol, and what
BIND refuses to load too: CNAME beside other data, two CNAMEs, data below a DNAME, SOA below the apex, DS at it.
**Warning** (published) is everything else, also what BIND refuses though it can be served: a name server of the zone
without an address, a wildcard NS. An ordinary healthy zone gives no output at all, so that a warning is read.

How it works: one pass over the names, in which a table gives each interesting type its check. Types that make up the
bulk of a large zone get the cheapest test that can be made of them. A record's target is looked up the way that a
resolver would (exact name, delegation, DNAME, wildcard) by `_fate`.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum, auto

from dns.rdatatype import RdataType

from authdns.wire import name as names
from authdns.wire.rdata import TARGET_OFFSET, Soa, name_at, target
from authdns.wire.types import Type, type_to_text
from authdns.zone import mail_policy
from authdns.zone.builder import ZoneBuilder
from authdns.zone.problem import Place, Problems, Severity, TooManyErrors
from authdns.zone.signed_checks import check_signed, forbidden_iterations
from authdns.zone.zone import RRset, RRsets, Zone, find_rrset

MAX_MINIMUM_SECONDS = 86400  # RFC 2308 §5: "values exceeding one day have been found to be problematic"
MAX_SHOWN_LINKS = 10  # of a loop of CNAMEs, in its message

_MAY_STAND_BESIDE_CNAME = frozenset(  # RFC 4034 §3, §4; RFC 2535 §2.3.5
    map(int, (Type.CNAME, Type.RRSIG, Type.NSEC, Type.KEY, Type.NXT, Type.SIG))
)
_MAY_STAND_AT_CUT = frozenset(map(int, (Type.NS, Type.DS, Type.NSEC, Type.RRSIG)))  # RFC 4035 §2.2-§2.4
_ADDRESSES = frozenset((int(Type.A), int(Type.AAAA)))
_SIGNATURES = frozenset(map(int, (Type.RRSIG, Type.NSEC3, Type.NSEC)))
_REVERSE = (names.from_text("in-addr.arpa."), names.from_text("ip6.arpa."))
_GLOBAL_CATALOG = names.from_text("gc._msdcs", b"")  # Active Directory's, with addresses and not a host name

_CAA_TAGS = frozenset((b"issue", b"issuewild", b"iodef", b"issuemail", b"issuevmc", b"contactemail", b"contactphone"))
_CAA_CRITICAL = 128  # RFC 8659 §4.1: the one flag that is defined

_TLSA_OCTETS = {1: 32, 2: 64}  # SHA-256, SHA-512 (RFC 6698 §2.1.3)
_SHA1 = 1  # DS digest type (RFC 4034 §5.1.3); that its length fits, the codecs check

# RFC 952, RFC 1123 §2.1. The pattern is matched against one label inside a name, without copying it out.
_is_host_label = re.compile(rb"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?").fullmatch
_HOST_NAME = "letters, digits and hyphens, no hyphen first or last (RFC 952, RFC 1123 §2.1)"


def check_zone(zone: Zone, builder: ZoneBuilder, now: int | None = None) -> None:
    """Adds what is wrong with `zone` to `builder.problems`; `builder` made the zone and still knows the places.

    `now` is seconds since 1970; without it signatures are not held against the clock.
    """
    checker = _Checker(zone, builder.problems, builder.place_of)
    checker.run()
    check_signed(zone, builder, checker.is_below_cut, now)


def errors_of(zone: Zone) -> list[str]:
    """The errors that check_zone finds, in words, for a zone without places: one that was transferred."""
    return errors_at(zone, (*zone.names, *(owner for owner in zone.nsec3 if owner not in zone.names)))


def errors_at(zone: Zone, owners: Iterable[bytes]) -> list[str]:
    """Of these errors, those that a zone can have which had none before its records at these owners changed."""
    problems = Problems()
    owners = tuple(owners)
    with suppress(TooManyErrors):
        _Checker(zone, problems, lambda *_: Place("")).run_for_errors(owners)
        forbidden = forbidden_iterations(zone, owners)
        if forbidden is not None:
            problems.error(Place(""), forbidden)
    return [problem.message for problem in problems if problem.severity is Severity.ERROR]


def warn_at(
    zone: Zone, owners: Iterable[bytes], problems: Problems, place_of: Callable[[bytes, int, bytes | None], Place]
) -> None:
    """What check_zone says of the records of these owners, but for what delegations and signatures make of them."""
    _Checker(zone, problems, place_of).run_at(frozenset(owners))


class _Fate(Enum):
    """What becomes of somebody who asks this zone for the addresses of a name."""

    ADDRESS = auto()
    ELSEWHERE = auto()  # outside the zone, or delegated: not ours to judge
    ALIAS = auto()  # a CNAME there, or a DNAME above it
    NO_ADDRESS = auto()  # the name exists, with other records
    EMPTY = auto()  # only names below it have records
    NO_NAME = auto()


_WHAT_IT_IS = {
    _Fate.ALIAS: "is an alias (CNAME or DNAME)",
    _Fate.NO_ADDRESS: "has no address (A or AAAA)",
    _Fate.EMPTY: "has no address (A or AAAA)",
    _Fate.NO_NAME: "does not exist in this zone",
}


class _Checker:
    """One run over one zone. Methods named after a type check one RRset of that type."""

    def __init__(self, zone: Zone, problems: Problems, place_of: Callable[[bytes, int, bytes | None], Place]) -> None:
        self._zone = zone
        self._problems = problems
        self._place_of = place_of
        self._apex = zone.apex
        self._names = zone.names
        self._fates: dict[bytes, _Fate] = {}
        self._host_parents: set[bytes] = {names.ROOT}
        self._followed: set[bytes] = set()  # owners of CNAMEs that were looked at for a loop
        self._complained: set[bytes] = set()  # owners whose syntax was complained of
        self._cut_at_or_above: dict[bytes, bytes | None] = {zone.apex: None, names.ROOT: None}
        self._glue: frozenset[bytes] = frozenset()
        self._hidden: dict[bytes, list[bytes]] = {}  # the cut or DNAME, and the owners below it that nobody will see
        # A mistake that nobody makes in a zone of one label: "com.com." is a domain like any other.
        self._doubled = zone.apex[:-1] + zone.apex if len(names.labels(zone.apex)) > 1 else b"never"

    def run(self) -> None:
        zone = self._zone
        self._soa_values(zone.soa)
        if zone.cuts:
            self._glue = frozenset(
                rdata.lower()
                for owner in (*zone.cuts, zone.apex)
                if (rrset := zone.rrset(owner, Type.NS))
                for rdata in rrset.rdatas
            )
        self._run(zone.names.items())
        self._report_hidden()

    def run_at(self, owners: frozenset[bytes]) -> None:
        """The same for these owners. What is glue is known by looking at all delegations; they all count as such."""
        zone = self._zone
        self._glue = owners
        if zone.apex in owners:
            self._soa_values(zone.soa)
        self._run((owner, zone.names[owner]) for owner in sorted(owners) if owner in zone.names)

    def _run(self, rows: Iterable[tuple[bytes, RRsets]]) -> None:
        below = bool(self._zone.cuts or self._zone.dnames)
        checks = self._checks()
        doubled = self._doubled
        for owner, rrsets in rows:
            if below and self._is_hidden(owner, rrsets):
                # Nobody asks for it, but secondaries refuse a whole zone for what cannot stand together.
                self._fatal(owner, rrsets)
                continue
            for rrset in rrsets:
                check = checks.get(rrset[0])
                if check is not None:
                    check(owner, rrset)
            if owner.endswith(doubled) and rrsets:
                self._doubled_owner(owner, rrsets[0])

    def run_for_errors(self, owners: tuple[bytes, ...]) -> None:
        """The same, for errors alone. What the owners hide besides themselves needs a look at everything: what is below
        a new DNAME, or below one that was hidden itself by the delegation that is gone."""
        zone = self._zone
        for owner in owners:
            self._fatal(owner, zone.names.get(owner, ()))
        if not zone.dnames:
            return
        changed = set(owners)
        suspects: Iterable[bytes] = owners
        if any(above in changed for dname in zone.dnames for above in self._below_apex(dname)):
            suspects = zone.names
        for owner in suspects:
            rrsets = zone.names.get(owner)
            if rrsets:
                self._is_hidden(owner, rrsets)
        self._report_hidden()

    def _below_apex(self, name: bytes) -> Iterable[bytes]:
        """The name and what is above it, but not the apex, unless it is that itself."""
        yield name
        while name != self._apex and (name := names.parent(name)) != self._apex:
            yield name

    def _fatal(self, owner: bytes, rrsets: RRsets) -> None:
        """Errors that an owner shows, wherever it is."""
        for rrset in rrsets:
            if rrset.type == Type.CNAME:
                self._is_alone(owner, rrset)
            elif rrset.type == Type.DNAME:
                self._dname_beside(owner, rrset)
            elif rrset.type == Type.SOA:
                self._soa(owner, rrset)
            elif rrset.type == Type.DS:
                self._ds_at_apex(owner, rrset)

    def _checks(self) -> dict[int, Callable[[bytes, RRset], None]]:
        checks: dict[int, Callable[[bytes, RRset], None]] = {
            int(Type.A): self._addresses,
            int(Type.AAAA): self._addresses,
            int(Type.NS): self._ns,
            int(Type.CNAME): self._cname,
            int(Type.DNAME): self._dname,
            int(Type.SOA): self._soa,
            int(Type.MX): self._mx,
            int(Type.SRV): self._srv,
            int(Type.SVCB): self._svcb,
            int(Type.HTTPS): self._svcb,
            int(Type.TXT): self._txt,
            int(Type.DS): self._ds,
            int(Type.TLSA): self._tlsa,
            int(Type.CAA): self._caa,
            int(RdataType.SPF): self._spf_type,
        }
        if any(names.is_at_or_below(self._apex, tree) for tree in _REVERSE):
            checks[int(Type.PTR)] = self._reverse_ptr
        return checks

    # -- saying it

    def _place(self, owner: bytes, rrset: RRset, rdata: bytes | None = None) -> Place:
        return self._place_of(owner, rrset.type, rrset.rdatas[0] if rdata is None else rdata)

    def _error(self, owner: bytes, rrset: RRset, message: str, rdata: bytes | None = None) -> None:
        self._problems.error(self._place(owner, rrset, rdata), _subject(owner, rrset) + message)

    def _warn(self, owner: bytes, rrset: RRset, message: str, rdata: bytes | None = None) -> None:
        self._problems.warning(self._place(owner, rrset, rdata), _subject(owner, rrset) + message)

    # -- names

    def _addresses(self, owner: bytes, rrset: RRset) -> None:
        """The check that runs most often: one match and one look-up for a name whose parent was seen before."""
        if not (_is_host_label(owner, 1, owner[0] + 1) and owner[owner[0] + 1 :] in self._host_parents):
            self._host_owner(owner, rrset)

    def _host_owner(self, owner: bytes, rrset: RRset) -> None:
        """Owners of A, AAAA and MX are hosts and mail domains, or wildcards for such."""
        name = names.parent(owner) if owner.startswith(names.WILDCARD_LABEL) else owner
        if self._is_host_name(name) or owner.startswith(_GLOBAL_CATALOG) or owner in self._complained:
            return
        self._complained.add(owner)
        if b"*" in names.labels(name):
            self._warn(owner, rrset, "the asterisk is a wildcard only as the first label (RFC 4592 §2.1.1)")
        else:
            self._warn(owner, rrset, f"this is no host name: expected {_HOST_NAME}")

    def _is_host_name(self, name: bytes) -> bool:
        if name in self._host_parents:
            return True
        if not _is_host_label(name, 1, name[0] + 1):
            return False
        parent = names.parent(name)
        if parent not in self._host_parents:
            if not self._is_host_name(parent):
                return False
            self._host_parents.add(parent)
        return True

    def _doubled_owner(self, owner: bytes, rrset: RRset) -> None:
        meant = names.to_text(owner[: len(owner) - len(self._apex)] + names.ROOT)
        self._warn(owner, rrset, f"the name of the zone is in there twice; was {meant!r} meant, with a dot at the end?")

    def _hint(self, name: bytes) -> str:
        """A question that helps if `name` became a name of this zone only because its last dot is missing."""
        if not names.is_at_or_below(name, self._apex):
            return ""
        relative = name[: len(name) - len(self._apex)] + names.ROOT
        last = names.labels(relative)[1:][-1:]
        if last and last[0].isalpha() and len(last[0]) > 1:
            return f"; was {names.to_text(relative)!r} meant, with a dot at the end?"
        return ""

    # -- what a name leads to

    def _fate(self, name: bytes) -> _Fate:
        """`name` is lower-case. What the zone says about its addresses (RFC 1034 §4.3.2, RFC 4592 §3.3.1)."""
        if not names.is_at_or_below(name, self._apex):
            return _Fate.ELSEWHERE
        found = self._fates.get(name)
        if found is None:
            found = self._fates[name] = self._find_fate(name)
        return found

    def _find_fate(self, name: bytes) -> _Fate:
        if self._zone.cuts and self._cut(name) is not None:
            return _Fate.ELSEWHERE
        if self._zone.dnames and name != self._apex and self._is_redirected(name):
            return _Fate.ALIAS
        rrsets = self._rrsets(name)
        if rrsets is None:
            return _Fate.NO_NAME
        types = {rrset.type for rrset in rrsets}
        if types & _ADDRESSES:
            return _Fate.ADDRESS
        if Type.CNAME in types:
            return _Fate.ALIAS
        return _Fate.NO_ADDRESS if types else _Fate.EMPTY

    def is_below_cut(self, name: bytes) -> bool:
        return bool(self._zone.cuts) and name != self._apex and self._cut(names.parent(name)) is not None

    def _is_redirected(self, name: bytes) -> bool:
        return any(above in self._zone.dnames for above in names.ancestors(names.parent(name)))

    def _rrsets(self, name: bytes) -> RRsets | None:
        """The records at `name`, its own or a wildcard's. `name` lies in the zone, at no cut and below no DNAME."""
        rrsets = self._names.get(name)
        if rrsets is None:
            rrsets = self._names.get(names.WILDCARD_LABEL + self._zone.closest_encloser(name))
        return rrsets

    def _cut(self, name: bytes) -> bytes | None:
        """The delegation at or above `name`, remembered for it and for its ancestors up to the apex."""
        cuts = self._cut_at_or_above
        if name not in cuts:
            above = self._cut(names.parent(name))
            cuts[name] = name if above is None and name in self._zone.cuts else above
        return cuts[name]

    def _check_target(self, owner: bytes, rrset: RRset, rdata: bytes, name: bytes, *, rfc: str, alias: bool) -> None:
        """Somebody will ask for the addresses of `name` next. `alias`: may it be a CNAME?"""
        if self._looks_like_address(name):
            self._warn(owner, rrset, f"{names.to_text(name)} looks like an address; a name was expected ({rfc})", rdata)
            return
        if not self._is_host_name(name):
            self._warn(owner, rrset, f"{names.to_text(name)} is no host name: expected {_HOST_NAME}", rdata)
        fate = self._fate(name)
        if fate in _WHAT_IT_IS and not (alias and fate is _Fate.ALIAS):
            message = f"{names.to_text(name)} {_WHAT_IT_IS[fate]}, expected a name with an address ({rfc})"
            self._warn(owner, rrset, message + self._hint(name), rdata)

    def _looks_like_address(self, name: bytes) -> bool:
        """`192.0.2.1.`, or `192.0.2.1` that was completed to a name of this zone; anything with a colon."""
        if b":" in name and b":" in names.labels(name)[0]:  # 58 is a length octet as well
            return True
        if not name[1:2].isdigit():  # nearly every name ends here
            return False
        labels = names.labels(name)
        dotted = len(labels) == 4 or names.is_at_or_below(name, self._apex)
        return dotted and len(labels) >= 4 and all(x.isdigit() and int(x) < 256 for x in labels[:4])

    # -- below a delegation or a DNAME

    def _is_hidden(self, owner: bytes, rrsets: RRsets) -> bool:
        """Whether `owner` lies below a cut or a DNAME; if its records should not be there, that is remembered."""
        parent = names.parent(owner)
        if owner == self._apex or (parent == self._apex and self._apex not in self._zone.dnames):
            return False
        cut = self._cut(parent) if self._zone.cuts else None
        if cut is not None:
            if any(rrset.type not in _ADDRESSES or owner not in self._glue for rrset in rrsets):
                self._hidden.setdefault(cut, []).append(owner)
            return True
        for above in names.ancestors(parent) if self._zone.dnames else ():
            # A signed zone may have its NSEC3 names below a DNAME at the apex (RFC 5155 §3: they are no names to ask).
            if above in self._zone.dnames and any(rrset.type not in _SIGNATURES for rrset in rrsets):
                self._hidden.setdefault(above, []).append(owner)
                return True
            if above == self._apex:
                break
        return False

    def _report_hidden(self) -> None:
        for above, owners in self._hidden.items():
            first = names.to_text(owners[0]) + (f" and {len(owners) - 1} more" if len(owners) > 1 else "")
            if above in self._zone.dnames and above not in self._zone.cuts:
                message = f"{first} must not be there, since a DNAME redirects all that is below it (RFC 6672 §2.4)"
                self._error(above, _must(self._zone.rrset(above, Type.DNAME)), message)
            else:
                message = f"{first} below this delegation will never be seen, being no glue of it (RFC 1034 §4.2.1)"
                self._warn(above, _must(self._zone.rrset(above, Type.NS)), message)

    # -- types that shape the zone

    def _ns(self, owner: bytes, rrset: RRset) -> None:
        if owner == self._apex:
            if len(rrset.rdatas) == 1:
                self._warn(owner, rrset, "one name server; at least two were expected (RFC 1034 §4.1, RFC 2182 §5)")
        else:
            self._at_cut(owner, rrset)
        for rdata in rrset.rdatas:
            name = rdata.lower()
            if name == names.ROOT:
                self._warn(owner, rrset, "'.' is no name server, expected a host name (RFC 1035 §3.3.11)", rdata)
            elif owner == self._apex and self._fate(name) in _WHAT_IT_IS:
                what = _WHAT_IT_IS[self._fate(name)]
                message = f"name server {names.to_text(name)} {what}, expected an A or AAAA record (RFC 2181 §10.3)"
                if self._looks_like_address(name):
                    message = f"{names.to_text(name)} looks like an address; a name server's name was expected"
                self._warn(owner, rrset, message + self._hint(name), rdata)
            elif owner != self._apex and names.is_at_or_below(name, owner):
                if not any(found.type in _ADDRESSES for found in self._names.get(name, ())):
                    message = (
                        f"glue is missing: {names.to_text(name)} lies in what is delegated to it, so its A or AAAA"
                    )
                    self._warn(owner, rrset, f"{message} is needed here too (RFC 9471 §2.1)", rdata)
            else:
                self._check_target(owner, rrset, rdata, name, rfc="RFC 2181 §10.3", alias=False)

    def _at_cut(self, owner: bytes, rrset: RRset) -> None:
        if owner.startswith(names.WILDCARD_LABEL):
            self._warn(
                owner,
                rrset,
                "a wildcard cannot delegate, and BIND refuses the zone, as a secondary too (RFC 4592 §4.2)",
            )
        for beside in self._names[owner]:
            if beside.type in _MAY_STAND_AT_CUT or beside.type in (Type.CNAME, Type.DNAME):
                continue  # the last two have their own check, and are errors
            if beside.type not in _ADDRESSES or owner not in self._glue:
                message = "never seen, since the name is delegated here; it belongs in the delegated zone"
                self._warn(owner, beside, f"{message} (RFC 1034 §4.2.1)")

    def _is_alone(self, owner: bytes, rrset: RRset) -> bool:
        """Whether the CNAME is the only record there; if not, that is said."""
        rrsets = self._names[owner]
        if len(rrsets) > 1:
            beside = [type_to_text(other.type) for other in rrsets if other.type not in _MAY_STAND_BESIDE_CNAME]
            if beside:
                message = f"no other record may stand beside a CNAME (RFC 1034 §3.6.2); here: {', '.join(beside)}"
                hint = "; at the apex use A and AAAA, or an HTTPS record" if owner == self._apex else ""
                self._error(owner, rrset, message + hint)
                return False
        if len(rrset.rdatas) > 1:
            self._error(owner, rrset, "more than one CNAME; a name has one (RFC 2181 §10.1)", rrset.rdatas[1])
            return False
        return True

    def _cname(self, owner: bytes, rrset: RRset) -> None:
        if not self._is_alone(owner, rrset):
            return
        name = rrset.rdatas[0].lower()
        if self._looks_like_address(name):
            self._warn(owner, rrset, f"{names.to_text(name)} looks like an address; for an address use A or AAAA")
            return
        fate = self._fate(name)
        if fate in (_Fate.NO_NAME, _Fate.EMPTY):
            what = "does not exist in this zone" if fate is _Fate.NO_NAME else "has no records"
            self._warn(owner, rrset, f"the target {names.to_text(name)} {what}{self._hint(name)}")
        elif fate is _Fate.ALIAS:
            self._cname_loop(owner, rrset)

    def _cname_loop(self, owner: bytes, rrset: RRset) -> None:
        """A chain that comes back to one of its links; said once per loop, at its smallest name.

        Each link is followed once in all, however many chains lead through it. DNAMEs are not followed.
        """
        way: dict[bytes, RRset] = {}
        link: bytes | None = owner
        while link is not None and link not in self._followed:
            self._followed.add(link)
            way[link] = _must(find_rrset(self._names[link], Type.CNAME))
            link = self._alias_at(way[link].rdatas[0].lower())
        if link not in way:
            return
        links = list(way)
        loop = links[links.index(link) :]
        first = loop.index(min(loop))
        loop = loop[first:] + loop[:first]
        shown = [loop[0], *(way[each].rdatas[0].lower() for each in loop[:MAX_SHOWN_LINKS])]
        text = " -> ".join(map(names.to_text, shown)) + (" -> ..." if len(loop) > MAX_SHOWN_LINKS else "")
        self._warn(loop[0], way[loop[0]], f"the alias leads back to itself ({text}); nobody can resolve it")

    def _alias_at(self, name: bytes) -> bytes | None:
        """The owner of the CNAME that answers for `name`: itself, or a wildcard."""
        if self._fate(name) is not _Fate.ALIAS:
            return None
        owner = name if name in self._names else names.WILDCARD_LABEL + self._zone.closest_encloser(name)
        return owner if find_rrset(self._names.get(owner, ()), Type.CNAME) else None

    def _dname_beside(self, owner: bytes, rrset: RRset) -> None:
        if len(rrset.rdatas) > 1:
            self._error(owner, rrset, "more than one DNAME; a name has one (RFC 6672 §2.4)", rrset.rdatas[1])
        if owner != self._apex and find_rrset(self._names[owner], Type.NS):
            self._error(owner, rrset, "NS beside a DNAME; both may only stand together at the apex (RFC 6672 §2.3)")

    def _dname(self, owner: bytes, rrset: RRset) -> None:
        self._dname_beside(owner, rrset)
        if owner.startswith(names.WILDCARD_LABEL):
            self._warn(owner, rrset, "a wildcard DNAME; resolvers differ in what they make of it (RFC 4592 §4.4)")
        name = rrset.rdatas[0].lower()
        if names.is_at_or_below(name, owner):
            self._warn(owner, rrset, f"the target {names.to_text(name)} is redirected itself, so this never ends")

    def _soa(self, owner: bytes, rrset: RRset) -> None:
        if owner != self._apex:
            self._error(owner, rrset, f"an SOA may only stand at the apex, {names.to_text(self._apex)} (RFC 1035 §5.2)")

    def _soa_values(self, soa: Soa) -> None:
        """Sanity of the SOA (RFC 1035 §3.3.13, RFC 1912 §2.2, RFC 2308 §5)."""

        def warn(message: str) -> None:
            self._warn(self._apex, self._zone.soa_rrset, message)

        mailbox = names.labels(soa.rname)
        if mailbox and b"@" in mailbox[0]:
            warn(
                f"the mailbox is written with a dot in place of the @: "
                f"{mailbox[0].decode('latin-1').replace('@', '.')} ... (RFC 1035 §8)"
            )
        elif len(mailbox) < 2:
            warn(f"{names.to_text(soa.rname)} is no mailbox, expected e.g. hostmaster.example.com. (RFC 1035 §8)")
        for what, name in (("mailbox", soa.rname.lower()), ("primary", soa.mname.lower())):
            if name.endswith(self._doubled):
                warn(f"the {what} {names.to_text(name)} has the name of the zone twice; is its last dot missing?")
        if soa.mname == names.ROOT or self._looks_like_address(soa.mname.lower()):
            warn(f"{names.to_text(soa.mname)} is no name of a primary server (RFC 1035 §3.3.13)")
        if soa.serial == 0:
            warn("the serial is 0, which software takes for 'not set'; expected 1, or a date such as 2024013101")
        if 0 in (soa.refresh, soa.retry, soa.expire):
            warn("refresh, retry or expire is 0; secondaries need some time for each (RFC 1912 §2.2)")
        else:
            if soa.retry >= soa.refresh:
                warn(f"retry ({soa.retry} s) should be shorter than refresh ({soa.refresh} s) (RFC 1912 §2.2)")
            if soa.expire < soa.refresh + soa.retry:
                warn(
                    f"expire ({soa.expire} s) is shorter than refresh and retry together "
                    f"({soa.refresh + soa.retry} s): secondaries give up after one failure (RFC 1912 §2.2)"
                )
        if soa.minimum > MAX_MINIMUM_SECONDS:
            warn(
                f"minimum ({soa.minimum} s) is how long 'no such name' is remembered; "
                f"more than a day ({MAX_MINIMUM_SECONDS} s) is too long (RFC 2308 §5)"
            )

    # -- types with targets

    def _mx(self, owner: bytes, rrset: RRset) -> None:
        self._addresses(owner, rrset)
        for rdata in rrset.rdatas:
            name = rdata[2:].lower()
            if name != names.ROOT:
                self._check_target(owner, rrset, rdata, name, rfc="RFC 2181 §10.3", alias=False)
            elif len(rrset.rdatas) > 1:
                self._warn(
                    owner, rrset, "'.' says that no mail is accepted, yet there is another MX (RFC 7505 §3)", rdata
                )

    def _srv(self, owner: bytes, rrset: RRset) -> None:
        labels = names.labels(owner)
        service = labels[1:] if labels[:1] == (b"*",) else labels[:2]
        if not all(label.startswith(b"_") for label in service[:2]):
            self._warn(owner, rrset, "expected a service and a protocol in front, as in _imap._tcp (RFC 2782)")
        for rdata in rrset.rdatas:
            name = rdata[TARGET_OFFSET[Type.SRV] :].lower()
            if name == names.ROOT:  # "the service is decidedly not available at this domain"
                if len(rrset.rdatas) > 1:
                    self._warn(owner, rrset, "'.' says that there is no such service, yet there is another SRV", rdata)
                continue
            if rdata[4:6] == b"\0\0":
                self._warn(owner, rrset, "port 0; expected the port of the service (RFC 2782)", rdata)
            self._check_target(owner, rrset, rdata, name, rfc="RFC 2782", alias=False)

    def _svcb(self, owner: bytes, rrset: RRset) -> None:
        """RFC 9460. Neither mode forbids a CNAME as the target; an alias may also lead to another SVCB record."""
        aliases = sum(rdata[:2] == b"\0\0" for rdata in rrset.rdatas)
        if 0 < aliases < len(rrset.rdatas):
            self._warn(owner, rrset, "priority 0 (alias) makes clients ignore the other records (RFC 9460 §2.4.1)")
        for rdata in rrset.rdatas:
            spelled = name_at(rdata, TARGET_OFFSET[rrset.type]).lower()
            if rdata[:2] != b"\0\0":
                name = target(rrset.type, rdata, owner)
                # "." is the owner, which may be a service (`_8443._https`) and need not be a host name.
                if spelled == names.ROOT and self._fate(name) in (_Fate.ADDRESS, _Fate.ALIAS, _Fate.ELSEWHERE):
                    continue
                self._check_target(owner, rrset, rdata, name, rfc="RFC 9460 §2.5", alias=True)
            elif spelled == owner:
                self._warn(owner, rrset, "the alias points at its own name (RFC 9460 §2.4.2)", rdata)
            elif spelled != names.ROOT and self._fate(spelled) is _Fate.NO_NAME:
                message = f"the target {names.to_text(spelled)} does not exist in this zone{self._hint(spelled)}"
                self._warn(owner, rrset, message, rdata)

    def _reverse_ptr(self, owner: bytes, rrset: RRset) -> None:
        if owner[1] == 0x5F:  # "_services._dns-sd._udp" (RFC 6763 §11) lists domains, not hosts
            return
        for rdata in rrset.rdatas:
            name = rdata.lower()
            if any(names.is_at_or_below(name, tree) for tree in _REVERSE):
                message = f"{names.to_text(name)} is the name of an address; expected a host's{self._hint(name)}"
                self._warn(owner, rrset, message)
            elif not self._is_host_name(name):
                self._warn(owner, rrset, f"{names.to_text(name)} is no host name: expected {_HOST_NAME}")

    # -- types with a text or a digest

    def _txt(self, owner: bytes, rrset: RRset) -> None:
        for rdata in rrset[2]:
            if rdata[1:3] in (b"v=", b"V=") or b"_d" in owner:
                for complaint in mail_policy.complaints(owner, rrset.rdatas):
                    self._warn(owner, rrset, complaint)
                return

    def _spf_type(self, owner: bytes, rrset: RRset) -> None:
        txt = find_rrset(self._names[owner], Type.TXT)
        if txt is None or not any(rdata[1:7].lower() == b"v=spf1" for rdata in txt.rdatas):
            self._warn(owner, rrset, "type SPF is obsolete and ignored; the same text is needed as TXT (RFC 7208 §3.1)")

    def _ds_at_apex(self, owner: bytes, rrset: RRset) -> bool:
        if owner != self._apex:
            return False
        self._error(owner, rrset, "a zone's DS stands in the zone above it, never at its apex (RFC 4035 §2.4)")
        return True

    def _ds(self, owner: bytes, rrset: RRset) -> None:
        if self._ds_at_apex(owner, rrset):
            return
        if find_rrset(self._names[owner], Type.NS) is None:
            self._warn(owner, rrset, "a DS without NS delegates nothing (RFC 4035 §2.4)")
        if all(rdata[3] == _SHA1 for rdata in rrset.rdatas):
            self._warn(owner, rrset, "only SHA-1 (digest type 1), which validators no longer accept (RFC 8624 §3.3)")

    def _tlsa(self, owner: bytes, rrset: RRset) -> None:
        for rdata in rrset.rdatas:
            expected = _TLSA_OCTETS.get(rdata[2], len(rdata) - 3)
            if len(rdata) - 3 != expected:
                message = f"{len(rdata) - 3} octets of data; matching type {rdata[2]} has {expected}"
                self._warn(owner, rrset, f"{message}, so no certificate will match (RFC 6698 §2.1.3)", rdata)

    def _caa(self, owner: bytes, rrset: RRset) -> None:
        """RFC 8659. A CA that meets a record it cannot read may issue, or refuse, against the owner's will."""
        for rdata in rrset.rdatas:
            tag = rdata[2 : 2 + rdata[1]].lower()
            value = rdata[2 + rdata[1] :].decode("latin-1")
            if rdata[0] not in (0, _CAA_CRITICAL):
                self._warn(owner, rrset, f"flags {rdata[0]}; expected 0, or 128 for critical (RFC 8659 §4.1)", rdata)
            if tag not in _CAA_TAGS:
                self._warn(
                    owner,
                    rrset,
                    f"{tag.decode('latin-1')!r} is not a known tag; expected one of issue, issuewild, issuemail, iodef"
                    + ("; being critical, it makes every CA refuse" if rdata[0] == _CAA_CRITICAL else "")
                    + " (RFC 8659 §4.1)",
                    rdata,
                )
            elif tag == b"iodef" and not value.lower().startswith(("mailto:", "https:", "http:")):
                self._warn(owner, rrset, f"{value!r} is no URL, expected e.g. 'mailto:{value}' (RFC 8659 §4.4)", rdata)
            elif tag.startswith(b"issue") and not _is_issuer(value):
                self._warn(owner, rrset, f"{value!r} names no CA; expected its domain, or ';' (RFC 8659 §4.2)", rdata)


def _is_issuer(value: str) -> bool:
    """`ca.example; key=value`, or nobody at all: an empty domain."""
    domain = value.partition(";")[0].strip().encode("latin-1").lower()
    return not domain or all(_is_host_label(label) for label in domain.split(b"."))


def _subject(owner: bytes, rrset: RRset) -> str:
    return f"{names.to_text(owner)} {type_to_text(rrset.type)}: "


def _must(rrset: RRset | None) -> RRset:
    assert rrset is not None, "a cut has NS, and a DNAME's owner a DNAME"
    return rrset
