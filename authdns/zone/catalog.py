"""Catalog zones (RFC 9432, version 2): a zone that lists zones. What is in one, what an update of one means for the
zones that are configured, and how one is made.

Nothing here configures anything. `read_catalog` gives the content of a catalog, or why it is broken; a broken one is
not processed, and what it said last goes on (§5.1). `decisions` compares the content with what is configured now and
says, zone by zone, what to do and why. It is told all that it needs each time and remembers nothing, so it may be asked
again at any time: what was carried out is not decided again, and a name that clashed is taken once it is free.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.rdata import name_at
from authdns.wire.types import Type
from authdns.zone.records import Record, build
from authdns.zone.zone import RRset, Zone, find_rrset

VERSION = b"2"
MAX_MEMBERS = 100_000  # of one catalog: whoever can write it could otherwise make us serve any number of zones
MAX_GROUPS = 16  # values of one member; there is one for each operator at most (§4.3.2)
MAX_GROUP_OCTETS = 255  # one character-string
MAX_REASONS = 10  # why a catalog is broken; a large one may be so in each of its members

_ZONES = b"\x05zones"
_VERSION = b"\x07version"
_GROUP = b"\x05group"
_COO = b"\x03coo"


class Member(NamedTuple):
    """A zone that a catalog lists. `label` is its node's own (`<unique-N>`, §4.1): another one means that all state of
    the zone is to be forgotten (§5.4). `coo` is the catalog that may take it over (§4.3.1). Names are lower-case wire
    names, `groups` sorted."""

    zone: bytes
    label: bytes
    groups: tuple[bytes, ...] = ()
    coo: bytes | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """`members` by zone."""

    apex: bytes
    members: Mapping[bytes, Member]


class Broken(NamedTuple):
    """Not to be processed (§5.1), for these reasons."""

    reasons: tuple[str, ...]


def read_catalog(zone: Zone) -> Catalog | Broken:
    """What a zone says as a catalog. Records that mean nothing to us are ignored (§3, §4.2)."""
    reasons = _Reasons()
    _check_version(zone, reasons)
    below = _ZONES + zone.apex
    nodes: dict[bytes, bytes] = {}  # member node's label -> zone
    groups: dict[bytes, tuple[bytes, ...]] = {}
    moving: dict[bytes, bytes] = {}
    for owner, rrsets in zone.owners():
        if len(owner) <= len(below) or not names.is_at_or_below(owner, below):
            continue
        labels = names.labels(owner[: len(owner) - len(below)] + names.ROOT)
        if len(labels) == 1:
            if ptr := find_rrset(rrsets, Type.PTR):
                _take_name(nodes, labels[0], owner, ptr, reasons)
        elif len(labels) == 2 and labels[0] == _GROUP[1:]:
            if txt := find_rrset(rrsets, Type.TXT):
                groups[labels[1]] = _groups(owner, txt, reasons)
        elif len(labels) == 2 and labels[0] == _COO[1:] and (ptr := find_rrset(rrsets, Type.PTR)):
            _take_name(moving, labels[1], owner, ptr, reasons)
    if len(nodes) > MAX_MEMBERS:
        reasons.add(f"it lists {len(nodes)} zones; at most {MAX_MEMBERS} are taken")
    members: dict[bytes, Member] = {}
    for label, name in nodes.items():
        first = members.setdefault(name, member := Member(name, label, groups.get(label, ()), moving.get(label)))
        if first is not member:  # §4.1
            first_node, node = names.label_to_text(first.label), names.label_to_text(label)
            reasons.add(f"{names.to_text(name)} is listed twice, by the nodes {first_node} and {node}")
    return Broken(reasons.all()) if reasons else Catalog(zone.apex, members)


class _Reasons:
    def __init__(self) -> None:
        self._found: list[str] = []
        self._left_out = 0

    def add(self, reason: str) -> None:
        if len(self._found) < MAX_REASONS:
            self._found.append(reason)
        else:
            self._left_out += 1

    def all(self) -> tuple[str, ...]:
        return (*self._found, *((f"and {self._left_out} more",) if self._left_out else ()))

    def __bool__(self) -> bool:
        return bool(self._found)


def _check_version(zone: Zone, reasons: _Reasons) -> None:
    """§4.2.1."""
    owner = _VERSION + zone.apex
    found = zone.rrset(owner, Type.TXT)
    if found is None:
        reasons.add(f'it is no catalog: expected {names.to_text(owner)} TXT "2", found no such record')
    elif len(found.rdatas) > 1:
        reasons.add(f"expected one TXT record at {names.to_text(owner)}, found {len(found.rdatas)}")
    elif _character_string(found.rdatas[0]) != VERSION:
        shown = _text(_character_string(found.rdatas[0]))
        reasons.add(f'{names.to_text(owner)}: expected version "2" (RFC 9432), found {shown}')


def _take_name(found: dict[bytes, bytes], label: bytes, owner: bytes, ptr: RRset, reasons: _Reasons) -> None:
    """The name in the one PTR record that there may be (§4.1, §4.3.1)."""
    if len(ptr.rdatas) > 1:
        reasons.add(f"expected one PTR record at {names.to_text(owner)}, found {len(ptr.rdatas)}")
    else:
        found[label] = name_at(ptr.rdatas[0]).lower()


def _groups(owner: bytes, txt: RRset, reasons: _Reasons) -> tuple[bytes, ...]:
    """A value of several character-strings is one that nobody here can have configured: not understood, so ignored
    (§4.3.2)."""
    if len(txt.rdatas) > MAX_GROUPS:
        reasons.add(f"{names.to_text(owner)} has {len(txt.rdatas)} values; at most {MAX_GROUPS} are taken")
        return ()
    values = map(_character_string, txt.rdatas)
    return tuple(sorted({value for value in values if value}))


def _character_string(rdata: bytes) -> bytes | None:
    """What TXT rdata of a single character-string holds (RFC 1035 §3.3.14)."""
    return rdata[1:] if rdata and len(rdata) == 1 + rdata[0] else None


def _text(value: bytes | None) -> str:
    return "several strings" if value is None else f'"{names.label_to_text(value)}"'


# What changed.


class Changes(NamedTuple):
    """From one version of a catalog to the next: members that came and went, those whose node has another label (all
    their state is to be forgotten, §5.4), and those with the same label and other properties. All as they are now, but
    for `removed`, as they were."""

    added: tuple[Member, ...]
    removed: tuple[Member, ...]
    reset: tuple[Member, ...]
    changed: tuple[Member, ...]


def changes(before: Mapping[bytes, Member], after: Mapping[bytes, Member]) -> Changes:
    """Both by zone."""
    common = [(before[zone], member) for zone, member in after.items() if zone in before]
    return Changes(
        added=tuple(member for zone, member in after.items() if zone not in before),
        removed=tuple(member for zone, member in before.items() if zone not in after),
        reset=tuple(now for was, now in common if was.label != now.label),
        changed=tuple(now for was, now in common if was.label == now.label and was != now),
    )


# What to do.


class Configured(NamedTuple):
    """How a zone came to be configured: by hand (None), or by `catalog`, as `member`."""

    catalog: bytes | None = None
    member: Member | None = None


BY_HAND = Configured()


class Action(Enum):
    ADD = "configure it"
    REMOVE = "no longer serve it, forget its state"
    RESET = "forget its state, configure it anew"
    CHANGE = "its groups or its coo changed"
    TAKE_OVER = "it belongs to this catalog now, with its state"
    TAKE_OVER_RESET = "it belongs to this catalog now; forget its state"
    LEAVE = "do nothing: it belongs to somebody else"


class Decision(NamedTuple):
    """`member` as it is now, None if it was removed. LEAVE is an error that the operator should hear of (§5.2)."""

    action: Action
    zone: bytes
    member: Member | None
    reason: str


def decisions(
    catalog: Catalog, configured: Mapping[bytes, Configured], catalogs: Mapping[bytes, Catalog]
) -> list[Decision]:
    """What is to be done after `catalog` was read, those that remove first.

    `configured` has each zone that is configured now, catalogs included; `catalogs` has, by apex, the content of the
    catalogs that are in order: not of one that is broken or has expired, for it has lost its meaning (§5.1).

    When a zone was removed, another catalog may list it, to which it was denied before: ask again for those that do.
    """
    found = list(_removals(catalog, configured))
    for zone, member in catalog.members.items():
        now = configured.get(zone)
        if now is None:
            found.append(Decision(Action.ADD, zone, member, f"{_name(catalog.apex)} lists it"))
        elif now.catalog == catalog.apex and now.member is not None:
            if member != now.member:
                found.append(_changed(catalog.apex, member, now.member))
        elif now.catalog is None or member.coo != now.catalog:  # else it was handed over, and is about to leave here
            found.append(_claimed(catalog.apex, member, now, catalogs))
    return found


def _removals(catalog: Catalog, configured: Mapping[bytes, Configured]) -> Iterator[Decision]:
    """§5.3: only what came from this very catalog."""
    for zone, now in configured.items():
        if now.catalog == catalog.apex and zone not in catalog.members:
            yield Decision(Action.REMOVE, zone, None, f"{_name(catalog.apex)} no longer lists it")


def _changed(apex: bytes, member: Member, before: Member) -> Decision:
    if member.label != before.label:
        was, now = names.label_to_text(before.label), names.label_to_text(member.label)
        reason = f"{_name(apex)} lists it as {now}, which was {was}: RFC 9432 §5.4"
        return Decision(Action.RESET, member.zone, member, reason)
    parts = []
    if member.groups != before.groups:
        parts.append(f"its groups are {_listed(member.groups)}, they were {_listed(before.groups)}")
    if member.coo != before.coo:
        parts.append("it stays" if member.coo is None else f"{_name(member.coo)} may take it over")
    return Decision(Action.CHANGE, member.zone, member, f"{_name(apex)}: {'; '.join(parts)}")


def _claimed(apex: bytes, member: Member, now: Configured, catalogs: Mapping[bytes, Catalog]) -> Decision:
    """A zone that somebody else has configured. It moves only if the catalog that has it, as it stands now, says so
    (§4.3.1); in all other cases the name clashes, and what is there stays (§5.2)."""
    zone = member.zone
    if now.catalog is None or now.member is None:
        reason = f"{_name(apex)} lists it, but it is in the configuration, which comes first"
        return Decision(Action.LEAVE, zone, member, reason)
    owner = catalogs.get(now.catalog)
    if owner is None:
        why = f"to which it belongs and which is not in order, so that it cannot hand it over to {_name(apex)}"
        return Decision(Action.LEAVE, zone, member, f"it stays with {_name(now.catalog)}, {why}")
    theirs = owner.members.get(zone)
    if theirs is None or theirs.coo != apex:
        target = None if theirs is None else theirs.coo
        has = "has no coo" if target is None else f"hands it over to {_name(target)}"
        why = f"{_name(apex)} lists it too, but {_name(now.catalog)} {has}"
        return Decision(Action.LEAVE, zone, member, f"it stays with {_name(now.catalog)}: {why}")
    reason = f"{_name(now.catalog)} hands it over to {_name(apex)}, which lists it (RFC 9432 §4.3.1)"
    if now.member.label == member.label:
        return Decision(Action.TAKE_OVER, zone, member, f"{reason}, under the same label: its state stays")
    return Decision(Action.TAKE_OVER_RESET, zone, member, f"{reason}, under another label: its state does not stay")


def _name(apex: bytes) -> str:
    return f"catalog {names.zone_text(apex)}"


def _listed(groups: tuple[bytes, ...]) -> str:
    return ", ".join(map(_text, groups)) or "none"


# Making one.

_INVALID = b"\x07invalid\0"  # §4: a name that is nobody's (RFC 6761 §6.4)
_RNAME = b"\x0ahostmaster" + _INVALID
# Seconds. A NOTIFY that was lost costs a consumer an hour; TTL 0 as in the examples of the RFC, nobody caches it.
_REFRESH, _RETRY, _EXPIRE, _MINIMUM, _TTL = 3600, 600, 28 * 24 * 3600, 0, 0
_LABEL_OCTETS = 16


def member_label(zone: bytes, life: int) -> bytes:
    """The label of a member's node. `life` counts how often the zone was removed and added again: consumers, which may
    not have seen it in between, must forget what they have of it (§5.4).

    A hash, not a random text that is kept: were what we keep lost, all secondaries would drop all zones. As it is, only
    the few that ever came back begin anew. The catalog's name is not part of it, so that a zone that moves from one of
    our catalogs to another takes its state with it (§4.3.1). And it is long: whoever may add zones, a customer perhaps,
    must not find two of the same label, which would break the catalog for all.
    """
    octets = blake2b(life.to_bytes(8, "big") + zone.lower(), digest_size=_LABEL_OCTETS).digest()
    return octets.hex().encode()


def make_catalog(apex: bytes, serial: int, members: Iterable[Member]) -> Zone:
    """The zone. Raises ValueError if the members make none."""
    return build(apex, _records(apex, serial, members))


def _records(apex: bytes, serial: int, members: Iterable[Member]) -> Iterator[Record]:
    numbers = (serial, _REFRESH, _RETRY, _EXPIRE, _MINIMUM)
    soa = b"".join((_INVALID, _RNAME, *(number.to_bytes(4, "big") for number in numbers)))
    yield Record(apex, Type.SOA, _TTL, soa)
    yield Record(apex, Type.NS, _TTL, _INVALID)
    yield Record(_VERSION + apex, Type.TXT, _TTL, _as_string(VERSION))
    for member in members:
        node = bytes((len(member.label),)) + member.label + _ZONES + apex
        yield Record(node, Type.PTR, _TTL, member.zone)
        for group in member.groups:
            yield Record(_GROUP + node, Type.TXT, _TTL, _as_string(group))
        if member.coo is not None:
            yield Record(_COO + node, Type.PTR, _TTL, member.coo)


def _as_string(value: bytes) -> bytes:
    return bytes((len(value),)) + value
