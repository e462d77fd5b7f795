"""From single records to an immutable Zone. The builder is mutable, the Zone is not; `build` is the one way across.

Speed decides the shapes here: a zone of a million records passes through `add`. While it grows, a name's records are
one flat list [type, ttl, rdata, line, type, ttl, ...]; `build` turns it into RRsets in place.
"""

from types import MappingProxyType
from typing import cast

from authdns.wire import name as names
from authdns.wire.rdata import folded, parse_soa
from authdns.wire.types import Type, type_to_text
from authdns.zone.problem import Place, Problems
from authdns.zone.zone import RRset, RRsets, Zone, find_rrset

MAX_TYPES_PER_NAME = 100  # as BIND since CVE-2024-1737: one lookup must not walk thousands
# An answer holds at least header (12), question (owner + 4) and the RRset, and ends at 65,535 octets over TCP.
MAX_MESSAGE_OCTETS = 65535
HEADER_OCTETS = 12
FIXED_RR_OCTETS = 12  # compressed owner, type, class, TTL, RDLENGTH

# The bulk of large zones. No check looks at one such record alone, so no place is kept for it.
_WITHOUT_NAMES = frozenset(map(int, (Type.A, Type.AAAA, Type.PTR, Type.RRSIG, Type.NSEC, Type.NSEC3)))

_FIELDS = 4  # type, ttl, rdata, line
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
        self._outside: set[bytes] = set()

    def add(self, owner: bytes, rrtype: int, ttl: int, rdata: bytes, place: int) -> None:
        """One record of class IN. `owner` is lower-case; `rdata` uncompressed; see `spell` for the owner's spelling."""
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
        for owner, fields in growing.items():
            if len(fields) == _FIELDS:
                rrtype, ttl, rdata, _ = fields
                finished[owner] = (new(RRset, (rrtype, ttl, (rdata,))),)
                records += 1
            else:
                finished[owner] = rrsets = self._group(owner, fields)
                records += sum(len(rrset.rdatas) for rrset in rrsets)
        if self.problems.errors:
            return None
        self._add_empty_non_terminals(finished)
        soa_rrset = find_rrset(finished[self.apex], Type.SOA)
        assert soa_rrset is not None, "_check_apex has seen to it"
        minimum = parse_soa(soa_rrset.rdatas[0]).minimum
        return Zone(
            apex=self.apex,
            names=MappingProxyType(finished),
            longest=max(map(len, finished)),
            spelling=MappingProxyType(self._spelling),
            cuts=self._cuts(),
            dnames=frozenset(self._dname_owners),
            soa_rrset=soa_rrset,
            negative_soa=soa_rrset._replace(ttl=min(soa_rrset.ttl, minimum)),
            records=records,
        )

    def _add_empty_non_terminals(self, finished: dict[bytes, RRsets]) -> None:
        """Every name between an owner and the apex exists (RFC 4592 §2.2.2)."""
        for name in self._parents:
            while name not in finished:
                finished[name] = ()
                name = names.parent(name)

    def _cuts(self) -> frozenset[bytes]:
        """The delegations that are not hidden below another one."""
        owners = self._ns_owners - {self.apex}
        hidden = {owner for owner in owners if any(above in owners for above in list(names.ancestors(owner))[1:])}
        return frozenset(owners - hidden)

    def _group(self, owner: bytes, fields: list[int | bytes]) -> RRsets:
        """Records of one name to RRsets: duplicates dropped (RFC 2181 §5), one TTL (§5.2), caps kept."""
        by_type: dict[int, dict[bytes, bytes]] = {}  # folded rdata -> rdata
        ttls: dict[int, int] = {}
        for i in range(0, len(fields), _FIELDS):
            rrtype, ttl, rdata = _integer(fields[i]), _integer(fields[i + 1]), fields[i + 2]
            assert isinstance(rdata, bytes)
            rdatas = by_type.setdefault(rrtype, {})
            key = folded(rrtype, rdata)
            if key in rdatas and rrtype != Type.SOA:
                self.problems.warning(
                    self.place(_integer(fields[i + 3])),
                    f"{names.to_text(owner)} {type_to_text(rrtype)}: the same record was given before; one is kept",
                )
            rdatas.setdefault(key, rdata)
            known = ttls.setdefault(rrtype, ttl)
            if ttl != known:
                ttls[rrtype] = min(known, ttl)
                self.problems.warning(
                    self.place(_integer(fields[i + 3])),
                    f"{names.to_text(owner)} {type_to_text(rrtype)}: TTL {ttl} differs from {known} in the same RRset "
                    f"(RFC 2181 §5.2); {min(known, ttl)} is used for all",
                )
        self._check_caps(owner, by_type)
        return tuple(RRset(rrtype, ttls[rrtype], tuple(rdatas.values())) for rrtype, rdatas in by_type.items())

    def _check_caps(self, owner: bytes, by_type: dict[int, dict[bytes, bytes]]) -> None:
        if len(by_type) > MAX_TYPES_PER_NAME:
            self.problems.error(
                self.place_of(owner, next(iter(by_type))),
                f"{names.to_text(owner)} has {len(by_type)} record types, at most {MAX_TYPES_PER_NAME} are possible",
            )
        room = MAX_MESSAGE_OCTETS - HEADER_OCTETS - len(owner) - 4
        for rrtype, rdatas in by_type.items():
            octets = sum(map(len, rdatas)) + FIXED_RR_OCTETS * len(rdatas)
            if octets > room:
                self.problems.error(
                    self.place_of(owner, rrtype),
                    f"{names.to_text(owner)} {type_to_text(rrtype)}: {len(rdatas)} records need {octets} octets; an "
                    f"answer holds at most {room}, so nobody could ever ask for them",
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


def _integer(field: int | bytes) -> int:
    assert isinstance(field, int)
    return field
