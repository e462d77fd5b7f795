"""The configured zones: reading them, keeping the last good version of each, and noticing changes.

One pass looks at everything: which zones there are (folders may have new files), which files changed, which zones must
be read again. Passes run one after the other; reading and compiling happen in one worker thread, publishing on the
event loop. What cannot be read stays as it was: a folder that vanished takes no zone with it.
"""

import asyncio
import gc
import math
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from authdns.answer.changes import MAX_CHANGED_NAMES
from authdns.answer.executor import ServedZone
from authdns.config import Config, ConfigProblem, ConfiguredZone, TransferRule, Where, expand_zones
from authdns.server.catalogs import Catalogs
from authdns.server.files import FileSet, Text, list_folder
from authdns.server.images import Images, is_large
from authdns.server.imaging import Imaging, without_collection
from authdns.server.log import log
from authdns.server.members import NOTHING, Members
from authdns.server.watch import Watcher
from authdns.transfer.policy import Rule
from authdns.wire import name as names
from authdns.zone.delta import Delta, difference
from authdns.zone.digest import content_digest, updated_digest
from authdns.zone.patch import owners_of
from authdns.zone.problem import Place, Problems, Severity
from authdns.zone.reader import read_zone
from authdns.zone.reread import reread
from authdns.zone.zone import Zone

TURN_SECONDS = 0.02  # of reading small zones; then the worker does what else is to be done
LOOP_SECONDS = 0.005  # of configuring zones on the event loop; then it is others' turn
POLL_SECONDS = 5.0  # the net under lost events
POLL_SHARE = 0.02  # of a processor, at most: 100,000 files are not looked at every 5 s
MISSING_SECONDS = 1.0  # some editors rename the old file away before they write the new one
MAX_CHANGED_RECORDS = 10 * MAX_CHANGED_NAMES  # of a large zone; with more it waits for its image
FREEZE_RECORDS = 10_000  # a zone so large is moved out of the garbage collector's sight: a pass over it takes long


Result = TypeVar("Result")
Item = TypeVar("Item")


class Step(NamedTuple):
    """What led to a version from the one with this digest."""

    digest: bytes
    delta: Delta


class Loaded(NamedTuple):
    """What was read; the zone, which is one of an earlier time if there are errors, or None; what changed, if that is
    known."""

    files: FileSet
    served: ServedZone | None
    problems: Problems
    seconds: float
    step: Step | None = None


@dataclass(slots=True)
class ZoneState:
    """What is known of one zone that has a `file`, or of a catalog, whose `file` is an empty text. `loaded_at` and
    `failed_at` are wall-clock times, 0 for never. `text` is what `served` was read from, `step` what led to it from
    what was served before, if they are known."""

    configured: ConfiguredZone
    file: str
    files: FileSet = field(default_factory=FileSet)
    served: ServedZone | None = None
    loaded_at: float = 0.0
    failed_at: float = 0.0
    load_seconds: float = 0.0
    problems: Problems = field(default_factory=Problems)
    text: Text | None = None
    step: Step | None = None

    @property
    def error(self) -> str | None:
        """The first error of the last attempt to read it."""
        return next((str(p) for p in self.problems if p.severity is Severity.ERROR), None)


class Publisher(Protocol):
    """What becomes of the zones: see publish.py. All methods are called on the event loop."""

    def coming(self, apex: bytes) -> None: ...

    def publish(self, apex: bytes, state: ZoneState) -> None: ...

    def imaged(self, apex: bytes, served: ServedZone) -> None: ...

    def failed(self, apex: bytes, state: ZoneState) -> None: ...

    def last_published(self, apex: bytes, kept: Zone | None) -> Zone | None: ...

    def restored(self, apex: bytes, state: ZoneState) -> None: ...

    def withdrawn(self, apex: bytes) -> None: ...

    def begins_anew(self, apex: bytes) -> None: ...


class Secondaries(Protocol):
    """The zones that come from elsewhere: see secondaries.py."""

    def add(self, apex: bytes, configured: ConfiguredZone, served: ServedZone | None = None) -> None: ...

    def remove(self, apex: bytes, *, has_file: bool = False) -> None: ...


class Zones:
    """All configured zones. What is read goes to `publisher`, on the event loop."""

    def __init__(
        self,
        config: Config,
        publisher: Publisher,
        worker: ThreadPoolExecutor,
        imaging: Imaging,
        secondaries: Secondaries,
        catalogs: Catalogs,
        members: Members,
    ) -> None:
        self.config = config
        self._imaging = imaging
        self._secondaries = secondaries
        self._catalogs = catalogs
        self._members = members
        self.configured: dict[bytes, ConfiguredZone] = {}  # with the members of others' catalogs
        self.states: dict[bytes, ZoneState] = {}  # of those that have a file, and of catalogs
        self.rules: dict[bytes, tuple[Rule, ...]] = {}  # who may transfer each zone
        self.notify_rules: dict[bytes, tuple[Rule, ...]] = {}  # who may send NOTIFY, of each secondary zone
        self.all_rules: tuple[Rule, ...] = ()  # each network with each key once
        self._made_rules: dict[int, tuple[tuple[TransferRule, ...], tuple[Rule, ...]]] = {}  # in this pass, by id
        self._handed_over: list[bytes] = []  # no longer configured by hand, but listed by a catalog
        self._publisher = publisher
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._reported: set[str] = set()
        self._loaded: deque[tuple[bytes, Loaded]] = deque()  # from the worker
        self._looked_seconds = 0.0  # that the last pass took to find out what changed
        self._complete = True  # all folders could be read, and there is some zone
        self._missing_since: dict[bytes, float] = {}
        self.watcher = Watcher(self.wake)

    def wake(self) -> None:
        """Something may have changed: look soon."""
        self._wanted.set()

    async def run(self, before: Callable[[], Awaitable[bool]]) -> None:
        """Passes for ever: after each `wake`, and every POLL_SECONDS, or less often if looking at all files takes long.
        `before` is called before each one and says whether everything is to be read again."""
        while True:
            try:
                async with asyncio.timeout(max(POLL_SECONDS, self._looked_seconds / POLL_SHARE)):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self.look(everything=await before())
            except Exception:
                log.exception("looking for changed zone files failed; trying again")

    async def look(self, *, everything: bool = False) -> None:
        """One pass. With `everything`, zones are read again even if no file changed (SIGHUP)."""
        begun = time.perf_counter()
        stale = await self.notice(everything=everything)
        self._looked_seconds = time.perf_counter() - begun
        await self.load(stale)

    async def notice(self, *, everything: bool = False) -> list[bytes]:
        """Finds out which zones there are, and returns those that are to be read."""
        configured, problems = await self._in_worker(self._expand)
        self._report(problems)
        before = dict(self.rules)
        self._made_rules.clear()
        self._drop_missing(configured)
        changed = ((apex, zone) for apex, zone in configured.items() if zone != self.configured.get(apex))
        await _in_turns(changed, lambda each: self._take_in(*each))
        await self._look_at_members(agreed=everything)
        if self.rules != before:
            different = {id(rules): rules for rules in self.rules.values()}  # many zones share theirs
            of_all = (rule for rules in different.values() for rule in rules)
            self.all_rules = tuple({(rule.network, rule.key): rule for rule in of_all}.values())
        await self._in_worker(self._watch)
        return await self._in_worker(lambda: self._stale(everything))

    async def _look_at_members(self, *, agreed: bool) -> None:
        """What others' catalogs list is served. `agreed`: most of it may be gone."""
        try:
            steps = await self._in_worker(lambda: self._members.look(self.configured, agreed=agreed))
        except Exception:  # which must not keep the zones of the configuration from being read
            log.exception("looking for the members of catalogs failed inside the server; they stay as they are")
            steps = NOTHING
        await _in_turns(steps.withdrawn, self._withdraw)
        await _in_turns(steps.reset, self._forget)
        await _in_turns(steps.configured.items(), lambda each: self._take_in(*each))
        for apex in self._handed_over:
            if apex not in self.configured:
                self._withdraw(apex)
        self._handed_over.clear()

    def _forget(self, apex: bytes) -> None:
        """All state of a secondary zone; it is about to be taken in."""
        self._publisher.begins_anew(apex)
        self._secondaries.remove(apex)

    def _take_in(self, apex: bytes, zone: ConfiguredZone) -> None:
        """A zone that is new, or configured otherwise."""
        if apex not in self.configured:
            self._publisher.coming(apex)
        self.configured[apex] = zone
        self.rules[apex] = self._rules(zone.policy.allow_transfer)
        if zone.file is None and not zone.is_catalog:
            before = self.states.pop(apex, None)
            self.notify_rules[apex] = self._rules(zone.allow_notify)
            self._secondaries.add(apex, zone, None if before is None else before.served)
            return
        if self.notify_rules.pop(apex, None) is not None:
            self._secondaries.remove(apex, has_file=True)
        state, file = self.states.get(apex), zone.file or ""
        if state is None or state.file != file:
            self.states[apex] = ZoneState(zone, file, served=None if state is None else state.served)
            self._catalogs.forget(apex)
        else:
            state.configured = zone

    def _rules(self, allowed: tuple[TransferRule, ...]) -> tuple[Rule, ...]:
        """As the policy wants them. The zones of an entry, and the members of a catalog, have the same ones."""
        _, rules = self._made_rules.get(id(allowed), (None, None))
        if rules is None:
            rules = tuple(Rule(rule.network, rule.why, rule.key, rule.tls) for rule in allowed)
            self._made_rules[id(allowed)] = allowed, rules
        return rules

    async def load(self, apexes: Iterable[bytes]) -> None:
        """Reads these zones, one after the other."""
        waiting = iter(apexes)
        more = True
        while more:
            turn = self._loop.run_in_executor(self._worker, self._load_some, waiting)
            while not turn.done():  # what was read before a large zone does not wait for it
                await asyncio.wait((turn,), timeout=TURN_SECONDS)
                while self._loaded:
                    apex, loaded = self._loaded.popleft()
                    self._take(apex, loaded)
            more = turn.result()

    async def tidy(self) -> None:
        """Removes the images kept of zones that are no more."""
        if (images := self._imaging.images) is not None:
            await self._in_worker(lambda: images.keep_only(set(self.configured)))

    async def _in_worker(self, work: Callable[[], Result]) -> Result:
        return await self._loop.run_in_executor(self._worker, work)

    def _expand(self) -> tuple[dict[bytes, ConfiguredZone], tuple[ConfigProblem, ...]]:
        unreadable = set()

        def listed(folder: str) -> list[str]:
            try:
                return list_folder(folder)
            except OSError:
                unreadable.add(folder)
                raise

        found, problems = expand_zones(self.config, listed)
        any_zone = not all(zone.is_catalog for zone in found.values())
        self._complete = any_zone and not unreadable
        if self.configured and not any_zone and not problems:
            where = self.config.zones[0].where if self.config.zones else Where(str(self.config.path))
            problems = (ConfigProblem(where, "no zone is left; those that were served go on"),)
        return dict(found), problems

    def _report(self, problems: tuple[ConfigProblem, ...]) -> None:
        """Each problem once, until it has gone away."""
        texts = {str(problem) for problem in problems}
        for text in sorted(texts - self._reported):
            log.error("%s", text)
        self._reported = texts

    def _drop_missing(self, configured: dict[bytes, ConfiguredZone]) -> None:
        """Withdraws what has been missing for a while. But if a folder is gone or closed to us, or nothing at all is
        left (a mount that went away, a typo in a pattern), then that is what is missing, and every zone goes on."""
        now = self._loop.time()
        for apex in list(self.configured):
            if apex in configured or self.configured[apex].catalog is not None:
                self._missing_since.pop(apex, None)
            elif not self._complete:
                continue
            elif apex not in self._missing_since:
                self._missing_since[apex] = now
                self._loop.call_later(MISSING_SECONDS * 1.1, self.wake)
            elif now - self._missing_since[apex] >= MISSING_SECONDS:
                del self._missing_since[apex]
                if not self.configured[apex].is_catalog and self._members.lists(apex):
                    del self.configured[apex]
                    self._handed_over.append(apex)
                else:
                    self._withdraw(apex)

    def _withdraw(self, apex: bytes) -> None:
        """It is no longer served, and nothing is kept of it."""
        self.configured.pop(apex, None)
        if self.rules.pop(apex, None) is None:
            return  # it went while the server was down
        self.states.pop(apex, None)
        self._catalogs.forget(apex)
        if self.notify_rules.pop(apex, None) is not None:
            self._secondaries.remove(apex)
        self._publisher.withdrawn(apex)

    def _stale(self, everything: bool) -> list[bytes]:
        """The zones to read, small files first: a huge one does not keep the others waiting. Catalogs last: who hears
        of a zone by one will want it at once. A pass with many new zones makes one version of the catalog."""
        found: list[tuple[float, bytes]] = []
        listed = self._listed()
        for apex, state in self.states.items():
            if state.configured.is_catalog:
                # One that is about to be withdrawn is not emptied before: its zones stay where they are.
                gone = apex in self._missing_since
                if not gone and self._catalogs.is_stale(apex, listed, complete=self._complete):
                    found.append((math.inf, apex))
                continue
            files = state.files
            if not files.signatures or everything or (files.touched() and files.changed()):
                if self.watcher.unsettled(files.signatures or (state.file,)):
                    continue
                found.append((_octets(state.file), apex))
        return [apex for _, apex in sorted(found)]

    def _watch(self) -> None:
        paths = [f"{entry.watched_folder}/" for entry in self.config.zones if entry.watched_folder is not None]
        if self.config.path is not None:
            paths.append(str(self.config.path))
        for state in self.states.values():
            if not state.configured.is_catalog:
                paths += (state.file, *state.files.signatures)
        self.watcher.watch(_folders_of(paths))

    def _load_some(self, apexes: Iterator[bytes]) -> bool:
        """In the worker, and not only one: to go there and back for each costs as much as reading a small zone. What
        was read goes to `_loaded`. False if there are no more."""
        begun = time.perf_counter()
        for apex in apexes:
            state = self.states[apex]
            if state.configured.is_catalog:
                self._loaded.append((apex, self._made(state)))
                continue
            found = None
            if self._imaging.images is not None and not state.files.signatures:
                found = find_zone(state.file, apex, self._imaging.images)
            loaded = found or reload_zone(state, apex, self._imaging)
            loaded = loaded or load_zone(state.file, apex, self._imaging, state)
            if loaded.served is None and state.served is None:
                loaded = loaded._replace(served=self._restored(apex))
            self._loaded.append((apex, loaded))
            if time.perf_counter() - begun > TURN_SECONDS:
                return True
        return False

    def _listed(self) -> dict[bytes, ConfiguredZone]:
        """The zones that catalogs may list."""
        return {apex: zone for apex, zone in self.configured.items() if not zone.is_catalog}

    def _made(self, state: ZoneState) -> Loaded:
        """In the worker: a catalog."""
        begun = time.perf_counter()
        catalog, served = state.configured, state.served
        try:
            served, problems = self._catalogs.make(catalog, self._listed(), served, complete=self._complete)
        except Exception as error:
            log.exception("zone %s/IN: making it failed inside the server", names.zone_text(catalog.name))
            problems = Problems()
            problems.error(
                Place(str(catalog.entry)), f"the server failed on this catalog, which is its fault: {error!r}"
            )
        return Loaded(FileSet(), served, problems, time.perf_counter() - begun)

    def _restored(self, apex: bytes) -> ServedZone | None:
        """In the worker: what was published last of a zone whose file is broken."""
        kept = None if self._imaging.images is None else self._imaging.images.last(apex)
        zone = self._publisher.last_published(apex, None if kept is None else kept.zone)
        if zone is None or (kept is not None and zone is kept.zone):
            return kept
        try:
            served = ServedZone(zone)
            served.digest = content_digest(zone)
            return self._imaging.made(served, large=True)
        except Exception:  # which must not keep the others from being read
            log.exception("zone %s/IN: what was published last cannot be served again", names.zone_text(apex))
            return None

    def _take(self, apex: bytes, loaded: Loaded) -> None:
        state = self.states[apex]
        files, served, problems, seconds, step = loaded
        state.files, state.problems, state.load_seconds = files, problems, seconds
        self._log_problems(apex, problems)
        if problems.errors:
            state.failed_at = time.time()
            if served is None:
                self._publisher.failed(apex, state)
            else:
                state.served = served
                self._publisher.restored(apex, state)
            return
        assert served is not None, "or there would be an error"
        if served.zone.records >= FREEZE_RECORDS:
            gc.freeze()
        state.served, state.text, state.step, state.loaded_at = served, files.text, step, time.time()
        self._publisher.publish(apex, state)

        def imaged(made: ServedZone) -> None:
            if state.served is served and self.states.get(apex) is state:
                state.served = made
                self._publisher.imaged(apex, made)

        if not state.configured.is_catalog:
            self._imaging.later(served, imaged, files, problems)

    def _log_problems(self, apex: bytes, problems: Problems) -> None:
        for problem in problems:
            if problem.severity is Severity.ERROR:
                log.error("zone %s/IN: %s", names.zone_text(apex), problem)
            elif problem.severity is Severity.WARNING:
                log.warning("zone %s/IN: %s", names.zone_text(apex), problem)
        if problems.left_out:
            log.error("zone %s/IN: and %d more problems", names.zone_text(apex), problems.left_out)

    def stop(self) -> None:
        self._imaging.stop()
        self.watcher.stop()


async def _in_turns(items: Iterable[Item], do: Callable[[Item], object]) -> None:
    """Each of them, but for no longer than LOOP_SECONDS at a time: there may be very many."""
    begun = time.perf_counter()
    for item in items:
        do(item)
        if time.perf_counter() - begun > LOOP_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()


def load_zone(path: str, apex: bytes, imaging: Imaging, state: ZoneState | None = None) -> Loaded:
    """Reads, checks and compiles one zone, for the engine if there is one; blocking. `state` says, when it is read,
    which version it will replace."""
    begun = time.perf_counter()
    files = FileSet()
    with without_collection():
        served = step = None
        try:
            reading = read_zone(path, apex, files.load, int(time.time()), indexed=True)
            problems = reading.problems
            if reading.zone is not None:
                index = reading.index
                files.text = None if index is None else lambda: index
                before, served = None if state is None else state.served, ServedZone(reading.zone)
                delta = _changes(before, reading.zone)
                step = _step(before, delta)
                served = _ready(served, before, delta, imaging, files, problems)
        except Exception as error:  # one zone that we cannot handle must not keep the others from being read
            log.exception("zone %s/IN: reading it failed inside the server", names.zone_text(apex))
            served, problems = None, Problems()
            problems.error(Place(path), f"the server failed on this zone, which is its fault: {error!r}")
    return Loaded(files, served, problems, time.perf_counter() - begun, step)


def reload_zone(state: ZoneState, apex: bytes, imaging: Imaging) -> Loaded | None:
    """The same after an edit of a large zone, reading what changed alone. None: it has to be read as a whole."""
    begun = time.perf_counter()
    served, text, files = state.served, state.text, FileSet()
    if served is None or text is None:
        return None
    with without_collection():
        try:
            index = text()
            if index is None:
                return None
            found = reread(state.file, files.load(state.file), index, served.zone)
            if isinstance(found, str):
                log.debug("zone %s/IN: read as a whole: %s", names.zone_text(apex), found)
                return None
            made, step, new_index = served, _step(served, found.delta), found.index
            files.text = lambda: new_index
            if found.delta is not None:
                made = ServedZone(found.zone)
                if served.digest is not None:
                    made.digest = updated_digest(served.digest, served.zone, found.zone, owners_of([found.delta]))
                made = _ready(made, served, found.delta, imaging, files, found.problems)
        except OSError:
            return None  # load_zone says why
        except Exception:
            log.exception("zone %s/IN: reading what changed failed inside the server", names.zone_text(apex))
            return None
    return Loaded(files, made, found.problems, time.perf_counter() - begun, step)


def _changes(before: ServedZone | None, zone: Zone) -> Delta | None:
    """From the version before to this one, if that is worth knowing soon: if there is an image to go on with. (Of a
    zone that was small, nothing is kept from which the history could lead to this one.)"""
    if before is None or before.image is None or not is_large(zone) or not is_large(before.zone):
        return None
    return difference(before.zone, zone, MAX_CHANGED_RECORDS)


def _step(before: ServedZone | None, delta: Delta | None) -> Step | None:
    if before is None or before.digest is None or delta is None:
        return None
    return Step(before.digest, delta)


def _ready(
    served: ServedZone,
    before: ServedZone | None,
    delta: Delta | None,
    imaging: Imaging,
    files: FileSet,
    problems: Problems,
) -> ServedZone:
    """To be published in the place of `before`. A large zone that has an image goes on with it; if it cannot, it is not
    published before it has the next one. Without one it is answered by Python until then, which is sooner."""
    if before is None or before.image is None or not is_large(served.zone):
        return imaging.made(served, files, problems)
    if delta is not None and is_large(before.zone) and imaging.follow(before, served, (delta,)):
        return served
    return imaging.made(served, files, problems, large=True)


def find_zone(path: str, apex: bytes, images: Images) -> Loaded | None:
    """What was kept of it, if its files are still the same; blocking."""
    begun = time.perf_counter()
    found = images.find(apex, path)
    return None if found is None else Loaded(*found, time.perf_counter() - begun)


def _folders_of(paths: Iterable[str]) -> set[str]:
    """Where events about files appear: the folder of each, and of each link on the way to it. (Each part of a path is
    looked at once, for all of them together.)"""
    folders = set()
    waiting = list(paths)
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        folders.add(os.path.dirname(path) or ".")
        if os.path.islink(path):
            folders.add(os.path.dirname(os.path.realpath(path)))  # by this name events tell of who writes there
        while path not in seen:
            seen.add(path)
            folder = os.path.dirname(path) or "."
            try:
                waiting.append(os.path.normpath(os.path.join(folder, os.readlink(path))))
                folders.add(folder)
            except OSError:
                pass  # no link
            path = folder
    return folders


def _octets(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
