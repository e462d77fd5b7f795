"""What validators make of a server's answers; shared by the tests of signed zones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.interop.signed_zones import Outcome
from tests.peers import NameServer, Zone, ask_all
from tests.peers.signing import key_signing_key

Question = tuple[str, str]


class Found(NamedTuple):
    """What a resolver said, and why."""

    outcome: Outcome
    why: str

    def __str__(self) -> str:
        return f"{self.outcome} {self.why}".strip()


def anchor(zone: str, key: str = "") -> str:
    return f"{zone}. IN DNSKEY {key or key_signing_key()}"


def stubs(*served: tuple[NameServer, Sequence[Zone]]) -> list[Zone]:
    return [Zone(zone.name, primary=server.endpoint) for server, zones in served for zone in zones]


def validate(resolver: NameServer, asked: Sequence[Question]) -> list[Found]:
    """What the resolver makes of each question."""
    found = []
    for (name, rdtype), response in zip(asked, ask_all(resolver.endpoint, asked, flags=dns.flags.RD), strict=True):
        data = any(rrset.rdtype == dns.rdatatype.from_text(rdtype) for rrset in response.answer)
        rcode = dns.rcode.to_text(response.rcode())
        why = " ".join(option.to_text() for option in response.options)
        found.append(Found(Outcome(rcode, data, bool(response.flags & dns.flags.AD)), why))
        assert response.question[0].name == dns.name.from_text(name)
    return found


def mistaken(resolver: NameServer, asked: Sequence[Question], expected: Sequence[Outcome]) -> list[str]:
    """A line for each question whose answer is not as expected."""
    return [
        f"{name} {rdtype}: {found}; expected: {wanted}"
        for (name, rdtype), found, wanted in zip(asked, validate(resolver, asked), expected, strict=True)
        if found.outcome != wanted
    ]


def rdtype_of(rrset: dns.rrset.RRset) -> str:
    return dns.rdatatype.to_text(rrset.rdtype)


def is_of(rrset: dns.rrset.RRset, rdtype: str) -> bool:
    """Whether it is of the type, or the RRSIG that covers it."""
    return rdtype in (rdtype_of(rrset), dns.rdatatype.to_text(rrset.covers))


def records_of(rrsets: Sequence[dns.rrset.RRset]) -> set[str]:
    return {line for rrset in rrsets for line in rrset.to_text().splitlines()}


def name_in(origin: dns.name.Name, name: str) -> dns.name.Name:
    return dns.name.from_text(name, origin)
