"""NOTIFY over sockets: the shell around transfer/notify.py, and finding out whom to tell.

Each local address has a socket of its own with a random port. What comes back is matched by the machine; what does not
match is ignored until the deadline. Names of servers outside the zone are looked up by the system's resolver, in the
background: nothing waits for it.
"""

import asyncio
import ipaddress
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Sequence

from authdns.config import Endpoint, ZonePolicy
from authdns.server.background import in_background
from authdns.server.events import about
from authdns.server.keys import Keys
from authdns.server.listen import source_for
from authdns.server.log import log, stranger_log
from authdns.transfer.notify import Ignored, Notifier, Outcome, Send, Target, ignored_text, outcome_text
from authdns.transfer.policy import Address
from authdns.wire import name as names
from authdns.wire.tsig import key_text
from authdns.wire.types import Type
from authdns.zone.zone import Zone, find_rrset

RESOLVE_SECONDS = 10.0
LOOKUPS_AT_ONCE = 8
KEPT_SECONDS = 60.0  # addresses of servers outside, and which addresses are our own
DNS_PORT = 53


class NotifyService:
    """Sends NOTIFY for published zones. `keys` are those of TSIG now."""

    def __init__(self, listen: Sequence[Endpoint], keys: Callable[[], Keys] = dict) -> None:
        self._keys = keys
        self._listen = listen
        self._only_loopback = all(endpoint.host.is_loopback for endpoint in listen)
        self._ended: Callable[[Outcome, bool], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._notifier = Notifier(lambda: secrets.randbelow(65536))
        self._announced: dict[bytes, int] = {}  # by apex, the version that was announced last
        self._sockets: dict[str, socket.socket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._poll_scheduled = False
        self._tasks: dict[asyncio.Task[None], bytes] = {}  # lookups under way -> the apex that they are for
        self._lookups = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self._found: dict[bytes, tuple[float, asyncio.Future[list[Address]]]] = {}  # server -> (when asked, addresses)
        self._ours: dict[tuple[Address, int], tuple[float, bool]] = {}  # (when found out, whether it is ourselves)
        self._complained: dict[Target, float] = {}  # when a failure to send was last logged

    def on_end(self, ended: Callable[[Outcome, bool], None]) -> None:
        """`ended(outcome, done)` will hear of the end of each NOTIFY; `done`: it was the zone's last one under way."""
        self._ended = ended

    def announce(self, zone: Zone, policy: ZonePolicy) -> None:
        """Starts telling everybody about the zone's serial."""
        self._announced[zone.apex] = zone.soa.serial  # not the zone: a million records would live as long
        targets = self._configured_targets(zone, policy)
        apex_servers = _name_servers(zone) if policy.notify_ns else []
        outside = []
        for server in apex_servers:
            if names.is_at_or_below(server, zone.apex):
                targets += _targets(server, _addresses_in(zone, server))
            else:
                outside.append(server)
        self._start(zone, targets)
        if outside and not self._only_loopback:
            task = self._loop.create_task(self._announce_outside(zone, outside, targets))
            self._tasks[task] = zone.apex
            task.add_done_callback(self._tasks.pop)

    def _configured_targets(self, zone: Zone, policy: ZonePolicy) -> list[Target]:
        """What the configuration names, with the name of the secondary it belongs to, and its key."""
        owners = {target: secondary for secondary in policy.secondaries for target in secondary.notify_to}
        targets = []
        for endpoint in policy.notify:
            owner = owners.get(endpoint)
            label = "configured" if owner is None else owner.name_key
            wanted = None if owner is None else owner.key
            key = None if wanted is None else self._keys().get(wanted)
            if wanted is not None and key is None:  # its file could not be read
                zone_name, key_name = names.zone_text(zone.apex), key_text(wanted)
                log.warning(
                    "zone %s/IN: no notify to %s (%s): there is no key %s", zone_name, endpoint, label, key_name
                )
                continue
            targets.append(Target(endpoint.host, endpoint.port, label, key))
        return targets

    async def _announce_outside(self, zone: Zone, servers: list[bytes], known: list[Target]) -> None:
        """Servers of other people's domains: their addresses take a lookup. (The last dot stays: no search list.)"""
        targets: list[Target] = []
        for server in servers:
            try:
                async with self._lookups, asyncio.timeout(RESOLVE_SECONDS):
                    found = await asyncio.shield(self._looked_up(server))
            except (OSError, TimeoutError, UnicodeError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                log.warning(
                    "zone %s/IN: no notify to %s: its address could not be found (%s)",
                    names.zone_text(zone.apex),
                    names.zone_text(server),
                    reason or "no answer from the resolver",
                )
                continue
            targets += _targets(server, found)
        if self._announced.get(zone.apex) != zone.soa.serial:
            return  # a newer version was announced meanwhile, or the zone is gone
        already = {target.address for target in known}
        self._start(zone, [target for target in targets if target.address not in already])

    def _looked_up(self, server: bytes) -> "asyncio.Future[list[Address]]":
        """By the system's resolver, once for all zones that ask within KEPT_SECONDS. In a thread that nobody has to
        wait for: a lookup that hangs must not keep the process from ending, as one in asyncio's own pool would."""
        asked, known = self._found.get(server, (0.0, None))
        if known is not None and self._loop.time() - asked < KEPT_SECONDS:
            return known
        result = in_background(lambda: _addresses(server), "lookup")
        self._found[server] = (self._loop.time(), result)
        return result

    def _start(self, zone: Zone, targets: Iterable[Target]) -> None:
        wanted = {(target.address, target.port): target for target in reversed(list(targets))}
        told = []
        for target in wanted.values():
            if reason := self._not_told(target):
                log.debug("zone %s/IN: no notify to %s: %s", names.zone_text(zone.apex), target, reason)
            else:
                told.append(target)
        if told:
            log.info("zone %s/IN: sending notifies (serial %d)", names.zone_text(zone.apex), zone.soa.serial)
            self._notifier.zone_changed(zone.apex, zone.soa.serial, zone.soa_rrset, told, self._loop.time())
            if not self._poll_scheduled:  # once for all zones of this turn
                self._poll_scheduled = True
                self._loop.call_soon(self._poll)

    def _not_told(self, target: Target) -> str | None:
        """Why this target hears nothing, if so."""
        if self._only_loopback and not target.address.is_loopback:
            return "we listen on loopback only, so nobody else could ask us"
        key = (target.address, target.port)
        found_out, ours = self._ours.get(key, (0.0, False))
        if self._loop.time() - found_out > KEPT_SECONDS or not found_out:
            ours = self._is_ourselves(target)
            self._ours[key] = (self._loop.time(), ours)
        return "that is us" if ours else None

    def _is_ourselves(self, target: Target) -> bool:
        """A socket can be bound to an address of this host and to no other. (Loopback: only what we listen on.)"""
        ports = [endpoint.port for endpoint in self._listen if endpoint.host.version == target.address.version]
        if target.port not in ports:
            return False
        if target.address.is_loopback:
            return any(endpoint.host in (target.address, _wildcard(target)) for endpoint in self._listen)
        family = socket.AF_INET6 if target.address.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((str(target.address), 0))
            except OSError:
                return False
        return True

    def forget(self, apex: bytes) -> None:
        """The zone is no longer served."""
        self._announced.pop(apex, None)
        self._notifier.forget(apex)

    def _poll(self) -> None:
        self._poll_scheduled = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sends, outcomes = self._notifier.poll(self._loop.time(), int(time.time()))
        for send in sends:
            try:
                self._socket_for(send.target).sendto(send.wire, (str(send.target.address), send.target.port))
            except OSError as error:
                self._complain(send, error)
        for outcome in outcomes:
            self._end(outcome)
        deadline = self._notifier.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._poll)

    def _complain(self, send: Send, error: OSError) -> None:
        """Once a minute for each target: a thousand zones may have the same one."""
        now = self._loop.time()
        if now - self._complained.get(send.target, -KEPT_SECONDS) >= KEPT_SECONDS:
            self._complained[send.target] = now
            zone = names.zone_text(send.apex)
            reason = error.strerror or error
            log.warning("zone %s/IN: notify to %s (%s): %s", zone, send.target, send.target.label, reason)

    def _end(self, outcome: Outcome) -> None:
        (log.info if outcome.rcode == 0 else log.warning)("%s", outcome_text(outcome), extra=about(outcome.apex))
        if self._ended is not None:
            under_way = self._notifier.waits_for(outcome.apex) or outcome.apex in self._tasks.values()
            self._ended(outcome, not under_way)

    def _socket_for(self, target: Target) -> socket.socket:
        """Bound to the address that the secondary knows us by, if we listen on one; else the kernel chooses."""
        source = source_for(self._listen, target.address)
        sock = self._sockets.get(source)
        if sock is None:
            family = socket.AF_INET6 if target.address.version == 6 else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                sock.bind((source, 0))
            except OSError:
                sock.close()
                raise
            self._loop.add_reader(sock, self._readable, sock)
            self._sockets[source] = sock
        return sock

    def _readable(self, sock: socket.socket) -> None:
        try:
            wire, source = sock.recvfrom(4096)
        except OSError:
            return  # ICMP: port unreachable; the deadline decides
        address = ipaddress.ip_address(source[0].partition("%")[0])
        outcome = self._notifier.receive(wire, address, source[1], int(time.time()))
        if isinstance(outcome, Ignored):
            stranger_log.warning("%s", ignored_text(outcome))
        elif outcome is not None:
            self._end(outcome)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()


def _wildcard(target: Target) -> Address:
    return ipaddress.ip_address("::" if target.address.version == 6 else "0.0.0.0")


def _name_servers(zone: Zone) -> list[bytes]:
    """The apex NS targets but the primary itself, which MNAME names (RFC 1996 §2.1, §3.5)."""
    ns = find_rrset(zone.names[zone.apex], Type.NS)
    primary = zone.soa.mname.lower()
    return [] if ns is None else [rdata.lower() for rdata in ns.rdatas if rdata.lower() != primary]


def _addresses_in(zone: Zone, server: bytes) -> list[Address]:
    return [
        ipaddress.ip_address(rdata)
        for rrset in zone.names.get(server, ())
        if rrset.type in (Type.A, Type.AAAA)
        for rdata in rrset.rdatas
    ]


def _addresses(server: bytes) -> list[Address]:
    """By the system's resolver. Raises OSError or UnicodeError."""
    entries = socket.getaddrinfo(names.to_text(server), DNS_PORT, type=socket.SOCK_DGRAM, flags=socket.AI_ADDRCONFIG)
    return [ipaddress.ip_address(entry[4][0]) for entry in entries]


def _targets(server: bytes, addresses: Iterable[Address]) -> list[Target]:
    return [Target(address, DNS_PORT, names.zone_text(server)) for address in addresses]
