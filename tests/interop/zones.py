"""The zones of the interop tests, as text with the serial to fill in.

Refresh and retry are a day: within a test's deadline only NOTIFY makes a secondary ask again.
"""

from __future__ import annotations

import os
from pathlib import Path

HEAD = """\
$ORIGIN {zone}.
$TTL 3600
@           IN SOA   ns1 hostmaster ( {serial} 86400 43200 2419200 300 )
            IN NS    ns1
            IN NS    ns2
ns1         IN A     192.0.2.1
            IN AAAA  2001:db8::1
ns2         IN A     192.0.2.2
"""

EXAMPLE_COM = (
    HEAD
    + """\
@           IN MX    10 mail
            IN TXT   "v=spf1 mx -all"
            IN CAA   0 issue "ca.example.net"
mail        IN A     192.0.2.25
www         IN A     192.0.2.80
            IN A     192.0.2.81
            IN AAAA  2001:db8::80
            IN HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.80
one         IN CNAME two
two         IN CNAME three
three       IN CNAME www
away        IN CNAME www.example.net.
dangling    IN CNAME nothing
old         IN DNAME new
host.new    IN A     192.0.2.90
*.wild      IN A     192.0.2.99
            IN TXT   "from the wildcard"
here.wild   IN A     192.0.2.98
a.b.deep    300 IN A 192.0.2.50
_sip._tcp   IN SRV   0 5 5060 www
_443._tcp.www IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
host        IN SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
            IN LOC   52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m
            IN HINFO "PC" "Unix \\"System\\" V"
            IN RP    hostmaster www
            IN TYPE65280 \\# 4 0a000001
numbers     IN NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
odd\\.name   IN TXT   "a dot inside a label"
big         IN TXT   "{filler}" "1"
            IN TXT   "{filler}" "2"
            IN TXT   "{filler}" "3"
            IN TXT   "{filler}" "4"
child       IN NS    ns.child
ns.child    IN A     {child}
"""
)

EXAMPLE_NET = (
    HEAD
    + """\
www         IN A     198.51.100.80
*           IN MX    10 mail
mail        IN A     198.51.100.25
"""
)

CHILD = (
    HEAD
    + """\
ns          IN A     {child}
            NS       ns
host        IN A     203.0.113.7
alias       IN CNAME www.example.com.
"""
)

UNUSED_CHILD = "192.0.2.53"


def write(path: Path, template: str, zone: str, serial: int, more: str = "", child: str = UNUSED_CHILD) -> Path:
    """Write a zone file as a careful editor does: aside first, then renamed over the old one."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(template.format(zone=zone, serial=serial, filler="x" * 200, child=child) + more)
    os.replace(aside, path)
    return path
