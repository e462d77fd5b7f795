"""Real name servers for tests: each runs on a free loopback port, in a folder of its own, and stops with its test.

`Bind`, `Nsd`, `Knot`, `Pdns`, `Unbound` and `Authdns` share one interface (`process.NameServer`): zones are given as
`Zone` values (from a file, or transferred from a primary), `start()` returns once the server answers, `stop()` always
ends it. Endpoints are chosen when the object is made, so that two servers can be told about each other before either
runs.

What a server serves is read with `axfr()` as a set of records that compares across implementations; what a user sees
is read with `dig()`.

Nothing here decides what is right; and nothing here talks to anything but loopback.
"""

from tests.peers.authdns import Authdns
from tests.peers.availability import missing, requires
from tests.peers.dig import Dig, dig
from tests.peers.process import Endpoint, NameServer, OverTls, ServerDied, TsigKey, Zone, free_port, wait_until
from tests.peers.records import Record, ask, ask_all, axfr, exchange, records_in_file, serial_at
from tests.peers.servers import Bind, Knot, Nsd, Pdns, Unbound

__all__ = [
    "Authdns",
    "Bind",
    "Dig",
    "Endpoint",
    "Knot",
    "NameServer",
    "Nsd",
    "OverTls",
    "Pdns",
    "Record",
    "ServerDied",
    "TsigKey",
    "Unbound",
    "Zone",
    "ask",
    "ask_all",
    "axfr",
    "dig",
    "exchange",
    "free_port",
    "missing",
    "records_in_file",
    "requires",
    "serial_at",
    "wait_until",
]
