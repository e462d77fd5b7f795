"""A zone's compiled answers as one flat buffer, for the engine (answer/native).

The layout is that of native/engine.h: little-endian, offsets from the start. A node for each name that exists, and
behind it what belongs to it alone: its tables (type -> plan) and plans. What many classes share is written once. What
the engine cannot make from an image, it declines, and its place in a table holds 0: names below a DNAME. The records of
each name are in it as well, so that a zone can be read back from its image.
"""

import re
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping
from hashlib import blake2b
from struct import Struct, pack, unpack
from typing import Protocol

from authdns.answer.classes import OTHER, representative_below, types_that_matter
from authdns.answer.compiler import Compiler, OpenPlan, Plan
from authdns.answer.lookup import MAX_CHAIN, PROOFS, Found, find, hidden
from authdns.wire import name as names
from authdns.wire.message import Stop
from authdns.wire.rdata import COMPRESSIBLE, TARGET_OFFSET
from authdns.wire.types import Class, Flag, Type
from authdns.zone.denial import HASH_OCTETS, Nsec, Nsec3
from authdns.zone.zone import RRsets, Zone

MAGIC = b"authdns\2"
MAX_OCTETS = 1 << 32  # offsets have 32 bits
DECLINED = 0  # in the place of an offset
_ALONE, _PLAIN = 1, 2  # kinds of nodes
_NAMES_AT_ONCE = 500

# Types whose answers hold more than their own records, or names to compress; and those that do not answer for ANY.
_NOT_PLAIN = frozenset((*TARGET_OFFSET, *COMPRESSIBLE, *PROOFS, Type.RRSIG, Type.DNAME))
_PLAIN_OCTETS = 16384  # of an RRset; larger ones may fit into no response

_HEADER = Struct("<8sIIIIIHHBB")
_NODE = Struct("<IIIIIBB")
_COUNT = Struct("<H")
_ENTRY = Struct("<IH")
_PLAN = Struct("<HHHHIH")
_STOP = Struct("<I3HBx")
_OPEN = Struct("<IHHH")
_PROOF = Struct("<IIIHH")
_SIZE = Struct("<H")
_RRSET = Struct("<HHI")


def write_image(zone: Zone) -> memoryview:
    """The image of a zone, read-only. Raises OverflowError if it is too large for one."""
    return _Writer(zone).image()


class Image(Protocol):
    """What the engine makes of it (native/_native.pyi)."""

    def __contains__(self, name: object) -> bool: ...

    def __len__(self) -> int: ...

    def get(self, name: bytes) -> RRsets | None: ...

    def after(self, name: bytes | None, most: int) -> list[tuple[bytes, RRsets]]: ...

    def names_after(self, name: bytes | None, most: int) -> list[bytes]: ...

    def with_changes(self, names: Collection[bytes]) -> "Image": ...


class ImageNames(Mapping[bytes, RRsets]):
    """The names of a zone, read from its image: a million of them in dictionaries take four times as much memory."""

    def __init__(self, image: Image) -> None:
        self._image = image

    def __getitem__(self, name: bytes) -> RRsets:
        found = self._image.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._image

    def __len__(self) -> int:
        return len(self._image)

    def __iter__(self) -> Iterator[bytes]:
        last = None
        while found := self._image.names_after(last, _NAMES_AT_ONCE):
            yield from found
            last = found[-1]

    def items(self) -> ItemsView[bytes, RRsets]:
        return _Items(self)

    def rows(self) -> Iterator[tuple[bytes, RRsets]]:
        last = None
        while rows := self._image.after(last, _NAMES_AT_ONCE):
            yield from rows
            last = rows[-1][0]


class _Items(ItemsView[bytes, RRsets]):
    _mapping: ImageNames

    def __iter__(self) -> Iterator[tuple[bytes, RRsets]]:
        return self._mapping.rows()


class _Writer:
    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._out = bytearray()
        self._compilers = [Compiler(zone, dnssec_ok=False)]
        if zone.signed:
            self._compilers.append(Compiler(zone, dnssec_ok=True))
        self._shared: dict[bytes, int] = {}  # digest of what is not for one name alone -> its offset
        self._places: dict[bytes, int] = {}  # owner -> its place in the chain
        self._exceptions: set[bytes] = set()  # names that do not exist, but have answers of their own
        self._left: list[bytes] = []  # of those, to be written
        self._negative: tuple[bytes, int] | None = None  # of plain names: the entry of OTHER, and the table below

    def image(self) -> memoryview:
        zone = self._zone
        salt = zone.denial.parameters.salt if isinstance(zone.denial, Nsec3) else b""
        out = self._out
        out += bytes(_HEADER.size) + zone.apex + salt
        proofs_at, key_octets, iterations = self._write_chain()
        first, nodes = len(out), len(zone.names)
        for name in zone.names:
            self._write_node(name)
        while self._left:
            self._write_node(self._left.pop(), alone=True)
            nodes += 1
        if len(out) >= MAX_OCTETS:
            raise OverflowError(f"the image of {names.zone_text(zone.apex)} would be larger than 4 GiB")
        header = (nodes, first, proofs_at, len(self._places), key_octets, iterations, len(salt), len(zone.apex))
        _HEADER.pack_into(out, 0, MAGIC, len(out), *header)
        return memoryview(out).toreadonly()

    def _write_chain(self) -> tuple[int, int, int]:
        """The proofs in the order of their keys; returns where they are, how long keys are, and iterations."""
        denial = self._zone.denial
        if denial is None:
            return 0, 0, 0
        if isinstance(denial, Nsec):
            keys: Iterable[bytes] = denial.keys
            key_octets, iterations = 0, 0
        else:
            keys = (number.to_bytes(HASH_OCTETS, "big") for number in denial.hashes)
            key_octets, iterations = HASH_OCTETS, denial.parameters.iterations
        out = self._out
        rows = []
        for place, (key, owner) in enumerate(zip(keys, denial.owners, strict=True)):
            records = self._compilers[-1].proof(owner)
            at = len(out)
            out += key + owner
            rows.append(_PROOF.pack(at, at + len(key) + len(owner), at + len(key), len(key), len(records)))
            for record in records:
                out += _SIZE.pack(len(record)) + record
            self._places[owner] = place
        proofs_at = len(out)
        out += b"".join(rows)
        return proofs_at, key_octets, iterations

    def _write_node(self, name: bytes, alone: bool = False) -> None:
        out = self._out
        at = len(out)
        out += bytes(_NODE.size) + name
        below = None if alone or self._leads_away(name) else self._name_below(name)
        plain = below is not None and self._is_plain(name)
        if not plain and not alone:
            self._write_records(self._zone.names[name])
        views = []
        for compiler in self._compilers:
            if plain and compiler is self._compilers[0]:
                views.append(self._plain_tables(name))
            else:
                views.append(self._tables(compiler, name, below))
        (at_plain, below_plain), (at_do, below_do) = views[0], views[-1]
        flags = (alone and _ALONE) | (plain and _PLAIN)
        _NODE.pack_into(out, at, len(out) - at, at_plain, at_do, below_plain, below_do, flags, len(name))

    def _write_records(self, rrsets: RRsets) -> None:
        out = self._out
        out += _COUNT.pack(len(rrsets))
        for rrtype, ttl, rdatas in rrsets:
            out += _RRSET.pack(rrtype, len(rdatas), ttl)
            for rdata in rdatas:
                out += _SIZE.pack(len(rdata)) + rdata

    def _is_plain(self, name: bytes) -> bool:
        """Whether it has data that leads nowhere, no wildcard, and nothing hides it: most names of most zones. Without
        DO, what such names do not have, and all names below them, have the same answers."""
        zone = self._zone
        rrsets = zone.names[name]
        if not rrsets or names.WILDCARD_LABEL + name in zone.names:
            return False
        for rrtype, _, rdatas in rrsets:
            if rrtype in _NOT_PLAIN or sum(map(len, rdatas)) + 12 * len(rdatas) > _PLAIN_OCTETS:
                return False
        return not (zone.cuts or zone.dnames) or find(zone, name, OTHER).found is Found.EXACT

    def _plain_tables(self, name: bytes) -> tuple[int, int]:
        """The same as `_tables`, for one of many."""
        if self._negative is None:
            compiler, below = self._compilers[0], representative_below(self._zone, name)
            assert below is not None, "a plain name has names below it"
            no_data = self._plan(compiler.plan(name, OTHER), name)
            self._negative = _ENTRY.pack(no_data, OTHER), self._table(compiler, below, name)
        no_data_entry, no_name_table = self._negative
        out = self._out
        found = [no_data_entry]
        first = DECLINED
        for rrtype, ttl, rdatas in self._zone.names[name]:
            fixed = b"\xc0\x0c" + (rrtype << 48 | Class.IN << 32 | ttl).to_bytes(8, "big")
            body = b"".join([fixed + len(rdata).to_bytes(2, "big") + rdata for rdata in rdatas])
            plan = len(out)
            out += _PLAN.pack(Flag.QR | Flag.AA, len(name), 0, 2, len(body), 0)
            out += _STOP.pack(0, 0, 0, 0, True) + _STOP.pack(len(body), len(rdatas), 0, 0, False) + body
            found.append(_ENTRY.pack(plan, rrtype))
            first = first or plan
        found.append(_ENTRY.pack(first, Type.ANY))
        table = len(out)
        out += _COUNT.pack(len(found)) + b"".join(found)
        return table, no_name_table

    def _tables(self, compiler: Compiler, name: bytes, below: bytes | None) -> tuple[int, int]:
        """The offsets of the tables of the name itself and of the names below it."""
        return self._table(compiler, name, name), DECLINED if below is None else self._table(compiler, below, name)

    def _name_below(self, name: bytes) -> bytes | None:
        """A name below it that does not exist and has the answers of all others."""
        below = representative_below(self._zone, name)
        if below is None or names.WILDCARD_LABEL + name not in self._zone.names:
            return below
        exceptions: set[bytes] = set()
        for _ in range(MAX_CHAIN):
            exceptions.update(self._compilers[0].plan(below, OTHER).exceptions)
            if below not in exceptions:
                break
            below = representative_below(self._zone, name, exceptions)
            if below is None:
                break
        return below

    def _leads_away(self, name: bytes) -> bool:
        """Whether the names below it are moved by a DNAME."""
        match = hidden(self._zone, name) if self._zone.dnames else None
        return match is not None and match.found is Found.DNAME

    def _table(self, compiler: Compiler, qname: bytes, node: bytes) -> int:
        found = []
        for qtype in (OTHER, *types_that_matter(self._zone, qname)):
            plan = compiler.plan(qname, qtype)
            for name in plan.exceptions:
                if name not in self._zone.names and name not in self._exceptions:
                    self._exceptions.add(name)
                    self._left.append(name)
            known = qname == node or qname not in plan.exceptions
            found.append(_ENTRY.pack(self._plan(plan, qname) if known else DECLINED, qtype))
        return self._write(_COUNT.pack(len(found)) + b"".join(found), shared=qname != node)

    def _plan(self, plan: Plan, qname: bytes) -> int:
        more = b""
        pointers = _offsets(plan.ones, plan.octets)
        if isinstance(plan, OpenPlan):
            if plan.moved:
                return DECLINED
            body = plan.image.to_bytes(plan.octets, "big")
            pushed = _offsets(plan.pushed, plan.octets)
            proven = [self._places[owner] for owner in plan.proven if owner in self._places]
            more = _OPEN.pack(plan.opening, plan.number, len(proven), len(pushed))
            more += pack(f"<{len(proven)}I{len(pushed)}H", *proven, *pushed)
        else:
            body = plan.body(plan.base_octets)
        flags, _, *counts = unpack(">5H", plan.heads[0])
        stops = plan.stops or (Stop(0, (0, 0, 0), True), Stop(plan.octets, (counts[0], counts[1], counts[2]), False))
        head = _PLAN.pack(flags, plan.base_octets, len(pointers), len(stops), plan.octets, bool(more))
        head += pack(f"<{len(pointers)}H", *pointers)
        head += b"".join(_STOP.pack(octets, *counts, truncated) for octets, counts, truncated in stops)
        return self._write(head + more + body, shared=plan.base_octets < len(qname))

    def _write(self, octets: bytes, *, shared: bool) -> int:
        """Appends it, or finds it: what is `shared` is looked for everywhere, else nowhere."""
        if not shared:
            self._out += octets
            return len(self._out) - len(octets)
        key = blake2b(octets, digest_size=16).digest()
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = len(self._out)
            self._out += octets
        return found


def _offsets(ones: int, octets: int) -> list[int]:
    """Where the pointers are that a Plan keeps as ones in their last octets."""
    return [match.start() - 1 for match in re.finditer(b"\1", ones.to_bytes(octets, "big"))]
