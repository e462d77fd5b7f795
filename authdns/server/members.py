"""The catalogs of others that are read here (RFC 9432): what they list is served, as secondary zones.

A catalog is transferred as every secondary zone; `arrived` is told of each version that is served, `look` says what has
to be done for it. What was done is in the store, so that at a start all members are served before any primary has
answered, and whatever the catalog says by then: one that is broken or has expired changes nothing (§5.1).

What a catalog takes away is gone everywhere within seconds, so a mistake there would be, too: a producer that lost its
list says that there are no zones any more. A version that takes away most of the members is held back for a day, unless
the operator agrees (SIGHUP). Zones that have to go go a day later; those that had not to were never gone.
"""

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from authdns.config import ConfiguredZone
from authdns.server import clock
from authdns.server.events import about
from authdns.server.log import log
from authdns.store import Listed, Store
from authdns.wire import name as names
from authdns.zone.catalog import (
    BY_HAND,
    Action,
    Broken,
    Catalog,
    Configured,
    Decision,
    Member,
    decisions,
    read_catalog,
)
from authdns.zone.zone import Zone

# A version of a catalog that takes away so many of its members at least, and more than this share of them, is held.
MASS_REMOVAL, MASS_SHARE = 10, 0.5
HOLD_SECONDS = 24 * 3600.0  # in one run of the server
MAX_LINES = 100  # of the log, of one version of a catalog: in each of them a zone is named

_ROUNDS = 2  # what one catalog let go another may have been waiting for
_TAKES_AWAY = (Action.REMOVE, Action.RESET)


class Steps(NamedTuple):
    """What is to be done, in this order: zones that are no longer served; those that begin anew, without what was kept
    of them (they are in `configured`, too); those that are new or configured otherwise."""

    withdrawn: Collection[bytes] = ()
    reset: Collection[bytes] = ()
    configured: Mapping[bytes, ConfiguredZone] = {}


NOTHING = Steps()


@dataclass(slots=True)
class _Version:
    """A version of a catalog as it was read; whether it was `told` that it is held."""

    zone: Zone
    content: Catalog | Broken
    told: bool = False


class Members:
    """The members of all catalogs. `look` runs in the worker, the rest on the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed: dict[bytes, Configured] | None = None  # as in the store; None: not read yet
        self._configured: dict[bytes, ConfiguredZone] = {}
        self._arrived: dict[bytes, Zone] = {}
        self._versions: dict[bytes, _Version] = {}
        self._held_since: dict[bytes, float] = {}  # of each catalog: seconds since the machine was started
        self._clashes: dict[bytes, set[bytes]] = {}  # of each catalog: the zones that it cannot have
        self._news = 0  # counts what has arrived
        self._seen: object = None  # of what the last decisions were made

    def arrived(self, catalog: bytes, zone: Zone | None) -> None:
        """That version of a catalog is served; None: none is any more, it has expired."""
        self._news += 1
        if zone is None:
            self._arrived.pop(catalog, None)
        else:
            self._arrived[catalog] = zone

    def lists(self, zone: bytes) -> bool:
        """Whether some catalog that is in order does, whoever has configured the zone."""
        contents = [version.content for version in self._versions.values()]
        return any(isinstance(content, Catalog) and zone in content.members for content in contents)

    def error(self, catalog: bytes) -> str | None:
        """Why its version that is served is not followed, or not in all. For any thread."""
        version = self._versions.get(catalog)
        if version is not None and isinstance(version.content, Broken):
            return "; ".join(version.content.reasons)
        return "it takes most members away" if catalog in self._held_since else None

    def look(self, configured: Mapping[bytes, ConfiguredZone], *, agreed: bool) -> Steps:
        """What has to be done, given all zones that are `configured` now, members as well. `agreed`: even if most
        members are taken away. It counts as done."""
        catalogs = {apex: zone for apex, zone in configured.items() if zone.members is not None}
        if not catalogs and self._listed is not None and not self._listed:
            return NOTHING
        by_hand = {apex for apex, zone in configured.items() if zone.catalog is None}
        seen = (by_hand, catalogs, self._news)
        if seen == self._seen and not self._held_since:
            return NOTHING
        self._seen = seen
        before = self._read_listed() if self._listed is None else self._listed
        contents = self._contents(catalogs)
        now = dict.fromkeys(by_hand, BY_HAND)
        now.update((zone, how) for zone, how in before.items() if zone not in by_hand and how.catalog in catalogs)
        for apex in {how.catalog for how in before.values() if how.catalog is not None} - catalogs.keys():
            number = sum(how.catalog == apex for how in before.values())
            log.warning("%s is no longer configured: its members go (%d)", _name(apex), number, extra=about(apex))
        begun_anew = self._decide(contents, now, before, agreed)
        after = {zone: how for zone, how in now.items() if how.catalog is not None}
        gone = [zone for zone in before if zone not in now]
        self._record(before, after, [*gone, *begun_anew])
        self._listed = after
        return self._steps(after, catalogs, gone, begun_anew)

    def _contents(self, catalogs: Mapping[bytes, ConfiguredZone]) -> dict[bytes, Catalog]:
        """Of those that are in order. Why one is not is said once for each version."""
        for apex in [*self._versions]:
            if self._arrived.get(apex) is None or apex not in catalogs:
                del self._versions[apex]
        found = {}
        for apex in catalogs:
            zone = self._arrived.get(apex)
            if zone is None:
                continue
            version = self._versions.get(apex)
            if version is None or version.zone is not zone:
                version = self._versions[apex] = _Version(zone, read_catalog(zone))
                if isinstance(version.content, Broken):
                    log.error(
                        "%s: serial %d is broken and not processed (RFC 9432 §5.1), its members stay as they are: %s",
                        _name(apex),
                        zone.soa.serial,
                        "; ".join(version.content.reasons),
                        extra=about(apex),
                    )
            if isinstance(version.content, Catalog):
                found[apex] = version.content
        return found

    def _decide(
        self,
        contents: Mapping[bytes, Catalog],
        now: dict[bytes, Configured],
        before: Mapping[bytes, Configured],
        agreed: bool,
    ) -> set[bytes]:
        """Carries the decisions out in `now`. Returns the zones whose state must not stay."""
        begun_anew: set[bytes] = set()
        for apex in self._held_since.keys() - contents.keys():
            del self._held_since[apex]
        for _ in range(_ROUNDS):
            freed = False
            for apex, content in contents.items():
                found = decisions(content, now, contents)
                if not self._may_take_away(apex, found, now, agreed):
                    found = [decision for decision in found if decision.action not in _TAKES_AWAY]
                for decision in found:
                    action, zone, member, _ = decision
                    if action is Action.LEAVE or member is None:
                        continue
                    now[zone] = Configured(apex, member)
                    if action in (Action.RESET, Action.TAKE_OVER_RESET) or (action is Action.ADD and zone in before):
                        begun_anew.add(zone)
                for decision in found:
                    if decision.action is Action.REMOVE:
                        del now[decision.zone]
                        freed = True
                self._tell(apex, found, now)
            if not freed:
                break
        return begun_anew

    def _may_take_away(self, apex: bytes, found: list[Decision], now: Mapping[bytes, Configured], agreed: bool) -> bool:
        """False as long as most of the members would be taken away, for a day."""
        number = sum(decision.action in _TAKES_AWAY for decision in found)
        members = sum(how.catalog == apex for how in now.values()) if number >= MASS_REMOVAL else 0
        if number < MASS_REMOVAL or number <= members * MASS_SHARE:
            self._held_since.pop(apex, None)
            return True
        version = self._versions[apex]
        what = f"{_name(apex)}: serial {version.zone.soa.serial} takes away {number} of {members} members"
        since = self._held_since.setdefault(apex, clock.since_boot())
        if agreed or clock.since_boot() - since >= HOLD_SECONDS:
            del self._held_since[apex]
            why = "and SIGHUP says that they go" if agreed else "for a day now: they go"
            log.warning("%s, %s", what, why, extra=about(apex))
            return True
        if not version.told:
            version.told = True
            log.error(
                "%s: they stay for %d hours, so that it can be mended; if it is meant, send SIGHUP and they go at once",
                what,
                HOLD_SECONDS // 3600,
                extra=about(apex),
            )
        return False

    def _tell(self, apex: bytes, found: list[Decision], now: Mapping[bytes, Configured]) -> None:
        """Of clashes each once, until it is over."""
        known = self._clashes.get(apex, set())
        news = [decision for decision in found if decision.action is not Action.LEAVE or decision.zone not in known]
        self._clashes[apex] = {decision.zone for decision in found if decision.action is Action.LEAVE}
        if not news:
            return
        for decision in news[:MAX_LINES]:
            level = log.error if decision.action is Action.LEAVE else log.info
            what = f"{decision.action.value}: {decision.reason}"
            level("zone %s/IN: %s", names.zone_text(decision.zone), what, extra=about(decision.zone))
        numbers = {action: sum(decision.action is action for decision in news) for action in Action}
        lost = sum(numbers[action] for action in _TAKES_AWAY)
        (log.warning if lost else log.info)(
            "%s: serial %d is applied: %d members, %s",
            _name(apex),
            self._versions[apex].zone.soa.serial,
            sum(how.catalog == apex for how in now.values()),
            ", ".join(f"{number} {_DONE[action]}" for action, number in numbers.items() if number),
            extra=about(apex),
        )

    def _steps(
        self,
        after: Mapping[bytes, Configured],
        catalogs: Mapping[bytes, ConfiguredZone],
        gone: Collection[bytes],
        begun_anew: Collection[bytes],
    ) -> Steps:
        found: dict[bytes, ConfiguredZone] = {}
        changed: dict[bytes, ConfiguredZone] = {}
        for zone, how in after.items():
            made = _configured(zone, how, catalogs)
            known = self._configured.get(zone)
            if known == made:
                made = known
            if made is not known or zone in begun_anew:
                changed[zone] = made
            found[zone] = made
        self._configured = found
        return Steps(tuple(gone), begun_anew, changed) if gone or changed else NOTHING

    # The store.

    def _read_listed(self) -> dict[bytes, Configured]:
        try:
            rows = self._store.listed()
        except sqlite3.Error as error:
            log.error("cannot read %s: %s; members of catalogs come once these have", self._store.path, error)
            return {}
        return {
            zone: Configured(row.catalog, Member(zone, row.label, row.groups, row.coo)) for zone, row in rows.items()
        }

    def _record(
        self, before: Mapping[bytes, Configured], after: Mapping[bytes, Configured], forgotten: Collection[bytes]
    ) -> None:
        """Before it is carried out: should the process end in between, the next one finds what was decided."""
        changed = {zone: _row(how) for zone, how in after.items() if before.get(zone) != how}
        dropped = [zone for zone in before if zone not in after]
        if not changed and not dropped and not forgotten:
            return
        try:
            self._store.record_listed(changed, dropped, forgotten)
        except sqlite3.Error as error:
            log.error(
                "cannot write %s: %s; at the next start the members of catalogs are those of before",
                self._store.path,
                error,
            )


_DONE = {
    Action.ADD: "new",
    Action.REMOVE: "removed",
    Action.RESET: "begin anew",
    Action.CHANGE: "changed",
    Action.TAKE_OVER: "taken over",
    Action.TAKE_OVER_RESET: "taken over and begin anew",
    Action.LEAVE: "left alone, for their names clash",
}


def _configured(zone: bytes, how: Configured, catalogs: Mapping[bytes, ConfiguredZone]) -> ConfiguredZone:
    assert how.catalog is not None, "it is a member"
    assert how.member is not None, "it is a member"
    catalog = catalogs[how.catalog]
    assert catalog.members is not None, "or it would be none of `catalogs`"
    settings = catalog.members.of(how.member.groups)
    return ConfiguredZone(
        zone,
        None,
        settings.policy,
        settings.where,
        settings.primaries,
        settings.allow_notify,
        catalog=how.catalog,
    )


def _row(how: Configured) -> Listed:
    assert how.catalog is not None, "it is a member"
    assert how.member is not None, "it is a member"
    return Listed(how.catalog, how.member.label, how.member.groups, how.member.coo)


def _name(apex: bytes) -> str:
    return f"catalog {names.zone_text(apex)}"
