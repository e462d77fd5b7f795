"""BIND, NSD, Knot, PowerDNS and unbound: the least configuration each of them needs.

As a secondary, each accepts NOTIFY from its primary's address and lets loopback transfer the zone, so that a test can
read what arrived. Zones carry long refresh times in the tests, so what arrives in time came by NOTIFY.

As a primary, each reads its zone files at start and when told to (`reload`), sends NOTIFY of what is new to
`Zone.notify`, and answers IXFR with the differences between the versions that it read; PowerDNS has no IXFR out, and
answers it with the whole zone.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from tests.peers.availability import find_binary
from tests.peers.process import Endpoint, NameServer, OverTls, TsigKey, Zone, runnable

LOOPBACK = ("127.0.0.1", "::1")  # not all of 127.0.0.0/8: 127.0.0.2 is the stranger in the tests

Remotes = dict[tuple[Endpoint, TsigKey | None], str]  # Knot's names of those it sends to, each with what it signs with


class Bind(NameServer):
    """`named` with one worker, no control channel and no recursion."""

    name: ClassVar[str] = "bind"

    def write_configuration(self) -> None:
        listen = "listen-on-v6" if ":" in self.address else "listen-on"
        other = "listen-on" if ":" in self.address else "listen-on-v6"
        options = f"""
            directory "{self.folder}";
            {listen} port {self.port} {{ {self.address}; }};
            {self._listen_tls(listen)}
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
            {self._catalogs()}
            """
        silence = "logging { category default { null; }; category unmatched { null; }; };" if self.quiet else ""
        keys = "".join(
            f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret}"; }};\n' for key in self.keys
        )
        ways = "".join(map(self._way, self._ways()))
        if self.certificate is not None:
            ways += (
                f'tls own {{ cert-file "{self.certificate.certificate}"; key-file "{self.certificate.private_key}"; }};'
            )
        zones = "\n".join(self._zone(zone) for zone in self.zones)
        text = f"options {{{options}}};\ncontrols {{ }};\n{silence}\n{keys}{ways}{zones}\n"
        (self.folder / "named.conf").write_text(text)
        # A zone whose file was edited while the server was down is refused if the journal does not lead up to it.
        for journal in self.folder.glob("*.journal"):
            journal.unlink()

    def _catalogs(self) -> str:
        lines = [
            f'zone "{zone.name}" default-primaries {{ {self._primary(zone)} }} in-memory yes min-update-interval 0;'
            for zone in self.zones
            if zone.groups is not None
        ]
        return f"catalog-zones {{ {' '.join(lines)} }};" if lines else ""

    @staticmethod
    def _primary(zone: Zone) -> str:
        assert zone.primary is not None
        key = f' key "{zone.key.name}"' if zone.key else ""
        tls = f' tls "{zone.tls.name}"' if zone.tls else ""
        return f"{zone.primary.address} port {zone.primary.port}{key}{tls};"

    def _listen_tls(self, listen: str) -> str:
        port = self.tls_endpoint.port
        return "" if self.certificate is None else f"{listen} port {port} tls own {{ {self.address}; }};"

    @staticmethod
    def _way(way: OverTls) -> str:
        own = f'cert-file "{way.own.certificate}"; key-file "{way.own.private_key}"; ' if way.own else ""
        return f'tls "{way.name}" {{ ca-file "{way.ca}"; remote-hostname "{way.name}"; {own}}};\n'

    def _zone(self, zone: Zone) -> str:
        signed = f' key "{zone.key_of_secondaries.name}"' if zone.key_of_secondaries else ""
        notify = "".join(f"{each.address} port {each.port}{signed}; " for each in zone.notify)
        if zone.file is not None:
            transfer = f"allow-transfer {{{signed}; }}; " if signed else ""
            return (
                f'zone "{zone.name}" {{ type primary; file "{zone.file}"; journal "{zone.name}.journal"; '
                f"ixfr-from-differences yes; {transfer}also-notify {{ {notify}}}; }};"
            )
        return (
            f'zone "{zone.name}" {{ type secondary; file "{zone.name}.copy"; masterfile-format text; '
            f"primaries {{ {self._primary(zone)} }}; also-notify {{ {notify}}}; }};"
        )

    def command(self) -> list[str]:
        foreground = "-f" if self.quiet else "-g"  # -g also sends every message to standard error
        named = runnable("named", self.folder)
        return [named, foreground, "-n", "1", "-X", "none", "-c", str(self.folder / "named.conf")]


class Nsd(NameServer):
    """`nsd` with one server process, and without its rate limiting, which is on by default.

    Without a database it reads the zone files at start and on SIGHUP. What changed it keeps beside them (FILE.ixfr).
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
            {self._bundle()}
            {self._service()}
        remote-control:
            control-enable: no
        """
        keys = "".join(
            f'key:\n    name: {key.name}\n    algorithm: {key.algorithm}\n    secret: "{key.secret}"\n'
            for key in self.keys
        )
        keys += "".join(map(self._way, self._ways()))
        zones = "\n".join(self._zone(zone) for zone in self.zones)
        (self.folder / "nsd.conf").write_text(server + "\n" + keys + zones + "\n")

    def _service(self) -> str:
        if self.certificate is None:
            return ""
        at, pem, key = self.tls_endpoint, self.certificate.certificate, self.certificate.private_key
        listen = f"ip-address: {at.address}@{at.port}\n            tls-port: {at.port}"
        return f'{listen}\n            tls-service-pem: "{pem}"\n            tls-service-key: "{key}"'

    def _bundle(self) -> str:
        return "".join(f'tls-cert-bundle: "{way.ca}"' for way in self._ways()[:1])

    @staticmethod
    def _way(way: OverTls) -> str:
        own = f'    client-cert: "{way.own.certificate}"\n    client-key: "{way.own.private_key}"\n' if way.own else ""
        return f"tls-auth:\n    name: {way.name}\n    auth-domain-name: {way.name}\n{own}"

    def _zone(self, zone: Zone) -> str:
        lines = ["zone:", f"    name: {zone.name}"]
        signed = zone.key_of_secondaries.name if zone.key_of_secondaries else "NOKEY"
        lines += [f"    provide-xfr: {network} {signed}" for network in LOOPBACK]
        lines += [f"    notify: {each.address}@{each.port} {signed}" for each in zone.notify]
        if zone.primary is not None:
            key = zone.key.name if zone.key else "NOKEY"
            way = f" {zone.tls.name}" if zone.tls else ""
            lines += [
                f"    zonefile: {self.folder}/{zone.name}.copy",
                f"    request-xfr: {zone.primary.address}@{zone.primary.port} {key}{way}",
                f"    allow-notify: {zone.primary.address} {key}",
            ]
        else:
            lines += [f"    zonefile: {zone.file}", "    store-ixfr: yes", "    create-ixfr: yes"]
        return "\n".join(lines)

    def command(self) -> list[str]:
        return [runnable("nsd", self.folder), "-d", "-c", str(self.folder / "nsd.conf")]


class Knot(NameServer):
    """`knotd` with one worker of each kind; zone files are read at start and on SIGHUP, and not written to."""

    name: ClassVar[str] = "knot"

    def write_configuration(self) -> None:
        (self.folder / "database").mkdir(exist_ok=True)  # journals, among others
        remotes: Remotes = {}
        for zone in self.zones:
            for each in zone.notify:
                remotes.setdefault((each, zone.key_of_secondaries), f"remote{len(remotes)}")
            if zone.primary is not None:
                remotes.setdefault((zone.primary, zone.key), f"remote{len(remotes)}")
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
{self._rules_with_keys()}{self._remotes(remotes)}
template:
  - id: default
    storage: "{self.folder}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
{"".join(self._templates(zone, remotes) for zone in self.zones)}zone:
"""
        text += "\n".join(self._zone(zone, remotes) for zone in self.zones)
        (self.folder / "knot.conf").write_text(text + "\n")
        (self.folder / "database").mkdir(exist_ok=True)  # without it, Knot 3.2 dies of its first catalog

    def _keys(self) -> str:
        lines = [f"  - id: {key.name}\n    algorithm: {key.algorithm}\n    secret: {key.secret}\n" for key in self.keys]
        return "".join(["key:\n", *lines]) if lines else ""

    def _rules_with_keys(self) -> str:
        return "".join(
            f"  - id: {action}-{key.name}\n    key: {key.name}\n    address: [{', '.join(LOOPBACK)}]\n"
            f"    action: {action}\n"
            for key in self.keys
            for action in ("transfer", "notify")
        )

    @staticmethod
    def _remotes(remotes: Remotes) -> str:
        if not remotes:
            return ""
        lines = []
        for (each, key), name in remotes.items():
            signed = f"\n    key: {key.name}" if key else ""
            lines.append(f"  - id: {name}\n    address: {each.address}@{each.port}{signed}")
        return "\n".join(["remote:", *lines])

    @staticmethod
    def _templates(zone: Zone, remotes: Remotes) -> str:
        """For the members of a catalog: the first template is that of those without a group."""
        if zone.groups is None or zone.primary is None:
            return ""
        notify = f"notify-{zone.key.name}" if zone.key else "notify"
        primary = remotes[zone.primary, zone.key]
        return "".join(
            f"  - id: {name}\n    master: {primary}\n    acl: [{acl}]\n    zonefile-sync: -1\n"
            "    journal-content: none\n    semantic-checks: off\n"
            for name, acl in [
                (f"member-of-{zone.name}", f"transfer, {notify}"),
                *((each, notify) for each in zone.groups),
            ]
        )

    @staticmethod
    def _zone(zone: Zone, remotes: Remotes) -> str:
        lines = [f"  - domain: {zone.name}"]
        with_key = f"-{zone.key.name}" if zone.key else ""
        if zone.notify:
            lines.append(f"    notify: [{', '.join(remotes[each, zone.key_of_secondaries] for each in zone.notify)}]")
        if zone.primary is not None:
            lines += [
                f"    file: {zone.name}.copy",
                f"    master: {remotes[zone.primary, zone.key]}",
                f"    acl: [transfer, notify{with_key}]",
            ]
            if zone.groups is not None:
                templates = ", ".join((f"member-of-{zone.name}", *zone.groups))
                lines += ["    catalog-role: interpret", f"    catalog-template: [{templates}]"]
        elif zone.makes_catalog:
            lines += ["    catalog-role: generate", f"    acl: [transfer{with_key}]"]
        else:
            lines += [
                f'    file: "{zone.file}"',
                "    zonefile-load: difference",
                "    journal-content: changes",
                f"    acl: [transfer{with_key}]",
            ]
            if zone.catalog is not None:
                lines += ["    catalog-role: member", f"    catalog-zone: {zone.catalog}"]
                lines += [f"    catalog-group: {zone.group}"] if zone.group else []
        return "\n".join(lines)

    def command(self) -> list[str]:
        return [runnable("knotd", self.folder), "-c", str(self.folder / "knot.conf")]


class Pdns(NameServer):
    """`pdns_server` with its zones in SQLite, one thread of each kind, and without its caches.

    Zone files are put into the database at start and when it is told to `reload`, by `pdnsutil`. Once a second it looks
    there for zones with a serial that it has sent no NOTIFY of. As a secondary it asks for IXFR. Once one of its
    secondary zones has a key, it takes no NOTIFY that is not signed, for any zone.
    """

    name: ClassVar[str] = "pdns"

    def write_configuration(self) -> None:
        others = [each for zone in self.zones for each in (*zone.notify, zone.primary) if each is not None]
        sources = {"::1" if ":" in each.address else "127.0.0.1" for each in (self.endpoint, *others)}
        text = f"""
            launch=gsqlite3
            gsqlite3-database={self._database}
            gsqlite3-pragma-synchronous=0
            local-address={self.address}
            local-port={self.port}
            query-local-address={" ".join(sorted(sources))}
            daemon=no
            guardian=no
            write-pid=no
            socket-dir=.
            security-poll-suffix=
            disable-syslog=yes
            loglevel={3 if self.quiet else 7}
            receiver-threads=1
            distributor-threads=1
            signing-threads=1
            cache-ttl=0
            query-cache-ttl=0
            negquery-cache-ttl=0
            domain-metadata-cache-ttl=0
            zone-cache-refresh-interval=0
            dname-processing=yes
            primary=yes
            secondary=yes
            secondary-do-renotify=yes
            xfr-cycle-interval=1
            only-notify=
            allow-unsigned-notify={"no" if any(zone.primary and zone.key for zone in self.zones) else "yes"}
            allow-axfr-ips={",".join(LOOPBACK) if any(zone.groups is not None for zone in self.zones) else ""}
            """
        lines = (line.strip() for line in text.strip().splitlines())
        (self.folder / "pdns.conf").write_text("\n".join(lines) + "\n")
        if not self._database.exists():
            self._create_database()
        self._enter_zones()
        self._read_files()

    @property
    def _database(self) -> Path:
        return self.folder / "zones.sqlite"

    def _create_database(self) -> None:
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(schema_of_pdns().read_text())
            for key in self.keys:
                database.execute(
                    "INSERT INTO tsigkeys (name, algorithm, secret) VALUES (lower(?), ?, ?)",
                    (key.name, key.algorithm, key.secret),
                )

    def _enter_zones(self) -> None:
        """Those that are new; and those that are no more go. Which catalog has a zone is as it is now."""
        with closing(sqlite3.connect(self._database, timeout=10)) as database, database:
            known = {name: number for number, name in database.execute("SELECT id, name FROM domains")}
            for zone in self.zones:
                name = zone.name.lower().rstrip(".")
                number = known.pop(name, None)
                if number is None:
                    primary = str(zone.primary) if zone.primary else None
                    row = (name, self._kind(zone), primary)
                    entered = database.execute("INSERT INTO domains (name, type, master) VALUES (?, ?, ?)", row)
                    number = entered.lastrowid
                    database.executemany(
                        "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (?, ?, ?)",
                        [(number, kind, content) for kind, content in self._metadata(zone)],
                    )
                options = json.dumps({"producer": {"group": [zone.group]}}) if zone.group else ""
                database.execute(
                    "UPDATE domains SET catalog = ?, options = ? WHERE id = ?", (zone.catalog, options, number)
                )
            for number in known.values():
                for table in ("records", "domainmetadata"):
                    database.execute(f"DELETE FROM {table} WHERE domain_id = ?", (number,))
                database.execute("DELETE FROM domains WHERE id = ?", (number,))

    @staticmethod
    def _kind(zone: Zone) -> str:
        if zone.primary is None:
            return "PRODUCER" if zone.makes_catalog else "MASTER"
        return "SLAVE" if zone.groups is None else "CONSUMER"

    @staticmethod
    def _metadata(zone: Zone) -> list[tuple[str, str]]:
        settings = [("ALSO-NOTIFY", str(each)) for each in zone.notify]
        if zone.primary is not None and zone.groups is None:  # of catalogs, PowerDNS 4.7 takes no IXFR
            settings.append(("IXFR", "1"))
        if zone.key_of_secondaries is not None:  # an address that may transfer could do so without signing
            settings.append(("TSIG-ALLOW-AXFR", zone.key_of_secondaries.name.lower()))
        else:
            settings += [("ALLOW-AXFR-FROM", network) for network in LOOPBACK]
        if zone.primary is not None and zone.key is not None:
            settings.append(("AXFR-MASTER-TSIG", zone.key.name.lower()))
        return settings

    def _read_files(self) -> None:
        """Replace what the database has of each zone with a file; a file that cannot be read is said in the log."""
        pdnsutil = runnable("pdnsutil", self.folder)
        for zone in self.zones:
            if zone.file is not None:
                command = [pdnsutil, f"--config-dir={self.folder}", "load-zone", zone.name, str(zone.file)]
                with self.log_file.open("ab") as log:
                    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def reload(self) -> None:
        self._running()
        self._read_files()

    def command(self) -> list[str]:
        return [runnable("pdns_server", self.folder), f"--config-dir={self.folder}"]


def schema_of_pdns() -> Path:
    """The statements that make PowerDNS's tables, which its packages put in different places."""
    program = find_binary("pdns_server")
    shared = Path(program).resolve().parents[1] / "share" if program else Path("/usr/share")
    found = [path for folder in ("", "doc/") for path in sorted(shared.glob(f"{folder}pdns*/**/schema.sqlite3.sql"))]
    if not found:
        raise FileNotFoundError(f"no schema.sqlite3.sql of PowerDNS below {shared}: is pdns-backend-sqlite3 installed?")
    return found[0]


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
