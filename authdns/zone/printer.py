"""A zone as master-file text (RFC 1035 §5): what was understood, with nothing left to interpret.

Every line stands alone: absolute owner, TTL, class, type, rdata; no directives, no inherited fields. Names come in
DNSSEC's canonical order (RFC 4034 §6.1), the SOA first, so that two versions of a zone can be compared line by line.
Reading the text again gives the same zone; within an RRset the order of the file is kept, since answers keep it too.
"""

from collections.abc import Iterator

import dns.exception
import dns.rdata
from dns.rdataclass import IN
from dns.rdatatype import RdataType

from authdns.wire import name as names
from authdns.wire.types import Type, type_to_text
from authdns.zone.lexer import Source, Token
from authdns.zone.rdata_text import NameReader, RdataReader
from authdns.zone.zone import RRset, Zone

_READER = RdataReader(NameReader(names.ROOT), lambda token, remark: None)


def print_zone(zone: Zone) -> Iterator[str]:
    """The lines, without line ends: the SOA, then every other record. Owners are spelled as the file spelled them."""
    yield from _lines(zone.spelling.get(zone.apex, zone.apex), zone.soa_rrset)
    for owner, rrsets in sorted(zone.owners(), key=lambda found: names.canonical_key(found[0])):
        spelled = zone.spelling.get(owner, owner)
        for rrset in sorted(rrsets):
            if rrset.type != Type.SOA:
                yield from _lines(spelled, rrset)


def rdata_to_text(rrtype: int, rdata: bytes) -> str:
    r"""Presentation form, names absolute; `\# length hex` (RFC 3597 §5) if that would not be read as these octets."""
    try:
        text = dns.rdata.from_wire(IN, RdataType.make(rrtype), rdata, 0, len(rdata)).to_text().rstrip()
        if _read(rrtype, text) == rdata:
            return text
    except (dns.exception.DNSException, ValueError):
        pass
    return rf"\# {len(rdata)} {rdata.hex()}".rstrip()


def _read(rrtype: int, text: str) -> bytes:
    """Raises Fault, which is a ValueError, for what has no text, such as an empty key."""
    tokens = Source(b"", lambda line: False).entry(text.encode()).tokens
    return _READER.read(rrtype, tokens, Token(b"", False, 1, 1))


def _lines(owner: bytes, rrset: RRset) -> Iterator[str]:
    head = f"{names.to_text(owner)}\t{rrset.ttl}\tIN\t{type_to_text(rrset.type)}\t"
    for rdata in rrset.rdatas:
        yield head + rdata_to_text(rrset.type, rdata)
