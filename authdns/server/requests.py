"""Requests whose answer depends on who asks: transfers and NOTIFY. The policy decides, this module carries it out and
logs it.

Who asks is the source address, where the Responder has verified TSIG the key, and what TLS has proved if it came over
that. With a key all that is answered is signed.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from itertools import islice
from typing import Any, Protocol

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import MAX_TCP_OCTETS, PLAIN_UDP_OCTETS, Responder
from authdns.server import events
from authdns.server.counters import Counters
from authdns.server.log import log, stranger_log
from authdns.server.tcp import Transfer
from authdns.transfer.outbound import Message, axfr, ixfr
from authdns.transfer.policy import Address, Identity, Rule, Tls, decide, plain
from authdns.wire import name as names
from authdns.wire.query import Query
from authdns.wire.serial import is_newer
from authdns.wire.tsig import Fault, Signer, key_text
from authdns.wire.types import Opcode, Rcode, Type, type_to_text
from authdns.zone.delta import Delta, condensed, decode

NARROW_PREFIX_BITS = {4: 24, 6: 56}  # a prefix as long is somebody's own network

# An answer by UDP has room for a thousand octets or so. Longer histories are not even read: it takes a second for the
# longest, and who asks by UDP may have forged the address that is allowed to.
MAX_HISTORY_OVER_UDP_OCTETS = 64 << 10
MAX_HISTORY_OCTETS = 2 << 20  # as kept; of more, to read and condense it would hold up others, and AXFR does not

Source = tuple[Any, ...]


class History(Protocol):
    """See Store.history."""

    def __call__(self, apex: bytes, serial: int, until: int, *, most: int | None = None) -> list[bytes]: ...


class Requests:
    """Answers what a Responder hands back. `rules` maps each apex to who may transfer it; `all_rules` gives each
    network with each key once; `history` gives the deltas from one serial to another, if they are known.
    `notify_rules` maps the apex of each secondary zone to who may send NOTIFY; `notified` takes one from an address,
    with the serial that it may hold, and says what becomes of it."""

    def __init__(self, table: ZoneTable, counters: Counters, payload: int) -> None:
        self.rules: Mapping[bytes, tuple[Rule, ...]] = {}
        self.all_rules: Callable[[], tuple[Rule, ...]] = lambda: ()
        self.history: History = lambda apex, serial, until, *, most=None: []
        self.notify_rules: Mapping[bytes, tuple[Rule, ...]] = {}
        self.notified: Callable[[bytes, Address, int | None], str] = lambda apex, address, serial: ""
        self._table = table
        self._counters = counters
        self._payload = payload

    def may_transfer(self, address: Address) -> bool:
        """True if the address may transfer some zone: it has a place even when all are taken. Whom a wide prefix
        (0.0.0.0/0) lets in is as much a stranger as anybody; and so is, until it has signed, whom a key alone does."""
        return any(
            rule.network is not None
            and rule.network.prefixlen >= NARROW_PREFIX_BITS[rule.network.version]
            and rule.has_address(address)
            for rule in self.all_rules()
        )

    def over_udp(self, responder: Responder, request: bytes, query: Query, source: Source) -> bytes:
        """IXFR may come by UDP (RFC 1995 §2): the SOA alone says "use TCP". AXFR may not (RFC 5936 §4.2)."""
        if query.opcode == Opcode.NOTIFY:
            return self._notify(responder, request, query, source)
        if query.qtype == Type.AXFR:
            return responder.refuse(request, query, Rcode.FORMERR)
        refusal = self._refusal(responder, request, query, source, None)
        if refusal is not None:
            return refusal
        served = self._table.by_apex[query.qname]
        assert isinstance(served, ServedZone), "_refusal answers for the others"
        delta = self._delta(served, query, MAX_HISTORY_OVER_UDP_OCTETS)
        if delta is not None and query.ixfr_serial != served.zone.soa.serial:
            messages = list(islice(ixfr(served.zone, delta, query, self._payload), 2))
            limit = PLAIN_UDP_OCTETS if query.edns is None else min(query.edns.payload, self._payload)
            signer = query.signer
            if len(messages) == 1 and len(messages[0].wire) <= limit - (0 if signer is None else signer.octets):
                self._counters.transfer("completed")
                about, serial = _transfer_of(source, query), served.zone.soa.serial
                event = events.about(query.qname)
                to = stranger_log if signer is None else log  # the address may be forged
                to.info("%s: IXFR over UDP (serial %d%s)", about, serial, _proofs(query, None), extra=event)
                return messages[0].wire if signer is None else signer.sign(messages[0].wire, signer.verified_at)
        return responder.soa_alone(request, query)

    def over_tcp(
        self, responder: Responder, request: bytes, query: Query, source: Source, tls: Tls | None = None
    ) -> bytes | Transfer:
        if query.opcode == Opcode.NOTIFY:
            return self._notify(responder, request, query, source)
        refusal = self._refusal(responder, request, query, source, tls)
        if refusal is not None:
            return refusal
        served = self._table.by_apex[query.qname]
        assert isinstance(served, ServedZone), "_refusal answers for the others"
        serial = served.zone.soa.serial
        if query.ixfr_serial is not None and not is_newer(serial, query.ixfr_serial):
            self._counters.transfer("up to date")
            log.info("%s: IXFR: up to date (serial %d%s)", _transfer_of(source, query), serial, _proofs(query, tls))
            return responder.soa_alone(request, query)
        return self._transfer(served, query, source, tls)

    def _delta(self, served: ServedZone, query: Query, most: int = MAX_HISTORY_OCTETS) -> Delta | None:
        """What the asker of an IXFR lacks; None if that is not known, or the zone itself is shorter, or more than
        `most` octets are kept of it."""
        if query.ixfr_serial is None:
            return None
        zone = served.zone
        wanted = zone.apex, query.ixfr_serial, zone.soa.serial
        try:
            deltas = [decode(each) for each in self.history(*wanted, most=most)]
        except (sqlite3.Error, ValueError) as error:
            log.error("zone %s/IN: its history cannot be read: %s", names.zone_text(zone.apex), error)
            return None
        delta = condensed(deltas) if deltas else None
        return delta if delta is not None and len(delta) < zone.records else None

    def _refusal(
        self, responder: Responder, request: bytes, query: Query, source: Source, tls: Tls | None
    ) -> bytes | None:
        served = self._table.by_apex.get(query.qname)
        if served is None:  # RFC 5936 §2.2.1: not authoritative
            self._log_denied(source, query, "it is not one of our zones")
            return responder.refuse(request, query, Rcode.NOTAUTH)
        decision = decide(self.rules.get(query.qname, ()), _identity(query, source, tls))
        if not decision.allowed:
            self._counters.transfer("refused")
            self._log_denied(source, query, decision.reason, event=True)
            return responder.refuse(request, query, Rcode.REFUSED)
        if not isinstance(served, ServedZone):
            self._log_denied(source, query, f"it is not loaded: {served.reason}")
            return responder.refuse(request, query, Rcode.SERVFAIL)
        return None

    def _notify(self, responder: Responder, request: bytes, query: Query, source: Source) -> bytes:
        """RFC 1996 §3.10, §3.11: from a primary of a zone that is secondary here, or from who else may send it."""
        zone, about = names.zone_text(query.qname), client(source)
        rules = self.notify_rules.get(query.qname)
        if rules is None:
            self._counters.incoming_notifies["notauth"] += 1
            stranger_log.warning("%s: notify for '%s/IN' refused: it is not one of our secondary zones", about, zone)
            return responder.refuse(request, query, Rcode.NOTAUTH)
        identity = _identity(query, source, None)  # it comes in cleartext, or might as well
        decision = decide(rules, identity)
        if not decision.allowed:
            self._counters.incoming_notifies["refused"] += 1
            event = events.about(query.qname)
            stranger_log.warning("%s: notify for '%s/IN' refused: %s", about, zone, decision.reason, extra=event)
            return responder.refuse(request, query, Rcode.REFUSED)
        self._counters.incoming_notifies["accepted"] += 1
        becomes = self.notified(query.qname, plain(identity.address), query.notified_serial)
        serial = "" if query.notified_serial is None else f" (serial {query.notified_serial})"
        # By UDP the address may be forged, and nobody counts how many come.
        to = stranger_log if query.signer is None else log
        to.info("%s: notify for '%s/IN'%s%s: %s", about, zone, serial, _proofs(query, None), becomes)
        return responder.accept(request, query)

    def _log_denied(self, source: Source, query: Query, reason: str, *, event: bool = False) -> None:
        stranger_log.warning(
            "%s: zone transfer '%s/%s/IN' denied: %s",
            client(source),
            names.zone_text(query.qname),
            type_to_text(query.qtype),
            reason,
            extra=events.about(query.qname) if event else None,
        )

    def _transfer(self, served: ServedZone, query: Query, source: Source, tls: Tls | None) -> Transfer:
        about, event = _transfer_of(source, query), events.about(query.qname)
        delta = self._delta(served, query)
        kind = "AXFR" if query.qtype == Type.AXFR else "AXFR-style IXFR" if delta is None else "IXFR"
        serial = served.zone.soa.serial

        def started() -> None:
            self._counters.transfer("started")
            log.info("%s: %s started (serial %d%s)", about, kind, serial, _proofs(query, tls))

        def ended(records: int, octets: int, seconds: float, complete: bool) -> None:
            self._counters.transfer("completed" if complete else "broken off")
            if complete:
                text = "%s: %s ended: %d records, %d bytes, %.3f s (serial %d)"
                log.info(text, about, kind, records, octets, seconds, serial, extra=event)
            else:
                log.warning(
                    "%s: %s broken off by the other side after %d records, %d bytes, %.3f s",
                    about,
                    kind,
                    records,
                    octets,
                    seconds,
                    extra=event,
                )

        messages = axfr(served.zone, query, self._payload)
        if delta is not None:
            messages = ixfr(served.zone, delta, query, self._payload)
        return Transfer(messages if query.signer is None else _signed(messages, query.signer), started, ended)


def _identity(query: Query, source: Source, tls: Tls | None) -> Identity:
    key = None if query.signer is None else query.signer.key.name
    return Identity(plain(ip_address(source[0].partition("%")[0])), key, tls)


def log_distrusted(host: str, query: Query, fault: Fault) -> None:
    """A request whose TSIG was not right, whatever it asked for."""
    asked = f"{names.zone_text(query.qname)}/{type_to_text(query.qtype)}"
    stranger_log.warning("client %s: '%s': TSIG refused: %s", host, asked, fault.reason)


def _signed(messages: Iterator[Message], signer: Signer) -> Iterator[Message]:
    """Every one of them (RFC 8945 §5.3.1 would allow 99 unsigned ones in between; nobody needs them)."""
    for message in messages:
        wire = signer.sign(message.wire, int(time.time()))
        if len(wire) > MAX_TCP_OCTETS:  # one record that fills a message so that TSIG has no room; ends the transfer
            raise ValueError(f"a message of {len(message.wire)} octets has no room for TSIG")
        yield message._replace(wire=wire)


def client(source: Source) -> str:
    """`client 192.0.2.1#4242`, as BIND's log has it."""
    return f"client {source[0]}#{source[1]}"


def _transfer_of(source: Source, query: Query) -> str:
    return f"{client(source)}: transfer of '{names.zone_text(query.qname)}/IN'"


def _proofs(query: Query, tls: Tls | None) -> str:
    """What it came with besides its address."""
    key = "" if query.signer is None else f", key {key_text(query.signer.key.name)}"
    return key + ("" if tls is None else f", {tls}")
