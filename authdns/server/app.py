"""The running server: composes the parts and answers to signals.

reload → zone file → build → compile → publish → remember → notify        (an edit)
udp | tcp | tls → Responder → bytes | handed to Requests                   (a query)
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from authdns.answer.compiler import OTHER_KEY
from authdns.answer.cookies import CookieState
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.limiter import Limited
from authdns.answer.respond import NAMED_TYPES, SIZE_SHIFT, Chaos, Responder
from authdns.config import Config, ConfigError, ConfigProblem, TlsSettings, expand_zones, load_config
from authdns.figures import TransportFigures, ZoneFigures
from authdns.server import log as logs
from authdns.server import systemd, udp
from authdns.server.catalogs import Catalogs
from authdns.server.counters import Counters
from authdns.server.engine import MAX_WORKERS, NO_TYPE, DeclinedListener, NativeEngine, NoEngine, load_native
from authdns.server.events import EventKeeper
from authdns.server.files import FileSet, list_folder
from authdns.server.guards import Guards
from authdns.server.images import Images
from authdns.server.imaging import Imaging
from authdns.server.keys import Keys, read_keys
from authdns.server.listen import CannotStart, allow_files, open_sockets, open_tls_socket
from authdns.server.log import fault_log, log
from authdns.server.members import Members
from authdns.server.notify import NotifyService
from authdns.server.publish import Publisher
from authdns.server.requests import Requests, client, log_distrusted
from authdns.server.secondaries import Secondaries, SecondaryState
from authdns.server.tcp import RESERVED_FOR_TRANSFERS, Secured, TcpLimits, TcpListener
from authdns.server.tls import BadCertificate, Certificates
from authdns.server.versions import Versions
from authdns.server.zones import Zones, ZoneState
from authdns.store import Keep, Store
from authdns.wire import name as names
from authdns.wire.query import Query
from authdns.wire.types import rcode_to_text, type_to_text
from authdns.zone.zone import Zone

STOP_GRACE_SECONDS = 10.0  # for running transfers after SIGTERM
# The worker thread reads zones while queries are answered; both need the interpreter. A query waits at most about
# this long for it at each of its two system calls (Python's default is fifty times as much).
SWITCH_SECONDS = 0.0001
# A full collection walks every open connection: 50 ms for ten thousand, again whenever a quarter of them is new.
OLDEST_GENERATION = 1000
OTHER_FILES = 256  # file descriptors besides connections: sockets, zone files, the store, file events, metrics


class App:
    """One server process. `run` returns when it has been told to stop."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ
        native, self._why = _load_native(config)
        self._engine = None if native is None else NativeEngine(native)
        self._table = ZoneTable(self._engine)
        self._counters = Counters()
        self._chaos = chaos = Chaos(config.identity, config.version)
        self._declined: list[DeclinedListener] = []
        self._guards = Guards(config, self._engine)
        cookies, limiter, size = self._guards.cookies, self._guards.limiter, config.edns_size
        self._udp = Responder(self._table, tcp=False, payload=size, chaos=chaos, cookies=cookies, limiter=limiter)
        self._tcp = Responder(self._table, tcp=True, payload=size, chaos=chaos, cookies=cookies)
        self._tls = Responder(self._table, tcp=True, payload=size, chaos=chaos, cookies=cookies, pads=True)
        self._responders = {"udp": self._udp, "tcp": self._tcp}
        if config.tls is not None:
            self._responders["tls"] = self._tls
        for responder in self._responders.values():
            responder.distrusted = log_distrusted
        self._certificates: Certificates | None = None
        self._keys: Keys = {}
        self._requests = Requests(self._table, self._counters, config.edns_size)
        self._worker = ThreadPoolExecutor(1, "zones")
        self._config_files = FileSet()
        self._stopping = asyncio.Event()
        self._force = False
        self._wake: Callable[[], None] = lambda: None  # until there are zones to look at

    async def run(self) -> None:
        """Binds, loads, serves until SIGTERM or SIGINT. Raises CannotStart."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_all)
        loop.set_exception_handler(_log_loop_problem)
        sys.setswitchinterval(SWITCH_SECONDS)
        allow_files(self._config.tcp.connections + RESERVED_FOR_TRANSFERS + OTHER_FILES)
        self._read_keys(self._config)
        sockets, tcp = await self._bind()
        store = self._open_store()
        self._notify = NotifyService(self._config.listen, lambda: self._keys)
        self._versions = versions = Versions(store)
        versions.keep = _keep(self._config)
        self._events = EventKeeper(versions, self._worker)
        self._publisher = Publisher(
            self._table, versions, self._notify, self._counters, self._worker, keeps_large=self._engine is None
        )
        images = None if self._engine is None else Images(self._engine, self._config.state / "images")
        imaging = Imaging(images, self._worker)
        self._secondaries = Secondaries(
            self._config,
            self._table,
            self._publisher,
            versions,
            self._worker,
            imaging,
            self._counters,
            lambda: self._keys,
        )
        catalogs = Catalogs(store, self._publisher.last_published)
        self._members = members = Members(store)
        self._zones = Zones(self._config, self._publisher, self._worker, imaging, self._secondaries, catalogs, members)
        self._wake = self._zones.wake

        def arrived(catalog: bytes, zone: Zone | None) -> None:
            members.arrived(catalog, zone)
            self._wake()

        self._secondaries.arrived = arrived
        self._requests.history = store.history
        self._requests.rules = self._zones.rules
        self._requests.all_rules = lambda: self._zones.all_rules
        self._requests.notify_rules = self._zones.notify_rules
        self._requests.notified = self._secondaries.notified
        for responder in self._responders.values():
            responder.expiry = self._secondaries.expiry
        self._remember_config_file()
        stale = await self._zones.notice()
        # Not before every zone is known: for one that is not, its parent would answer, or a refusal.
        self._guards.start(self._config)
        await tcp.start()
        self._listen_udp(sockets, tcp)
        tasks = [
            loop.create_task(self._look_after_zones(stale)),
            loop.create_task(systemd.feed_watchdog(self._config.listen, self._environ, self._answered)),
            loop.create_task(self._guards.run()),
        ]
        await self._stopping.wait()
        await self._stop(sockets, tcp, tasks)
        store.close()
        log.info("stopped")

    async def _look_after_zones(self, stale: list[bytes]) -> None:
        """The first reading of all zones, then every change, for ever."""
        loading = asyncio.create_task(self._zones.load(stale))
        await asyncio.sleep(0)  # so that the zones are being read while what metrics need is imported
        self._start_metrics()
        await loading
        await self._secondaries.restored()
        self._log_ready()
        systemd.notify("READY=1", self._environ)
        gc.freeze()
        gc.set_threshold(*gc.get_threshold()[:2], OLDEST_GENERATION)
        await self._zones.tidy()
        await self._zones.run(self._before_pass)

    def _listen_udp(self, sockets: list[socket.socket], tcp: TcpListener) -> None:
        loop = asyncio.get_running_loop()
        for sock in sockets:
            if self._engine is None:
                listener = udp.UdpListener(sock, self._udp, self._counters, self._handed_udp, self._barrier)
                loop.add_reader(sock, listener.on_readable)
            else:
                sock.setblocking(True)
                listener = DeclinedListener(sock, self._udp, self._counters, self._handed_udp, self._barrier)
                loop.add_reader(listener.from_engine, listener.on_readable)
                self._declined.append(listener)
                self._engine.start(listener, self._config.edns_size, self._chaos)
            tcp.meanwhile.append(listener.on_readable)

    def _workers(self) -> int:
        """Threads of the engine for each address."""
        if self._engine is None:
            return 1
        most = max(1, MAX_WORKERS // len(self._config.listen))
        return min(self._config.workers or len(os.sched_getaffinity(0)), most)

    def _answered(self) -> int:
        """How many responses have been sent so far."""
        by_engine = 0 if self._engine is None else sum(self._engine.counts()["sizes"])
        return sum(sum(responder.sizes) for responder in self._responders.values()) + by_engine

    def _log_ready(self) -> None:
        zones = self._table.by_apex
        served = sum(isinstance(zone, ServedZone) for zone in zones.values())
        of_all = "" if served == len(zones) else f" of {len(zones)}"
        noun = "zone" if len(zones) == 1 else "zones"
        threads = self._workers()
        native = f"the native engine, {threads} thread{'s' * (threads > 1)} for each address"
        log.info("serving %d%s %s on %s", served, of_all, noun, ", ".join(map(str, self._config.listen)))
        if self._config.tls is not None:
            log.info("serving TLS on %s", ", ".join(map(str, self._config.tls.listen)))
        log.info("UDP is answered by %s", native if self._engine is not None else f"Python ({self._why})")

    def _open_store(self) -> Store:
        try:
            store = Store(self._config.state)
        except OSError as error:
            raise CannotStart(
                f"cannot use the state folder {self._config.state}: {error.strerror or error} "
                "(set `state:` in the configuration, or give this user the right to write there)",
                os.EX_CANTCREAT,
            ) from error
        if store.set_aside is not None:
            log.error("the state file was damaged: set aside as %s, begun anew", store.set_aside)
        return store

    async def _bind(self) -> tuple[list[socket.socket], TcpListener]:
        """The UDP sockets, and the TCP listener with its own. Raises CannotStart."""
        limits = self._config.tcp
        tcp = TcpListener(
            self._tcp,
            self._counters,
            TcpLimits(limits.connections, limits.per_client, limits.idle_seconds, limits.pipelined),
            self._requests.over_tcp,
            self._barrier,
            self._requests.may_transfer,
            self._guards.budget,
        )
        udp_sockets = []
        for endpoint in self._config.listen:
            opened, tcp_socket = open_sockets(endpoint, self._workers())
            udp_sockets += opened
            await tcp.listen(tcp_socket)
        if self._config.tls is not None:
            self._certificates = certificates = _certificates(self._config.tls)
            for endpoint in self._config.tls.listen:
                await tcp.listen(open_tls_socket(endpoint), Secured(certificates.context, self._tls))
        return udp_sockets, tcp

    def _start_metrics(self) -> None:
        endpoint = self._config.metrics
        if endpoint is None:
            return
        from authdns.metrics import serve_metrics  # an HTTP server and its libraries: no answer waits for them

        try:
            serve_metrics(self, str(endpoint.host), endpoint.port)
        except OSError as error:  # no reason not to serve DNS
            log.error("no metrics: cannot listen on %s: %s", endpoint, error.strerror or error)

    async def _stop(self, sockets: list[socket.socket], tcp: TcpListener, tasks: list[asyncio.Task[None]]) -> None:
        log.info("stopping")
        systemd.notify("STOPPING=1", self._environ)
        loop = asyncio.get_running_loop()
        tcp.meanwhile.clear()
        if self._engine is not None:
            self._engine.stop()
        for listener in self._declined:
            loop.remove_reader(listener.from_engine)
            listener.close()
        for sock in sockets:
            loop.remove_reader(sock)
            sock.close()
        for task in tasks:
            task.cancel()
        await tcp.close(STOP_GRACE_SECONDS)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._secondaries.close()
        self._notify.close()
        self._zones.stop()
        self._events.finish()
        self._worker.shutdown()

    # Configuration.

    def _reload_all(self) -> None:
        log.info("SIGHUP: reading the configuration and all zones again")
        self._force = True
        self._wake()

    def _remember_config_file(self) -> None:
        if self._config.path is not None:
            with contextlib.suppress(OSError):
                self._config_files.load(str(self._config.path))

    async def _before_pass(self) -> bool:
        """Takes over a changed configuration; True if every zone is to be read again."""
        force, self._force = self._force, False
        if self._certificates is not None:
            self._certificates.look(force=force)
        path, files = self._config.path, self._config_files
        if path is not None:
            changed = files.touched() and not self._zones.watcher.unsettled((str(path),)) and files.changed()
            if force or changed:
                self._remember_config_file()
                loop = asyncio.get_running_loop()
                config = await loop.run_in_executor(self._worker, _read_config, path, self._environ)
                if config is not None:
                    self._take_over(config)
        return force

    def _take_over(self, config: Config) -> None:
        fixed = ("listen", "state", "metrics", "identity", "version", "edns_size", "engine", "workers", "tcp", "tls")
        changed = [key for key in fixed if getattr(config, key) != getattr(self._config, key)]
        switches = ("rate_limit", "cookies")
        changed += [key for key in switches if (getattr(config, key) is None) != (getattr(self._config, key) is None)]
        if changed:
            keys = ", ".join(key.replace("_", "-") for key in changed)
            log.warning("changes of %s take effect at the next start", keys)
        logs.configure(config.log.format, config.log.level)
        self._guards.take_over(self._config, config)
        self._versions.keep = _keep(config)
        self._secondaries.take_over(config)
        self._read_keys(config)
        self._config = self._zones.config = config
        log.info("the configuration was read again")

    def _read_keys(self, config: Config) -> None:
        self._keys, problems = read_keys(config.keys, self._keys)
        for responder in self._responders.values():
            responder.keys = self._keys
        for problem in problems:
            log.error("%s", problem)

    # Requests.

    def _handed_udp(self, request: bytes, query: Query, source: udp.Address) -> bytes | None:
        return self._requests.over_udp(self._udp, request, query, source)

    def _barrier(self, request: bytes, source: udp.Address) -> None:
        self._counters.failed += 1
        fault_log.exception("%s: a request raised an error; it was: %s", client(source), request[:512].hex())

    # figures.Source; called from another thread, so everything is copied before it is walked.

    def transports(self) -> Iterable[TransportFigures]:
        for transport, responder in self._responders.items():
            answers: dict[tuple[str, str], int] = {}
            for rcode, by_type in responder.tally.items():
                for qtype, number in by_type.copy().items():
                    key = (rcode_to_text(rcode), _metric_type(qtype))
                    answers[key] = answers.get(key, 0) + number
            sizes = list(responder.sizes)
            if transport == "udp" and self._engine is not None:
                counts = self._engine.counts()
                for rcode, engine_type, number in counts["answered"]:
                    named = engine_type.to_bytes(2, "big") if engine_type != NO_TYPE else b""
                    key = (rcode_to_text(rcode), _metric_type(named if named in NAMED_TYPES else OTHER_KEY))
                    answers[key] = answers.get(key, 0) + number
                for step, number in enumerate(counts["sizes"]):
                    sizes[step] += number
            yield TransportFigures(transport, answers, sizes, 1 << SIZE_SHIFT)

    def zones(self) -> Iterable[ZoneFigures]:
        states: dict[bytes, ZoneState | SecondaryState] = {**self._zones.states, **self._secondaries.states}
        for apex, state in states.items():
            zone = None if state.served is None else state.served.zone
            yield ZoneFigures(
                name=names.zone_text(apex),
                serial=None if zone is None else zone.soa.serial,
                records=0 if zone is None else zone.records,
                loaded_at=state.loaded_at,
                load_seconds=state.load_seconds,
                failed=(state.error or self._members.error(apex)) is not None,
                failed_at=state.failed_at,
            )

    def counts(self) -> Mapping[str, int]:
        counters = self._counters
        keys = ("dropped", "unsent", "failed", "tcp_connections", "tcp_refused", "tcp_evicted", "tcp_over_time")
        found = {key: int(getattr(counters, key)) for key in keys}
        if self._engine is not None:
            by_engine = self._engine.counts()
            found["dropped"] += by_engine["dropped"]
            found["unsent"] += by_engine["unsent"]
            found["declined"] = by_engine["declined"]
            found["declined_lost"] = by_engine["lost"]
        return found

    def outcomes(self) -> Mapping[str, Mapping[str, int]]:
        counters = self._counters
        found: dict[str, Mapping[str, int]] = {
            "transfers": counters.transfers.copy(),
            "notifies": counters.notifies.copy(),
            "incoming_transfers": counters.incoming_transfers.copy(),
            "incoming_notifies": counters.incoming_notifies.copy(),
        }
        if self._certificates is not None:
            found["tls_handshakes"] = counters.tls_handshakes.copy()
        cookies, limiter = self._guards.cookies, self._guards.limiter
        by_engine = None if self._engine is None else self._engine.counts()
        if cookies is not None:
            found["cookies"] = _added(cookies.counts, by_engine and by_engine["cookies"])
        if limiter is not None:
            limited = found["rate_limited"] = _added(limiter.counts, by_engine and by_engine["limited"])
            if self._guards.budget is not None:
                limited["logged"] += self._guards.budget.counts[Limited.LOGGED]
        return found


def _added(counts: Mapping[CookieState, int] | Mapping[Limited, int], more: Sequence[int] | None) -> dict[str, int]:
    """Counts by their names in lower case; `more` are the engine's, in the same order."""
    numbers = zip(counts.items(), more or [0] * len(counts), strict=True)
    return {kind.name.lower(): number + other for (kind, number), other in numbers}


def _metric_type(qtype: bytes) -> str:
    """The type's name; the responders count types without one together."""
    if qtype == OTHER_KEY:
        return "other"
    return type_to_text(int.from_bytes(qtype, "big")) if qtype else "none"


def _load_native(config: Config) -> tuple[ModuleType | None, str]:
    try:
        return load_native(config.engine)
    except NoEngine as error:
        hint = "`engine: auto` does without, `engine: python` never asks"
        raise CannotStart(f"{error} ({hint})", os.EX_UNAVAILABLE) from error


def _certificates(settings: TlsSettings) -> Certificates:
    try:
        return Certificates(settings)
    except BadCertificate as error:
        raise CannotStart(f"{settings.where}: {error}", os.EX_CONFIG) from error


def _keep(config: Config) -> Keep:
    history = config.history
    return Keep(history.versions, int(history.days * 24 * 3600), int(history.megabytes * (1 << 20)), history.events)


def _read_config(path: Path, environ: Mapping[str, str]) -> Config | None:
    """The configuration, or None with everything that is wrong with it in the log. A folder of zones that cannot be
    listed is wrong as well: at a start the other zones are served, but here there is a configuration that works."""
    problems: Sequence[ConfigProblem]
    try:
        config = load_config(path, environ=environ)
        _, problems = expand_zones(config, list_folder)
    except ConfigError as error:
        problems = error.problems
    if not problems:
        return config
    for problem in problems:
        log.error("%s", problem)
    log.error("the configuration has errors; the one before stays in force")
    return None


def _log_loop_problem(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would log with a traceback each, hundreds in a second when file descriptors run out."""
    error = context.get("exception")
    if isinstance(error, OSError):
        fault_log.error("%s: %s", context.get("message", "in the event loop"), error)
    else:
        fault_log.error("%s", context.get("message", "in the event loop"), exc_info=error)
