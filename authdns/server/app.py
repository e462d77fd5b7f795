"""The running server: composes the parts, holds `publish`, and answers to signals.

reload → zone file → build → compile → publish → remember → notify        (an edit)
udp | tcp → Responder → bytes | handed to Requests                         (a query)
"""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from authdns.answer.executor import ServedZone, UnavailableZone, ZoneTable
from authdns.answer.respond import SIZE_SHIFT, Chaos, Responder
from authdns.config import Config, ConfigError, Endpoint, load_config
from authdns.metrics import TransportFigures, ZoneFigures, serve_metrics
from authdns.server import log as logs
from authdns.server import systemd, udp
from authdns.server.counters import Counters
from authdns.server.files import FileSet
from authdns.server.log import log, stranger_log
from authdns.server.notify import NotifyService
from authdns.server.publish import Change, compare, content_digest, warning
from authdns.server.requests import Requests, client
from authdns.server.tcp import RESERVED_FOR_TRANSFERS, TcpLimits, TcpListener
from authdns.server.zones import Zones, ZoneState
from authdns.store import Served, Store
from authdns.transfer.notify import Meaning, Outcome
from authdns.wire import name as names
from authdns.wire.query import Query
from authdns.wire.types import rcode_to_text, type_to_text

STOP_GRACE_SECONDS = 10.0  # for running transfers after SIGTERM
# The worker thread reads zones while queries are answered; both need the interpreter. A query waits at most about
# this long for it at each of its two system calls (Python's default is fifty times as much).
SWITCH_SECONDS = 0.0001
SELF_QUERY_SECONDS = 2.0
OTHER_FILES = 256  # file descriptors besides connections: sockets, zone files, the store, file events, metrics


class CannotStart(Exception):
    """One line that says why, and the exit code (sysexits.h) that goes with it."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class App:
    """One server process. `run` returns when it has been told to stop."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ
        self._table = ZoneTable()
        self._counters = Counters()
        chaos = Chaos(config.identity, config.version)
        self._udp = Responder(self._table, tcp=False, payload=config.edns_size, chaos=chaos)
        self._tcp = Responder(self._table, tcp=True, payload=config.edns_size, chaos=chaos)
        self._requests = Requests(self._table, self._counters, config.edns_size)
        self._worker = ThreadPoolExecutor(1, "zones")
        self._config_files = FileSet()
        self._stopping = asyncio.Event()
        self._force = False

    async def run(self) -> None:
        """Binds, loads, serves until SIGTERM or SIGINT. Raises CannotStart."""
        loop = asyncio.get_running_loop()
        sys.setswitchinterval(SWITCH_SECONDS)
        _allow_files(self._config.tcp.connections + RESERVED_FOR_TRANSFERS + OTHER_FILES)
        store = self._open_store()
        sockets, tcp = await self._bind()
        self._store = store
        self._notify = NotifyService(self._config.listen, self._notify_ended)
        self._zones = Zones(self._config, self._publish, self._failed, self._coming, self._withdrawn, self._worker)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._requests.rules = self._zones.rules
        loop.add_signal_handler(signal.SIGHUP, self._reload_all)
        self._start_metrics()
        self._remember_config_file()
        stale = await self._zones.notice()
        # Not before every zone is known: for one that is not, its parent would answer, or a refusal.
        await tcp.start()
        for sock in sockets:
            listener = udp.UdpListener(sock, self._udp, self._counters, self._handed_udp, self._barrier)
            loop.add_reader(sock, listener.on_readable)
        await self._zones.load(stale)
        log.info("serving %d zones on %s", len(self._table.by_apex), ", ".join(map(str, self._config.listen)))
        systemd.notify("READY=1", self._environ)
        gc.freeze()
        tasks = [loop.create_task(self._zones.run(self._before_pass)), loop.create_task(self._feed_watchdog())]
        await self._stopping.wait()
        await self._stop(sockets, tcp, tasks)

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
        limits = self._config.tcp
        tcp = TcpListener(
            self._tcp,
            self._counters,
            TcpLimits(limits.connections, limits.per_client, limits.idle_seconds, limits.pipelined),
            lambda request, query, source: self._requests.over_tcp(self._tcp, request, query, source),
            self._barrier,
            self._requests.may_transfer,
        )
        sockets = []
        for endpoint in self._config.listen:
            try:
                sockets.append(udp.open_socket(str(endpoint.host), endpoint.port))
                await tcp.listen(str(endpoint.host), endpoint.port)
            except OSError as error:
                raise _cannot_listen(endpoint, error) from error
        return sockets, tcp

    def _start_metrics(self) -> None:
        endpoint = self._config.metrics
        if endpoint is None:
            return
        try:
            serve_metrics(self, str(endpoint.host), endpoint.port)
        except OSError as error:  # no reason not to serve DNS
            log.error("no metrics: cannot listen on %s: %s", endpoint, error.strerror or error)

    async def _stop(self, sockets: list[socket.socket], tcp: TcpListener, tasks: list[asyncio.Task[None]]) -> None:
        log.info("stopping")
        systemd.notify("STOPPING=1", self._environ)
        loop = asyncio.get_running_loop()
        for sock in sockets:
            loop.remove_reader(sock)
            sock.close()
        for task in tasks:
            task.cancel()
        await tcp.close(STOP_GRACE_SECONDS)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._notify.close()
        self._zones.stop()
        self._worker.shutdown()
        self._store.close()
        log.info("stopped")

    # An edit: from a zone that was read to one that is served.

    def _publish(self, apex: bytes, state: ZoneState) -> None:
        """The commit point. Everything after it is told to others."""
        served = state.served
        assert served is not None
        self._table.publish(apex, served)
        zone = served.zone
        serial = zone.soa.serial
        log.info(
            "zone %s/IN: loaded serial %d (%d records, %.0f ms)",
            names.zone_text(apex),
            serial,
            zone.records,
            state.load_seconds * 1000,
        )
        asyncio.get_running_loop().run_in_executor(self._worker, self._remember, apex, state, served)

    def _remember(self, apex: bytes, state: ZoneState, served: ServedZone) -> None:
        """In the worker: compares with what was served before, and hands back what is to be announced."""
        try:
            zone = served.zone
            serial, digest = zone.soa.serial, content_digest(zone)
            last = self._store.served(apex)
            change = compare(last, serial, digest)
            if text := warning(apex, change, last, serial):
                log.warning("%s", text)
            if change in (Change.FIRST, Change.NEWER):
                self._store.record(apex, Served(serial, digest, announced=False))
            unfinished = change is Change.SAME and last is not None and not last.announced
            if change in (Change.FIRST, Change.NEWER) or unfinished:
                self._zones.in_loop(lambda: self._announce(apex, served))
        except Exception:
            log.exception("zone %s/IN: could not compare it with what was served before", names.zone_text(apex))

    def _announce(self, apex: bytes, served: ServedZone) -> None:
        state = self._zones.states.get(apex)
        if state is not None and self._table.by_apex.get(apex) is served:
            self._notify.announce(served.zone, state.configured.policy)

    def _notify_ended(self, outcome: Outcome, done: bool) -> None:
        self._counters.notify(outcome.meaning.name.lower() if outcome.meaning is not Meaning.OTHER else "other")
        if done:
            self._worker.submit(self._store.announced, outcome.apex, outcome.serial)

    def _failed(self, apex: bytes, state: ZoneState) -> None:
        zone = names.zone_text(apex)
        served = self._table.by_apex.get(apex)
        if isinstance(served, ServedZone):
            log.error("zone %s/IN: not loaded because of errors; serial %d stays", zone, served.zone.soa.serial)
        else:
            self._table.publish(apex, UnavailableZone(state.error or "not loaded"))
            log.error("zone %s/IN: not loaded because of errors; queries get SERVFAIL", zone)

    def _coming(self, apex: bytes) -> None:
        if apex not in self._table.by_apex:
            self._table.publish(apex, UnavailableZone("it is being read"))

    def _withdrawn(self, apex: bytes) -> None:
        self._table.withdraw(apex)
        self._notify.forget(apex)
        log.info("zone %s/IN: no longer configured, no longer served", names.zone_text(apex))

    # Configuration.

    def _reload_all(self) -> None:
        log.info("SIGHUP: reading the configuration and all zones again")
        self._force = True
        self._zones.wake()

    def _remember_config_file(self) -> None:
        if self._config.path is not None:
            with contextlib.suppress(OSError):
                self._config_files.load(str(self._config.path))

    def _before_pass(self) -> bool:
        """Takes over a changed configuration; True if every zone is to be read again."""
        force, self._force = self._force, False
        path, files = self._config.path, self._config_files
        if path is not None:
            changed = files.touched() and not self._zones.watcher.unsettled((str(path),)) and files.changed()
            if force or changed:
                self._take_over(path)
        return force

    def _take_over(self, path: Path) -> None:
        self._remember_config_file()
        try:
            config = load_config(path, environ=self._environ)
        except ConfigError as error:
            for problem in error.problems:
                log.error("%s", problem)
            log.error("the configuration has errors; the one before stays in force")
            return
        fixed = ("listen", "state", "metrics", "identity", "version", "edns_size", "tcp")
        if changed := [key for key in fixed if getattr(config, key) != getattr(self._config, key)]:
            log.warning(
                "changes of %s take effect at the next start", ", ".join(key.replace("_", "-") for key in changed)
            )
        logs.configure(config.log.format, config.log.level)
        self._config = self._zones.config = config
        log.info("the configuration was read again")

    # Requests.

    def _handed_udp(self, request: bytes, query: Query, source: udp.Address) -> bytes | None:
        return self._requests.over_udp(self._udp, request, query, source)

    def _barrier(self, request: bytes, source: udp.Address) -> None:
        self._counters.failed += 1
        stranger_log.exception("%s: a request raised an error; it was: %s", client(source), request[:512].hex())

    async def _feed_watchdog(self) -> None:
        """Feeds systemd's watchdog only after a query to ourselves was answered."""
        interval = systemd.watchdog_seconds(self._environ)
        if interval is None:
            return
        while True:
            if await _answers(self._config.listen[0]):
                systemd.notify("WATCHDOG=1", self._environ)
            await asyncio.sleep(interval / 3)

    # metrics.Source; called from another thread, so everything is copied before it is walked.

    def transports(self) -> Iterable[TransportFigures]:
        for transport, responder in (("udp", self._udp), ("tcp", self._tcp)):
            answers: dict[tuple[str, str], int] = {}
            for rcode, by_type in responder.tally.items():
                for qtype, number in by_type.copy().items():
                    key = (rcode_to_text(rcode), _metric_type(qtype))
                    answers[key] = answers.get(key, 0) + number
            yield TransportFigures(transport, answers, list(responder.sizes), 1 << SIZE_SHIFT)

    def zones(self) -> Iterable[ZoneFigures]:
        for apex, state in list(self._zones.states.items()):
            zone = None if state.served is None else state.served.zone
            yield ZoneFigures(
                name=names.zone_text(apex),
                serial=None if zone is None else zone.soa.serial,
                records=0 if zone is None else zone.records,
                loaded_at=state.loaded_at,
                load_seconds=state.load_seconds,
                failed=state.error is not None,
                failed_at=state.failed_at,
            )

    def counts(self) -> Mapping[str, int]:
        counters = self._counters
        keys = ("dropped", "unsent", "failed", "tcp_connections", "tcp_refused", "tcp_evicted")
        return {key: getattr(counters, key) for key in keys}

    def outcomes(self) -> Mapping[str, Mapping[str, int]]:
        return {"transfers": self._counters.transfers.copy(), "notifies": self._counters.notifies.copy()}


def _metric_type(qtype: bytes) -> str:
    """The type's name; types without one share a label, or strangers could make 65,536 of them."""
    text = type_to_text(int.from_bytes(qtype, "big")) if qtype else "none"
    return "other" if text.startswith("TYPE") else text


def _cannot_listen(endpoint: Endpoint, error: OSError) -> CannotStart:
    if error.errno == errno.EACCES:
        reason = f"permission denied: port {endpoint.port} needs CAP_NET_BIND_SERVICE (the systemd unit gives it)"
        return CannotStart(f"cannot listen on {endpoint}: {reason}", os.EX_NOPERM)
    if error.errno == errno.EADDRINUSE:
        hint = " (systemd-resolved? deploy/INSTALL.md says what to do)" if endpoint.port == 53 else ""
        return CannotStart(f"cannot listen on {endpoint}: another program uses this port{hint}", os.EX_UNAVAILABLE)
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotStart(f"cannot listen on {endpoint}: this host does not have that address", os.EX_UNAVAILABLE)
    return CannotStart(f"cannot listen on {endpoint}: {error.strerror or error}", os.EX_OSERR)


def _allow_files(number: int) -> None:
    """Raises the limit of file descriptors as far as it may be: a shell's 1,024 are fewer than the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < number:
        log.warning("at most %d file descriptors are allowed, %d may be needed: lower tcp.connections", wanted, number)


async def _answers(endpoint: Endpoint) -> bool:
    """Asks the server at `endpoint` over UDP and waits for any answer."""
    host = endpoint.host
    loopback = "::1" if host.version == 6 else "127.0.0.1"
    address = loopback if host.is_unspecified else str(host)
    query = os.urandom(2) + b"\0\0\0\1\0\0\0\0\0\0\x02id\x06server\0\0\x10\0\3"
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if host.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect((address, endpoint.port))
            await loop.sock_sendall(sock, query)
            async with asyncio.timeout(SELF_QUERY_SECONDS):
                while True:
                    if (await loop.sock_recv(sock, 512))[:2] == query[:2]:
                        return True
        except (OSError, TimeoutError):
            return False
