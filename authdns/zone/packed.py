"""What a Zone holds besides its names, and the index of its text, as octets: kept beside its image (answer/image.py),
so that it need not be read and built again.

For this machine and this Python only: marshal's format belongs to the interpreter. Whoever keeps the octets sees to it
that they are the same as before; marshal itself trusts them.
"""

import marshal
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from authdns.zone.denial import Nsec, Nsec3, Parameters
from authdns.zone.problem import Place, Problem, Problems, Severity
from authdns.zone.text_index import Chunk, State, TextIndex
from authdns.zone.zone import RRset, RRsets, Zone

Plain = Any  # what marshal knows: numbers, texts, octets, and tuples, lists and dictionaries of them


def pack(value: Plain) -> bytes:
    return marshal.dumps(value)


def unpack(octets: bytes | memoryview) -> Plain:
    """Raises ValueError, EOFError or TypeError."""
    return marshal.loads(octets)


def pack_zone(zone: Zone) -> Plain:
    """All but its names."""
    denial: Plain = None
    if isinstance(zone.denial, Nsec):
        denial = (None, list(zone.denial.owners))
    elif zone.denial is not None:
        denial = (tuple(zone.denial.parameters), list(zone.denial.owners))
    return {
        "apex": zone.apex,
        "longest": zone.longest,
        "spelling": dict(zone.spelling),
        "cuts": list(zone.cuts),
        "dnames": list(zone.dnames),
        "nsec3": [(owner, [tuple(rrset) for rrset in rrsets]) for owner, rrsets in zone.nsec3.items()],
        "denial": denial,
        "signed": zone.signed,
        "records": zone.records,
    }


def unpack_zone(plain: Plain, names: Mapping[bytes, RRsets]) -> Zone:
    denial: Nsec | Nsec3 | None = None
    if plain["denial"] is not None:
        parameters, owners = plain["denial"]
        denial = Nsec.of(owners) if parameters is None else Nsec3.of(Parameters(*parameters), owners)
    nsec3 = {owner: tuple(RRset(*rrset) for rrset in rrsets) for owner, rrsets in plain["nsec3"]}
    return Zone(
        apex=plain["apex"],
        names=names,
        longest=plain["longest"],
        spelling=MappingProxyType(plain["spelling"]),
        cuts=frozenset(plain["cuts"]),
        dnames=frozenset(plain["dnames"]),
        nsec3=MappingProxyType(nsec3),
        denial=denial,
        signed=plain["signed"],
        records=plain["records"],
    )


def pack_text(index: TextIndex) -> Plain:
    chunks = [(tuple(chunk.state), *chunk[1:]) for chunk in index.chunks]
    return chunks, tuple(index.end), index.ends_line, list(index.irregular)


def unpack_text(plain: Plain) -> TextIndex:
    chunks, end, ends_line, irregular = plain
    found = tuple(Chunk(State(*state), *others) for state, *others in chunks)
    return TextIndex(found, State(*end), ends_line, frozenset(irregular))


def pack_problems(problems: Problems) -> Plain:
    found = [(each.severity.value, *_place(each.place), each.message, each.text) for each in problems]
    return found, problems.errors, problems.left_out


def unpack_problems(plain: Plain) -> Problems:
    found, errors, left_out = plain
    problems = [Problem(Severity(kind), Place(*place), message, text) for kind, *place, message, text in found]
    return Problems(problems, errors, left_out)


def _place(place: Place) -> tuple[str, int, int]:
    return place.file, place.line, place.column
