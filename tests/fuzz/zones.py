"""The zones that hostile packets are aimed at: every kind of answer, and names that invite mistakes.

Those in the folder `signed` were signed with dnssec-signzone: NSEC, NSEC3 with a salt and 150 iterations, NSEC3 with
opt-out. Nobody here verifies a signature, so they last.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from authdns.answer.executor import ServedZone, UnavailableZone, ZoneTable
from authdns.answer.respond import Chaos, Responder
from authdns.wire import name as names
from authdns.zone.reader import read_zone

HEAD = """\
$TTL 300
@ SOA ns1 hostmaster 7 3600 900 604800 300
@ NS ns1
@ NS ns2.example.net.
ns1 A 192.0.2.1
"""
FILLER = "x" * 200
UNSIGNED = {
    "example.com": rf"""
www A 192.0.2.1
www AAAA 2001:db8::1
* MX 10 www
*.wild CNAME www
loop CNAME loop2
loop2 CNAME loop
*.own CNAME deep.own
dn DNAME www
first DNAME longer
longer DNAME x.longer
sub NS ns.sub
sub DS 1 8 2 {"0" * 64}
ns.sub A 192.0.2.4
child NS ns.child
child NS ns.other
ns.child A 192.0.2.3
other NS ns.child
ns.other A 192.0.2.5
a.b.ent TXT "an empty non-terminal above"
svc SRV 1 1 443 www
svc HTTPS 0 www
big TXT {" ".join([f'"{FILLER}"'] * 4)}
huge TXT {" ".join([f'"{FILLER}"'] * 7)}
{"".join(f"many A 10.0.0.{i}" + chr(10) for i in range(100))}
\000 A 192.0.2.6
a\.b A 192.0.2.7
{"d." * 90}end TXT deep
""",
    # Is served together with its parent; the two differ in who answers DS.
    "sub.example.com": "t TXT t",
    "168.192.in-addr.arpa": "* PTR www.example.com.",
}
SIGNED = {path.stem: path.read_text() for path in sorted(Path(__file__).with_name("signed").glob("*.zone"))}
ZONES = {**{name: HEAD + text for name, text in UNSIGNED.items()}, **SIGNED}
UNAVAILABLE = "gone"


@cache
def table() -> ZoneTable:
    made = ZoneTable()
    for name in ZONES:
        apex = names.from_text(f"{name}.")
        reading = read_zone(name, apex, lambda path: ZONES[path].encode())
        assert reading.zone is not None, "\n".join(map(str, reading.problems))
        made.publish(apex, ServedZone(reading.zone))
    made.publish(names.from_text(f"{UNAVAILABLE}."), UnavailableZone("no such file"))
    return made


@cache
def responder(*, tcp: bool) -> Responder:
    return Responder(table(), tcp=tcp, chaos=Chaos(identity="i" * 255, version="v"))
