"""One batch of zones in BIND, NSD, Knot and authdns, and questions to all four at once.

Zones come in groups: those of one group are below one another, those of two never are.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from authdns.wire import name as names
from authdns.wire.types import Type
from tests.differential.comparison import OURS, understood
from tests.differential.questions import PLAIN, Question
from tests.differential.zones import ZoneText
from tests.peers import Authdns, Bind, Endpoint, Knot, NameServer, Nsd, ServerDied, Zone
from tests.peers.signing import SigningFailed, sign

Group = tuple[ZoneText, ...]
Wires = dict[str, bytes | None]  # what each server sent
SECONDS = 3.0
START_SECONDS = 60.0
SETTLED_SECONDS = 3.0  # without another zone having come up


class LenientBind(Bind):
    """BIND that takes all that its peers take."""

    def write_configuration(self) -> None:
        super().write_configuration()
        file = self.folder / "named.conf"
        more = (
            "check-names primary ignore; check-integrity no; check-wildcard no; check-mx ignore; "
            "check-mx-cname ignore; check-srv-cname ignore; check-dup-records ignore; check-spf ignore; "
            "max-records-per-type 0; max-types-per-name 0; zero-no-soa-ttl no; "
        )
        file.write_text(file.read_text().replace("options {", "options {" + more, 1))


class Asker:
    """One UDP socket and, when there is need, one TCP connection to one server."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.settimeout(SECONDS)
        self._udp.connect(endpoint)
        self._tcp: socket.socket | None = None

    def close(self) -> None:
        self._udp.close()
        if self._tcp is not None:
            self._tcp.close()

    def send(self, query: bytes) -> None:
        self._udp.send(query)

    def receive(self, queries: Sequence[bytes]) -> list[bytes | None]:
        """The responses to `queries`, which are sent once more if none come."""
        missing = {query[:2]: query for query in queries}
        found: dict[bytes, bytes] = {}
        for attempt in range(2):
            try:
                while missing:
                    response = self._udp.recv(65_535)
                    if missing.pop(response[:2], None):
                        found[response[:2]] = response
            except TimeoutError:
                for query in missing.values() if attempt == 0 else ():
                    self.send(query)
            except ConnectionRefusedError:
                break
        return [found.get(query[:2]) for query in queries]

    def over_tcp(self, query: bytes) -> bytes | None:
        for _ in range(2):
            try:
                if self._tcp is None:
                    self._tcp = socket.create_connection(self._endpoint, timeout=SECONDS)
                self._tcp.sendall(len(query).to_bytes(2, "big") + query)
                return self._exactly(int.from_bytes(self._exactly(2), "big"))
            except OSError:  # a server may close a connection whenever it likes
                if self._tcp is not None:
                    self._tcp.close()
                self._tcp = None
        return None

    def _exactly(self, octets: int) -> bytes:
        assert self._tcp is not None
        found = b""
        while len(found) < octets:
            more = self._tcp.recv(octets - len(found))
            if not more:
                raise ConnectionResetError
            found += more
        return found


class Panel:
    """Several servers that are asked the same."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._askers = {name: Asker(endpoint) for name, endpoint in endpoints.items()}
        self._ident = 0

    def close(self) -> None:
        for asker in self._askers.values():
            asker.close()

    def _next_ident(self) -> int:
        self._ident = self._ident % 0xFFFF + 1
        return self._ident

    def _among(self, wanted: Iterable[str] | None) -> dict[str, Asker]:
        if wanted is None:
            return self._askers
        chosen = set(wanted)
        return {name: asker for name, asker in self._askers.items() if name in chosen}

    def ask(self, question: Question, among: Iterable[str] | None = None) -> Wires:
        """What each of the servers (or of those `among` them) answers."""
        if question.mode.tcp:
            query = question.packet(self._next_ident())
            return {name: asker.over_tcp(query) for name, asker in self._among(among).items()}
        return self.ask_together([question], among)[0]

    def ask_together(self, questions: Sequence[Question], among: Iterable[str] | None = None) -> list[Wires]:
        """The same for a few questions over UDP that are sent without waiting for the responses."""
        queries = [question.packet(self._next_ident()) for question in questions]
        asked = self._among(among)
        for asker in asked.values():
            for query in queries:
                asker.send(query)
        received = {name: asker.receive(queries) for name, asker in asked.items()}
        return [{name: wires[number] for name, wires in received.items()} for number in range(len(queries))]


class Batch:
    """The four servers with the zones of `groups`; `unsigned` says which zones no signer took."""

    KINDS: Sequence[type[NameServer]] = (LenientBind, Nsd, Knot, Authdns)

    def __init__(self, folder: Path, groups: Sequence[Group]) -> None:
        self.folder = folder
        self.groups = groups
        self.unsigned: dict[str, str] = {}  # origin -> what the signer said
        self.served: dict[str, frozenset[str]] = {}  # origin -> names of servers
        self.crashed: list[str] = []  # peers that did not live to answer
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            texts = [zone for group in self.groups for zone in group]
            zones = self._written(texts)
            self.apexes = frozenset(names.from_text(zone.origin).lower() for zone in texts)
            self.servers = {kind.name: kind(self.folder / kind.name, zones) for kind in self.KINDS}
            for server in self.servers.values():
                self._stack.callback(server.stop)
                server.launch()
            for name, server in list(self.servers.items()):
                try:
                    server.wait_until_answering(START_SECONDS)
                except ServerDied:
                    if name == OURS:
                        raise
                    del self.servers[name]  # a zone that crashes one of the peers says nothing about authdns
                    self.crashed.append(name)
            self.panel = Panel({name: server.endpoint for name, server in self.servers.items()})
            self._stack.callback(self.panel.close)
            self._wait_for([zone for zone in texts if zone.origin not in self.unsigned])
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _written(self, zones: Sequence[ZoneText]) -> list[Zone]:
        def write(number: int, zone: ZoneText) -> Zone | None:
            file = self.folder / f"{number}.zone"
            file.write_text(str(zone))
            if zone.signed is not None:
                try:
                    file = sign(file, zone.origin, zone.signed, self.folder / f"{number}.signed")
                except SigningFailed as error:
                    self.unsigned[zone.origin] = str(error)
                    return None
            return Zone(zone.origin.rstrip(".") or ".", file)

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return [zone for zone in pool.map(write, range(len(zones)), zones) if zone is not None]

    def _wait_for(self, zones: Iterable[ZoneText]) -> None:
        """Until each server serves all zones, or no more are coming."""
        missing = {(zone.origin, name) for zone in zones for name in self.servers}
        self.served = {zone.origin: frozenset() for zone in zones}
        since = time.monotonic()
        while missing and time.monotonic() < since + SETTLED_SECONDS:
            found = {each for each in missing if self._serves(*each)}
            for origin, name in found:
                self.served[origin] |= {name}
            if found:
                since = time.monotonic()
                missing -= found
            else:
                time.sleep(0.05)

    def _serves(self, origin: str, name: str) -> bool:
        wires = self.panel.ask(Question(names.from_text(origin), Type.SOA, PLAIN), [name])
        response = understood(wires[name], ())
        return response.rcode == "NOERROR" and "AA" in response.flags

    def log_of(self, origin: str, name: str = OURS) -> str:
        """What a server logged about a zone that it does not serve: errors first."""
        zone = re.compile(rf"(?<![^\s'\"\[/]){re.escape(origin.rstrip('.') or '.')}(?![^\s'\"\]./:])", re.IGNORECASE)
        lines = [line for line in self.servers[name].log_text().splitlines() if zone.search(line)]
        return "\n".join(sorted(lines, key=lambda line: "error" not in line.lower())[:10])
