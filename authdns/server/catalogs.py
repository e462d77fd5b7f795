"""The catalogs that are made here (RFC 9432): from the zones that are configured, a zone that lists them.

To server/zones a catalog is one more zone to read, with the list in the place of a file; so it is published, announced,
kept and transferred as every other. All of this runs in the worker.

A zone is a member for as long as it is configured, whether it can be loaded or not: that its file is broken is no
reason for a whole fleet to forget it. And no member is removed at a start as long as a folder cannot be read: the
catalog is then served as it was published last.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from authdns.answer.executor import PrivateZone, ServedZone
from authdns.config import ConfiguredZone
from authdns.server.log import log
from authdns.store import Life, Store
from authdns.wire import name as names
from authdns.wire.serial import risen
from authdns.zone.catalog import MAX_MEMBERS, Member, make_catalog, member_label
from authdns.zone.digest import content_digest
from authdns.zone.problem import Place, Problems
from authdns.zone.zone import Zone

Listed = Mapping[bytes, tuple[tuple[bytes, ...], bytes | None]]  # zone -> its groups, the catalog that may take it over


class _Made(NamedTuple):
    """What a catalog was made of. `held`: what was published last is served in its place."""

    listed: Listed
    held: bool


class Catalogs:
    """`last_published` gives the version of a zone that was published last, by this process or the one before."""

    def __init__(self, store: Store, last_published: Callable[[bytes], Zone | None]) -> None:
        self._store = store
        self._last_published = last_published
        self._made: dict[bytes, _Made] = {}
        self._lives: dict[bytes, dict[bytes, Life]] = {}

    def is_stale(self, catalog: bytes, zones: Mapping[bytes, ConfiguredZone], *, complete: bool) -> bool:
        """Whether it lists something else than what these zones say; see `make`."""
        made = self._made.get(catalog)
        return made is None or made.listed != listed(catalog, zones) or (made.held and complete)

    def make(
        self, catalog: ConfiguredZone, zones: Mapping[bytes, ConfiguredZone], now: ServedZone | None, *, complete: bool
    ) -> tuple[ServedZone | None, Problems]:
        """The catalog of these zones; `now` is what is served of it. Unless they are known to be all that there are
        (`complete`), none is removed because it is not among them."""
        apex = catalog.name.lower()
        problems, place = Problems(), Place(str(catalog.entry))
        wanted = listed(apex, zones)
        lives = self._lives_of(apex)
        missing = [zone for zone, life in lives.items() if life.listed and zone not in zones]
        held = bool(missing) and not complete
        self._made[apex] = _Made(wanted, held)
        if held:
            problems.error(
                place,
                f"the catalog lists {_these(missing)}, which cannot be found, but a folder of zones cannot be read, or "
                "no zone at all was found: the catalog stays as it was until then",
            )
            return now or self._restored(apex), problems
        self._record(apex, lives, _changed(lives, wanted))
        members = [
            Member(zone, member_label(zone, lives[zone].number), *properties) for zone, properties in wanted.items()
        ]
        if len(members) > MAX_MEMBERS:
            problems.warning(place, f"the catalog lists {len(members)} zones; authdns takes at most {MAX_MEMBERS}")
        return self._numbered(apex, members, now), problems

    def forget(self, catalog: bytes) -> None:
        """It is no longer made; should it be again, it begins with what is in the store."""
        self._made.pop(catalog, None)
        self._lives.pop(catalog, None)

    def _numbered(self, apex: bytes, members: list[Member], now: ServedZone | None) -> ServedZone:
        """With the serial that was served last if its content is the same, also before a restart; else with one that is
        ahead of it: the time, unless there were more versions than seconds."""
        last = None if now is None else (now.zone.soa.serial, now.digest or content_digest(now.zone))
        if last is None:
            last = self._served_before(apex)
        clock = int(time.time())
        serial = clock if last is None else last[0]
        zone = make_catalog(apex, serial & 0xFFFFFFFF, members)
        digest = content_digest(zone)
        if last is not None and digest != last[1]:
            zone = make_catalog(apex, risen(last[0], clock), members)
            digest = content_digest(zone)
        made = PrivateZone(zone)
        made.digest = digest
        return made

    def _served_before(self, apex: bytes) -> tuple[int, bytes] | None:
        try:
            found = self._store.served(apex)
        except sqlite3.Error as error:
            log.error("cannot read %s: %s", self._store.path, error)
            return None
        return None if found is None else (found.serial, found.digest)

    def _restored(self, apex: bytes) -> ServedZone | None:
        zone = self._last_published(apex)
        if zone is None:
            return None
        restored = PrivateZone(zone)
        restored.digest = content_digest(zone)
        return restored

    def _lives_of(self, apex: bytes) -> dict[bytes, Life]:
        found = self._lives.get(apex)
        if found is None:
            try:
                found = self._store.lives(apex)
            except sqlite3.Error as error:
                log.error("cannot read %s: %s; secondaries may take some zones for new ones", self._store.path, error)
                found = {}
            self._lives[apex] = found
        return found

    def _record(self, apex: bytes, lives: dict[bytes, Life], changed: dict[bytes, Life]) -> None:
        """Before the catalog is published: were it the other way round, a zone could come back as if it had never been
        away."""
        if not changed:
            return
        lives.update(changed)
        try:
            self._store.record_lives(apex, changed, int(time.time()))
        except sqlite3.Error as error:
            log.error("cannot write %s: %s; secondaries may miss that a zone was removed", self._store.path, error)


def listed(catalog: bytes, zones: Mapping[bytes, ConfiguredZone]) -> Listed:
    """The zones that name this catalog, and what they say. A zone that may be taken over says so in every catalog but
    the one that may."""
    found: dict[bytes, tuple[tuple[bytes, ...], bytes | None]] = {}
    for apex, zone in zones.items():
        listing = zone.listing
        if catalog in listing.catalogs:
            found[apex] = (listing.groups, None if listing.coo == catalog else listing.coo)
    return found


def _changed(lives: Mapping[bytes, Life], wanted: Listed) -> dict[bytes, Life]:
    """Those that are new, came back (with a new life) or went."""
    found = {}
    for zone in wanted:
        life = lives.get(zone)
        if life is None or not life.listed:
            found[zone] = Life(0 if life is None else life.number + 1, listed=True)
    for zone, life in lives.items():
        if life.listed and zone not in wanted:
            found[zone] = Life(life.number, listed=False)
    return found


def _these(zones: list[bytes]) -> str:
    first = names.zone_text(min(zones))
    return first if len(zones) == 1 else f"{first} and {len(zones) - 1} more"
