"""From single records to an immutable Zone. The builder is mutable, the Zone is not; `build` is the one way across.

Speed decides the shapes here: a zone of a million records passes through `add`. While it grows, a name's records are
one flat list [type, ttl, rdata, line, type, ttl, ...]; `build` turns it into RRsets in place.
"""

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import cast

from authdns.wire import name as names
from authdns.wire.rdata import folded
from authdns.wire.types import Type, type_to_text
from authdns.zone.denial import SHA1, Nsec, Nsec3, Parameters, is_hashed, nsec3_parameters
from authdns.zone.problem import Place, Problems
from authdns.zone.zone import RRset, RRsets, Zone, find_rrset

MAX_TYPES_PER_NAME = 100  # as BIND since CVE-2024-1737: one lookup must not walk thousands
# An answer holds at least header (12), question (owner + 4) and the RRset, and ends at 65,535 octets over TCP.
MAX_MESSAGE_OCTETS = 65535
HEADER_OCTETS = 12
FIXED_RR_OCTETS = 12  # compressed owner, type, class, TTL, RDLENGTH

# The bulk of large zones. No check looks at one such record alone, so no place is kept for it.
_WITHOUT_NAMES = frozenset(map(int, (Type.A, Type.AAAA, Type.PTR, Type.RRSIG, Type.NSEC, Type.NSEC3)))

# In ip6.arpa 31 names may stand between the apex and an owner; a file of owners with 120 labels each would take two
# hundred times its own size in memory.
EMPTY_NON_TERMINALS_PER_OWNER = 40
MAX_EMPTY_NON_TERMINALS = 10_000  # besides

_LARGE_OCTETS = MAX_MESSAGE_OCTETS // 2  # a single record below it needs no arithmetic
_FIELDS = 4  # type, ttl, rdata, line
_NSEC3 = Type.NSEC3.to_bytes(2, "big")
_COVERED_SHIFT = 16  # while records are grouped, an RRSIG counts as covered type << _COVERED_SHIFT | RRSIG
_TYPE_MASK = (1 << _COVERED_SHIFT) - 1
FILE_SHIFT = 32  # a place is one integer: file number << FILE_SHIFT | line


class ZoneBuilder:
    """Collects the records of one zone and makes the Zone.

    `files` are names for problems, index = the file number inside a `place`.
    """

    def __init__(self, apex: bytes, problems: Problems, files: list[str]) -> None:
        self.apex = apex
        self.problems = problems
        self.files = files
        self._growing: dict[bytes, list[int | bytes]] = {}
        self._spelling: dict[bytes, bytes] = {}
        self._parents: set[bytes] = set()  # of every owner but the apex
        self._places: dict[tuple[bytes, int, bytes], int] = {}
        self._ns_owners: set[bytes] = set()
        self._dname_owners: set[bytes] = set()
        self._large: set[bytes] = set()  # owners of a record that may not fit into an answer
        self._nsec_owners: list[bytes] = []
        self._nsec3_owners: set[bytes] = set()
        self._signed = False
        self._outside: set[bytes] = set()
        self.irregular: set[bytes] = set()  # owners of RRsets that are not what was added: duplicates, other TTLs

    def add(self, owner: bytes, rrtype: int, ttl: int, rdata: bytes, place: int) -> None:
        """One record of class IN. `owner` is lower-case; `rdata` uncompressed; see `spell` for the owner's spelling."""
        if len(rdata) > _LARGE_OCTETS:
            self._large.add(owner)
        fields = self._growing.get(owner)
        if fields is not None:
            fields += (rrtype, ttl, rdata, place)
        else:
            parent = owner[owner[0] + 1 :]
            if parent not in self._parents and owner != self.apex:
                if not names.is_at_or_below(owner, self.apex):
                    self._refuse_outside(owner, place)
                    return
                self._parents.add(parent)
            self._growing[owner] = [rrtype, ttl, rdata, place]
        if rrtype not in _WITHOUT_NAMES:
            self._places.setdefault((owner, rrtype, rdata), place)
            if rrtype == Type.NS:
                self._ns_owners.add(owner)
            elif rrtype == Type.DNAME:
                self._dname_owners.add(owner)
        elif rrtype == Type.NSEC3:
            self._nsec3_owners.add(owner)
        elif rrtype == Type.NSEC:
            self._nsec_owners.append(owner)

    def spell(self, owner: bytes, spelled: bytes) -> None:
        """Remember how the file writes `owner`; the first spelling stays."""
        self._spelling.setdefault(owner, spelled)

    def place(self, place: int) -> Place:
        return Place(self.files[place >> FILE_SHIFT], place & ((1 << FILE_SHIFT) - 1))

    def place_of(self, owner: bytes, rrtype: int, rdata: bytes | None = None) -> Place:
        """Where an RRset, or one record of it, was read; the file alone for types of which no place is kept."""
        fields = self._growing.get(owner, [])
        if isinstance(fields, list):  # not yet built
            for i in range(0, len(fields), _FIELDS):
                if fields[i] == rrtype and rdata in (None, fields[i + 2]):
                    return self.place(_integer(fields[i + 3]))
        if rdata is None:
            rdata = next((r for o, t, r in self._places if (o, t) == (owner, rrtype)), b"")
        place = self._places.get((owner, rrtype, rdata))
        return Place(self.files[0]) if place is None else self.place(place)

    def build(self) -> Zone | None:
        """The Zone, or None if an error (in `problems`, from here or before) forbids one. The builder is spent then."""
        self._check_apex()
        growing = self._growing
        finished = cast("dict[bytes, RRsets]", growing)  # one dictionary, turned in place: half the peak of memory
        records = 0
        new = tuple.__new__  # a NamedTuple's own constructor costs twice as much
        rrsig = int(Type.RRSIG)
        for owner, fields in growing.items():
            if len(fields) == _FIELDS and owner not in self._large:
                rrtype, ttl, rdata, _ = fields
                finished[owner] = (new(RRset, (rrtype, ttl, (rdata,))),)
                if rrtype == rrsig:  # alone: a signature of nothing
                    self._signed = True
                records += 1
            else:
                finished[owner] = rrsets = self._singles(fields) or self._group(owner, fields)
                records += sum(len(rrset.rdatas) for rrset in rrsets)
        if self.problems.errors:
            return None
        nsec3 = self._take_nsec3(finished)
        self._add_empty_non_terminals(finished)
        if self.problems.errors:
            return None
        apex_rrsets = finished[self.apex]
        return Zone(
            apex=self.apex,
            names=MappingProxyType(finished),
            longest=max(map(len, finished)),
            spelling=MappingProxyType(self._spelling),
            cuts=unhidden(self._ns_owners, self.apex),
            dnames=frozenset(self._dname_owners),
            nsec3=MappingProxyType(nsec3),
            denial=nsec3_chain(self.apex, apex_rrsets, nsec3) or self._nsec_chain(),
            signed=self._signed,
            records=records,
        )

    def _take_nsec3(self, finished: dict[bytes, RRsets]) -> dict[bytes, RRsets]:
        """NSEC3 and its RRSIGs, moved out of the names that exist (RFC 5155 §7.2.8)."""
        taken = {}
        for owner in self._nsec3_owners:
            nsec3: list[RRset] = []
            others: list[RRset] = []
            for rrset in finished.pop(owner):
                covers = rrset.type == Type.RRSIG and rrset.rdatas[0].startswith(_NSEC3)
                (nsec3 if covers or rrset.type == Type.NSEC3 else others).append(rrset)
            taken[owner] = tuple(nsec3)
            if others:
                finished[owner] = tuple(others)
        return taken

    def _nsec_chain(self) -> Nsec | None:
        return Nsec.of(set(self._nsec_owners)) if self._nsec_owners else None

    def _add_empty_non_terminals(self, finished: dict[bytes, RRsets]) -> None:
        """Every name between an owner and the apex exists (RFC 4592 §2.2.2)."""
        most = len(finished) * (EMPTY_NON_TERMINALS_PER_OWNER + 1) + MAX_EMPTY_NON_TERMINALS
        for name in self._parents:
            while name not in finished:
                finished[name] = ()
                name = names.parent(name)
            if len(finished) > most:
                self.problems.error(
                    Place(self.files[0]),
                    f"the owners have so many labels that more than {most} names exist between them and the apex",
                )
                return

    def _singles(self, fields: list[int | bytes]) -> RRsets | None:
        """The RRsets of a name at which each has one record and none is large, as in most of a signed zone."""
        if len(fields) > MAX_TYPES_PER_NAME * _FIELDS:
            return None
        found: dict[int, RRset] = {}
        for i in range(0, len(fields), _FIELDS):
            key = rrtype = _integer(fields[i])
            rdata = fields[i + 2]
            assert isinstance(rdata, bytes)
            if rrtype == Type.RRSIG:
                key |= int.from_bytes(rdata[:2], "big") << _COVERED_SHIFT
                self._signed = True
            if key in found or len(rdata) > _LARGE_OCTETS:
                return None
            found[key] = tuple.__new__(RRset, (rrtype, fields[i + 1], (rdata,)))
        return tuple(found.values())

    def _group(self, owner: bytes, fields: list[int | bytes]) -> RRsets:
        """Records of one name to RRsets: duplicates dropped (RFC 2181 §5), one TTL (§5.2), caps kept."""
        by_type: dict[int, dict[bytes, bytes]] = {}  # folded rdata -> rdata
        ttls: dict[int, int] = {}
        repeated: dict[int, list[int]] = {}
        other_ttls: dict[int, tuple[int, int, int]] = {}  # of each RRset the first other one: (before, then, place)
        for i in range(0, len(fields), _FIELDS):
            rrtype, ttl, rdata = _integer(fields[i]), _integer(fields[i + 1]), fields[i + 2]
            assert isinstance(rdata, bytes)
            key = rdata
            if rrtype == Type.RRSIG:
                rrtype |= int.from_bytes(rdata[:2], "big") << _COVERED_SHIFT
                self._signed = True
            else:
                key = folded(rrtype, rdata)
            rdatas = by_type.get(rrtype)
            if rdatas is None:
                by_type[rrtype] = {key: rdata}
                ttls[rrtype] = ttl
                continue
            if key in rdatas:
                self.irregular.add(owner)
                if rrtype != Type.SOA:
                    repeated.setdefault(rrtype, []).append(_integer(fields[i + 3]))
            rdatas.setdefault(key, rdata)
            if ttl != ttls[rrtype]:
                self.irregular.add(owner)
                other_ttls.setdefault(rrtype, (ttls[rrtype], ttl, _integer(fields[i + 3])))
                ttls[rrtype] = min(ttls[rrtype], ttl)
        for rrtype, places in repeated.items():
            more = f", and {len(places) - 1} more" if len(places) > 1 else ""
            what = f"{names.to_text(owner)} {_type_text(rrtype)}"
            self.problems.warning(
                self.place(places[0]), f"{what}: the same record was given before{more}; one of each is kept"
            )
        for rrtype, (known, ttl, place) in other_ttls.items():
            self.problems.warning(
                self.place(place),
                f"{names.to_text(owner)} {_type_text(rrtype)}: TTL {ttl} differs from {known} in the same RRset "
                f"(RFC 2181 §5.2); {ttls[rrtype]} is used for all",
            )
        self._check_caps(owner, by_type)
        return tuple(
            [RRset(rrtype & _TYPE_MASK, ttls[rrtype], tuple(rdatas.values())) for rrtype, rdatas in by_type.items()]
        )

    def _check_caps(self, owner: bytes, by_type: dict[int, dict[bytes, bytes]]) -> None:
        if len(by_type) > MAX_TYPES_PER_NAME:
            types = sum(rrtype <= _TYPE_MASK for rrtype in by_type)
            if types > MAX_TYPES_PER_NAME or len(by_type) > 2 * MAX_TYPES_PER_NAME:
                self.problems.error(
                    self.place_of(owner, next(iter(by_type)) & _TYPE_MASK),
                    f"{names.to_text(owner)} has {types} record types, and RRSIGs of {len(by_type) - types}; at most "
                    f"{MAX_TYPES_PER_NAME} are possible",
                )
        room = MAX_MESSAGE_OCTETS - HEADER_OCTETS - len(owner) - 4
        for rrtype, rdatas in by_type.items():
            octets = sum(map(len, rdatas)) + FIXED_RR_OCTETS * len(rdatas)
            if octets > room:
                what = f"{names.to_text(owner)} {_type_text(rrtype)}"
                place = self.place_of(owner, rrtype & _TYPE_MASK)
                if max(map(len, rdatas)) + FIXED_RR_OCTETS > room:
                    self.problems.error(place, f"{what}: the record is too large for any message of {room} octets")
                else:
                    self.problems.warning(
                        place,
                        f"{what}: {len(rdatas)} records need {octets} octets; an answer holds at most {room}, so "
                        "whoever asks for them gets none, over TCP as well",
                    )

    def _check_apex(self) -> None:
        fields = self._growing.get(self.apex, [])
        apex = names.to_text(self.apex)
        soas = {fields[i + 2]: fields[i + 3] for i in range(0, len(fields), _FIELDS) if fields[i] == Type.SOA}
        if not soas:
            self.problems.error(Place(self.files[0]), f"the zone has no SOA record at {apex}")
        for place in list(soas.values())[1:]:
            self.problems.error(self.place(_integer(place)), f"{apex} has a second SOA record; a zone has one")
        if self.apex not in self._ns_owners:
            self.problems.error(Place(self.files[0]), f"the zone has no NS record at {apex}; it needs at least one")

    def _refuse_outside(self, owner: bytes, place: int) -> None:
        if owner in self._outside:
            return
        self._outside.add(owner)
        self.problems.error(
            self.place(place),
            f"{names.to_text(owner)} lies outside the zone {names.to_text(self.apex)}; "
            "a name that ends in a dot is absolute",
        )


def unhidden(ns_owners: Set[bytes], apex: bytes) -> frozenset[bytes]:
    """The delegations that are not hidden below another one; at the apex, NS delegate nothing."""
    found = []
    for owner in ns_owners:
        if owner != apex:
            above = owner[owner[0] + 1 :]
            while above != apex and above not in ns_owners:
                above = above[above[0] + 1 :]
            if above == apex:
                found.append(owner)
    return frozenset(found)


def nsec3_chains(apex: bytes, nsec3: Mapping[bytes, RRsets]) -> dict[Parameters, list[bytes]]:
    """The owners of each chain, in no order."""
    chains: dict[Parameters, list[bytes]] = {}
    for owner, rrsets in nsec3.items():
        if is_hashed(owner, apex):
            rdatas = rrsets[0].rdatas if rrsets[0].type == Type.NSEC3 else rrsets[1].rdatas
            for parameters in {nsec3_parameters(rdata) for rdata in rdatas}:
                chains.setdefault(parameters, []).append(owner)
    return chains


def nsec3_chain(apex: bytes, apex_rrsets: RRsets, nsec3: Mapping[bytes, RRsets]) -> Nsec3 | None:
    """The chain of an NSEC3PARAM that has one; others are being built or taken down (RFC 5155 §4, §7.3). Of several the
    least, in whatever order the records came."""
    params = find_rrset(apex_rrsets, Type.NSEC3PARAM)
    if params is None:
        return None
    chains = nsec3_chains(apex, nsec3)
    for rdata in sorted(params.rdatas):
        parameters = nsec3_parameters(rdata)
        owners = chains.get(parameters)
        # Flags other than 0 mark a chain that is not complete, or in no use (RFC 5155 §4.1.2).
        if owners and parameters.algorithm == SHA1 and rdata[1] == 0:
            return Nsec3.of(parameters, owners)
    return None


def _type_text(grouped: int) -> str:
    covered = grouped >> _COVERED_SHIFT
    return f"RRSIG of {type_to_text(covered)}" if covered else type_to_text(grouped)


def _integer(field: int | bytes) -> int:
    assert isinstance(field, int)
    return field
