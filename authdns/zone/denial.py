"""The chain with which a signed zone proves that something does not exist: NSEC (RFC 4034 §4) or NSEC3 (RFC 5155).

Both kinds answer the same two questions about a name, with the owner of the record that proves it: `matching` (the
record of the name itself, which lists its types) and `covering` (the record in whose interval the name would lie).
What must be proved for which answer is not said here but in answer/lookup.

A chain is read off the zone as it came. A gap in it is the signer's fault; then the nearest record is what we have.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple, TypeVar

from authdns.wire import name as names

Key = TypeVar("Key", bytes, int)

HASH_OCTETS = 20
SHA1 = 1  # the only hash there is (RFC 5155 §11)
_HASH_LABEL_OCTETS = 32  # 160 bits in base32hex
_BASE32HEX = frozenset(b"0123456789abcdefghijklmnopqrstuv")


@dataclass(frozen=True, slots=True, eq=False)
class Nsec:
    """`owners` of NSEC in canonical order (RFC 4034 §6.1), and the same as keys to search in."""

    keys: Sequence[bytes]
    owners: Sequence[bytes]

    @classmethod
    def of(cls, owners: Iterable[bytes]) -> "Nsec":
        pairs = sorted((names.canonical_key(owner), owner) for owner in owners)
        return cls([key for key, _ in pairs], [owner for _, owner in pairs])

    def edited(self, gone: Iterable[bytes], come: Iterable[bytes]) -> "Nsec":
        """Without the owners `gone`, which are in it, and with `come`, which are not."""
        keys = names.canonical_key
        return Nsec(*_edited(self.keys, self.owners, [(keys(o), o) for o in gone], [(keys(o), o) for o in come]))

    def matching(self, name: bytes) -> bytes | None:
        owner = self.covering(name)
        return owner if owner == name else None

    def covering(self, name: bytes) -> bytes:
        """The owner at or before the name; before the first one (which no complete chain has) the last one."""
        return self.owners[bisect_right(self.keys, names.canonical_key(name)) - 1]


class Parameters(NamedTuple):
    """How an NSEC3 chain hashes: the first fields of NSEC3 and NSEC3PARAM but the flags (RFC 5155 §3.1, §4.1)."""

    algorithm: int
    iterations: int
    salt: bytes


def nsec3_parameters(rdata: bytes) -> Parameters:
    return Parameters(rdata[0], int.from_bytes(rdata[2:4], "big"), rdata[5 : 5 + rdata[4]])


@dataclass(frozen=True, slots=True, eq=False)
class Nsec3:
    """One chain: the hashes of its owners as numbers, sorted, and the `owners` in the same order."""

    parameters: Parameters
    hashes: Sequence[int]
    owners: Sequence[bytes]

    @classmethod
    def of(cls, parameters: Parameters, owners: Iterable[bytes]) -> "Nsec3":
        """`owners` are lower-case names whose first label is a hash (see `is_hashed`)."""
        pairs = sorted((_number(owner), owner) for owner in owners)
        return cls(parameters, [number for number, _ in pairs], [owner for _, owner in pairs])

    def edited(self, gone: Iterable[bytes], come: Iterable[bytes]) -> "Nsec3":
        """Without the owners `gone`, which are in it, and with `come`, which are not."""
        pairs = [(_number(o), o) for o in gone], [(_number(o), o) for o in come]
        return Nsec3(self.parameters, *_edited(self.hashes, self.owners, *pairs))

    def matching(self, name: bytes) -> bytes | None:
        number = _known_hash(self.parameters, name)
        found = bisect_right(self.hashes, number) - 1
        return self.owners[found] if self.hashes[found] == number else None

    def covering(self, name: bytes) -> bytes:
        """The owner whose hash is at or before that of the name; the last one goes round to the first."""
        hashed = _known_hash if name.startswith(names.WILDCARD_LABEL) else nsec3_hash
        return self.owners[bisect_right(self.hashes, hashed(self.parameters, name)) - 1]


def _edited(
    keys: Sequence[Key], owners: Sequence[bytes], gone: list[tuple[Key, bytes]], come: list[tuple[Key, bytes]]
) -> tuple[list[Key], list[bytes]]:
    """Two parallel lists with changes, in one run: an insertion into a list of a million costs a millisecond."""
    removals = [(bisect_left(keys, key), key, False, owner) for key, owner in gone]
    additions = [(bisect_left(keys, key), key, True, owner) for key, owner in come]
    new_keys: list[Key] = []
    new_owners: list[bytes] = []
    done = 0
    for place, key, is_new, owner in sorted(removals + additions):
        new_keys += keys[done:place]
        new_owners += owners[done:place]
        done = place
        if is_new:
            new_keys.append(key)
            new_owners.append(owner)
        else:
            done += 1
    new_keys += keys[done:]
    new_owners += owners[done:]
    return new_keys, new_owners


def _number(owner: bytes) -> int:
    """The hash in the first label."""
    return int(owner[1 : 1 + _HASH_LABEL_OCTETS], 32)


def nsec3_hash(parameters: Parameters, name: bytes) -> int:
    """RFC 5155 §5; base32hex (RFC 4648 §7) keeps the order, so numbers do as well."""
    _, iterations, salt = parameters
    digest = sha1(name + salt, usedforsecurity=False).digest()
    for _ in range(iterations):
        digest = sha1(digest + salt, usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


# Of names that exist, and of wildcards, which come back; the next closer names of strangers do not.
_known_hash = lru_cache(maxsize=4096)(nsec3_hash)


def is_hashed(owner: bytes, apex: bytes) -> bool:
    """Whether a lower-case name is a hash directly below the apex, as the owner of an NSEC3 is (RFC 5155 §3)."""
    label = owner[1 : 1 + _HASH_LABEL_OCTETS]
    return owner[0] == _HASH_LABEL_OCTETS and owner[1 + _HASH_LABEL_OCTETS :] == apex and _BASE32HEX.issuperset(label)
