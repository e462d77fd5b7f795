"""BIND, NSD, Knot and unbound: the least configuration each of them needs.

As a secondary, each accepts NOTIFY from its primary's address and lets loopback transfer the zone, so that a test can
read what arrived. Zones carry long refresh times in the tests, so what arrives in time came by NOTIFY.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.peers.process import Endpoint, NameServer, TsigKey, Zone, runnable

LOOPBACK = ("127.0.0.1", "::1")  # not all of 127.0.0.0/8: 127.0.0.2 is the stranger in the tests


class Bind(NameServer):
    """`named` with one worker, no control channel and no recursion."""

    name: ClassVar[str] = "bind"

    def write_configuration(self) -> None:
        listen = "listen-on-v6" if ":" in self.address else "listen-on"
        other = "listen-on" if ":" in self.address else "listen-on-v6"
        options = f"""
            directory "{self.folder}";
            {listen} port {self.port} {{ {self.address}; }};
            {other} {{ none; }};
            pid-file none;
            session-keyfile none;
            recursion no;
            dnssec-validation no;
            empty-zones-enable no;
            notify explicit;
            notify-delay 0;
            allow-transfer {{ {"; ".join(LOOPBACK)}; }};
            minimal-responses no-auth;
            rrset-order {{ order none; }};
            zone-statistics none;
            """
        silence = "logging { category default { null; }; category unmatched { null; }; };" if self.quiet else ""
        keys = "".join(
            f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret}"; }};\n' for key in self.keys
        )
        zones = "\n".join(self._zone(zone) for zone in self.zones)
        text = f"options {{{options}}};\ncontrols {{ }};\n{silence}\n{keys}{zones}\n"
        (self.folder / "named.conf").write_text(text)

    def _zone(self, zone: Zone) -> str:
        notify = "".join(f"{each.address} port {each.port}; " for each in zone.notify)
        if zone.file is not None:
            return f'zone "{zone.name}" {{ type primary; file "{zone.file}"; also-notify {{ {notify}}}; }};'
        assert zone.primary is not None
        key = f' key "{zone.key.name}"' if zone.key else ""
        primary = f"{zone.primary.address} port {zone.primary.port}{key};"
        return (
            f'zone "{zone.name}" {{ type secondary; file "{zone.name}.copy"; masterfile-format text; '
            f"primaries {{ {primary} }}; also-notify {{ {notify}}}; }};"
        )

    def command(self) -> list[str]:
        foreground = "-f" if self.quiet else "-g"  # -g also sends every message to standard error
        named = runnable("named", self.folder)
        return [named, foreground, "-n", "1", "-X", "none", "-c", str(self.folder / "named.conf")]


class Nsd(NameServer):
    """`nsd` with one server process, and without its rate limiting, which is on by default.

    Without a database it reads the zone files at start and on SIGHUP.
    """

    name: ClassVar[str] = "nsd"

    def write_configuration(self) -> None:
        transfers = self.folder / "transfers"
        transfers.mkdir(exist_ok=True)
        server = f"""server:
            ip-address: {self.address}@{self.port}
            server-count: 1
            username: ""
            database: ""
            zonesdir: "{self.folder}"
            pidfile: ""
            zonelistfile: "{self.folder}/zone.list"
            xfrdfile: "{self.folder}/xfrd.state"
            xfrdir: "{transfers}"
            xfrd-reload-timeout: 0
            rrl-ratelimit: 0
            minimal-responses: {"yes" if self.quiet else "no"}
            verbosity: {0 if self.quiet else 2}
        remote-control:
            control-enable: no
        """
        keys = "".join(
            f'key:\n    name: {key.name}\n    algorithm: {key.algorithm}\n    secret: "{key.secret}"\n'
            for key in self.keys
        )
        zones = "\n".join(self._zone(zone) for zone in self.zones)
        (self.folder / "nsd.conf").write_text(server + "\n" + keys + zones + "\n")

    def _zone(self, zone: Zone) -> str:
        lines = ["zone:", f"    name: {zone.name}"]
        lines += [f"    provide-xfr: {network} NOKEY" for network in LOOPBACK]
        lines += [f"    notify: {each.address}@{each.port} NOKEY" for each in zone.notify]
        if zone.primary is not None:
            key = zone.key.name if zone.key else "NOKEY"
            lines += [
                f"    zonefile: {self.folder}/{zone.name}.copy",
                f"    request-xfr: {zone.primary.address}@{zone.primary.port} {key}",
                f"    allow-notify: {zone.primary.address} {key}",
            ]
        else:
            lines.append(f"    zonefile: {zone.file}")
        return "\n".join(lines)

    def command(self) -> list[str]:
        return [runnable("nsd", self.folder), "-d", "-c", str(self.folder / "nsd.conf")]


class Knot(NameServer):
    """`knotd` with one worker of each kind; zone files are read at start and on SIGHUP, and not written to."""

    name: ClassVar[str] = "knot"

    def write_configuration(self) -> None:
        remotes: dict[Endpoint, str] = {}
        signed: dict[Endpoint, TsigKey] = {}
        for zone in self.zones:
            for each in (*zone.notify, *((zone.primary,) if zone.primary else ())):
                remotes.setdefault(each, f"remote{len(remotes)}")
            if zone.primary is not None and zone.key is not None:
                signed[zone.primary] = zone.key
        text = f"""server:
    rundir: "{self.folder}"
    listen: {self.address}@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: {"error" if self.quiet else "info"}
{self._keys()}database:
    storage: "{self.folder}/database"
    journal-db-max-size: 64M
    timer-db-max-size: 16M
    kasp-db-max-size: 16M
    catalog-db-max-size: 16M
acl:
  - id: transfer
    address: [{", ".join(LOOPBACK)}]
    action: transfer
  - id: notify
    address: [{", ".join(LOOPBACK)}]
    action: notify
{self._notify_with_keys()}{self._remotes(remotes, signed)}
template:
  - id: default
    storage: "{self.folder}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
"""
        text += "\n".join(self._zone(zone, remotes) for zone in self.zones)
        (self.folder / "knot.conf").write_text(text + "\n")

    def _keys(self) -> str:
        lines = [f"  - id: {key.name}\n    algorithm: {key.algorithm}\n    secret: {key.secret}\n" for key in self.keys]
        return "".join(["key:\n", *lines]) if lines else ""

    def _notify_with_keys(self) -> str:
        rest = f"    address: [{', '.join(LOOPBACK)}]\n    action: notify\n"
        return "".join(f"  - id: notify-{key.name}\n    key: {key.name}\n{rest}" for key in self.keys)

    @staticmethod
    def _remotes(remotes: dict[Endpoint, str], signed: dict[Endpoint, TsigKey]) -> str:
        if not remotes:
            return ""
        lines = []
        for each, name in remotes.items():
            key = f"\n    key: {signed[each].name}" if each in signed else ""
            lines.append(f"  - id: {name}\n    address: {each.address}@{each.port}{key}")
        return "\n".join(["remote:", *lines])

    @staticmethod
    def _zone(zone: Zone, remotes: dict[Endpoint, str]) -> str:
        lines = [f"  - domain: {zone.name}"]
        if zone.notify:
            lines.append(f"    notify: [{', '.join(remotes[each] for each in zone.notify)}]")
        if zone.primary is not None:
            lines += [
                f"    file: {zone.name}.copy",
                f"    master: {remotes[zone.primary]}",
                f"    acl: [transfer, {f'notify-{zone.key.name}' if zone.key else 'notify'}]",
            ]
        else:
            lines += [f'    file: "{zone.file}"', "    acl: [transfer]"]
        return "\n".join(lines)

    def command(self) -> list[str]:
        return [runnable("knotd", self.folder), "-c", str(self.folder / "knot.conf")]


class Unbound(NameServer):
    """A resolver that asks `Zone.primary` for the names of each zone, and can reach nothing but loopback.

    Delegations out of those zones are followed by their glue (on port 53, as every resolver does). With `forward` it
    asks the given servers as a forwarder does (RD set) in place of resolving.

    With `anchors`, lines of DS or DNSKEY, it validates what lies below them, and logs why something is bogus. What it
    has seen denied it then does not use to answer other questions, unless `more` (lines of the section `server`) says
    so: each question gets to the server under test.
    """

    name: ClassVar[str] = "unbound"

    def __init__(
        self,
        folder: Path,
        zones: Sequence[Zone] = (),
        *,
        forward: bool = False,
        anchors: Sequence[str] = (),
        more: str = "",
        **settings: Any,
    ) -> None:
        super().__init__(folder, zones, **settings)
        self.forward = forward
        self.anchors = tuple(anchors)
        self.more = more

    def write_configuration(self) -> None:
        text = f"""server:
    interface: {self.address}
    port: {self.port}
    outgoing-interface: 127.0.0.1
    do-ip6: no
    do-daemonize: no
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    username: ""
    chroot: ""
    directory: "{self.folder}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    verbosity: {0 if self.quiet else 1 if self.anchors else 2}
    num-threads: 1
    module-config: "{"validator " if self.anchors else ""}iterator"
    target-fetch-policy: "0 0 0 0 0"
    minimal-responses: no
{self._validation()}{self.more}
remote-control:
    control-enable: no
"""
        for zone in self.zones:
            kind, address = ("forward-zone", "forward-addr") if self.forward else ("stub-zone", "stub-addr")
            assert zone.primary is not None, "unbound serves no zone files"
            text += f'{kind}:\n    name: "{zone.name}"\n'
            text += f"    {address}: {zone.primary.address}@{zone.primary.port}\n"
        (self.folder / "unbound.conf").write_text(text)

    def _validation(self) -> str:
        if not self.anchors:
            return ""
        lines = [f"    trust-anchor: '{anchor}'" for anchor in self.anchors]
        lines += [
            "    val-log-level: 2",
            "    ede: yes",
            "    aggressive-nsec: no",
            "    harden-below-nxdomain: no",
            "    qname-minimisation: no",
        ]
        return "\n".join(lines) + "\n"

    def command(self) -> list[str]:
        return [runnable("unbound", self.folder), "-d", "-c", str(self.folder / "unbound.conf")]
