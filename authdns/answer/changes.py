"""Whose answers changed from one version of a zone to another: what the engine must not answer from the image of the
earlier one.

A record is found at its owner; but whether a name exists decides what is answered for all names below it as well, a
zone cut or a DNAME hides them, and a wildcard answers for those beside it. So a changed name stands for itself and all
names below it, but for the apex, which stands for itself alone.

What answers hold of other names (targets of a CNAME behind the first link, additional records, the SOA and the proofs
of negative answers) is not looked at: that is of the earlier version for as long as its image is.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone.delta import Delta
from authdns.zone.zone import Zone

MAX_CHANGED_NAMES = 10_000  # with more, Python would have to answer for too much of the zone


class Changes(NamedTuple):
    """How a version of a zone stands to others. All that follow from one another are of one `line`, numbered. `names`:
    those that changed since the version that the image is of, with the number of the version that last changed each."""

    line: object
    number: int = 0
    names: Mapping[bytes, int] = {}

    def then(self, changed: Iterable[bytes]) -> "Changes | None":
        """Those of the next version. None if it is too much."""
        number = self.number + 1
        found = {**self.names, **dict.fromkeys(changed, number)}
        return None if len(found) > MAX_CHANGED_NAMES else Changes(self.line, number, found)

    def since(self, earlier: "Changes") -> "Changes | None":
        """The same, if the image is of that version. None if it is not of this line."""
        if self.line is not earlier.line:
            return None
        left = {name: number for name, number in self.names.items() if number > earlier.number}
        return self._replace(names=left)


def changed_names(before: Zone, after: Zone, deltas: Sequence[Delta]) -> frozenset[bytes] | None:
    """The names, in lower case. None if it is too much: more than MAX_CHANGED_NAMES, or all that is below the apex."""
    changed = {before.apex}
    seen = set()
    for record in chain.from_iterable((*delta.removed, *delta.added) for delta in deltas):
        owner = record.owner.lower()
        if owner == before.apex:
            if record.type == Type.DNAME:
                return None
            continue
        if owner in seen:
            continue
        seen.add(owner)
        name = _topmost(before, after, owner)
        if name is None:
            continue
        if name.startswith(names.WILDCARD_LABEL):  # the names that it covers are below the one above it
            name = names.parent(name)
            if name == before.apex:
                return None
        changed.add(name)
        if len(changed) > MAX_CHANGED_NAMES:
            return None
    return frozenset(changed)


def _topmost(before: Zone, after: Zone, owner: bytes) -> bytes | None:
    """The owner itself, or, if it has come or gone, the topmost name that came or went with it. None if it is no name
    of either version: the owner of an NSEC3, or one that was there only in between."""
    was, is_now = owner in before.names, owner in after.names
    if was and is_now:
        return owner
    if not was and not is_now:
        return None
    other = after if was else before
    while (above := names.parent(owner)) not in other.names:  # the apex is in both
        owner = above
    return owner
