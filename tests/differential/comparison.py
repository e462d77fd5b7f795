"""Where authdns says otherwise than most of its peers: aspect by aspect, section by section as sets.

Peers add records to positive answers that nobody asked for (the apex's NS, addresses that they come across); what is
compared of the additional section are addresses of the names that the other sections point at, with their signatures.
Of a truncated response nothing is compared but that it is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import dns.name
import dns.rdatatype

from tests.differential.messages import (
    AAAA,
    FLAGS,
    NS,
    TC,
    A,
    Message,
    NotUnderstood,
    Row,
    read,
    targets,
)

OURS = "authdns"
ASPECTS = ("rcode", "flags", "answer", "authority", "additional", "edns")
NOTHING: frozenset[Row] = frozenset()


class Response(NamedTuple):
    """What is compared of a response."""

    rcode: str
    flags: str
    answer: frozenset[Row] = NOTHING
    authority: frozenset[Row] = NOTHING
    additional: frozenset[Row] = NOTHING
    edns: str = ""
    octets: int = 0  # not compared

    def __str__(self) -> str:
        lines = [f"{self.rcode} {self.flags} {self.edns} {self.octets} octets"]
        for section in ("answer", "authority", "additional"):
            lines += sorted(f"        {section}: {row}" for row in getattr(self, section))
        return "\n".join(lines)


SILENCE = Response("no response", "")


def understood(wire: bytes | None, apexes: Collection[bytes]) -> Response:
    """What `wire` says; `apexes` (in lower case) are those of the zones that the server has."""
    if wire is None:
        return SILENCE
    try:
        message = read(wire)
    except NotUnderstood as error:
        return Response(f"not understood: {error}", "")
    flags = " ".join(text for bit, text in FLAGS if message.flags & bit)
    edns = "" if message.edns is None else "OPT DO" if message.edns & 0x8000 else "OPT"
    if message.flags & TC:
        return Response(message.rcode, flags, edns=edns, octets=len(wire))
    authority = message.authority
    if message.rcode == "NOERROR" and message.answer:  # NSD adds the apex's NS
        authority = [row for row in authority if row.covers != NS or row.owner not in apexes]
    wanted = {target for row in [*message.answer, *authority] for target in targets(row)}
    additional = [row for row in message.additional if row.owner in wanted and row.covers in (A, AAAA)]
    sections = (frozenset(message.answer), frozenset(authority), frozenset(additional))
    return Response(message.rcode, flags, *sections, edns, len(wire))


def malformed(wire: bytes | None, query: bytes, limit: int) -> str | None:
    """What no response may be, whoever else is: the reason, for what authdns sent."""
    if wire is None:
        return "no response"
    try:
        message = read(wire)
    except NotUnderstood as error:
        return str(error)
    if message.question != query[12 : 12 + len(message.question)] or not message.question:
        return "another question"
    if len(wire) > limit:
        return f"{len(wire)} octets, where {limit} were allowed"
    return repeated(message)


def repeated(message: Message) -> str | None:
    rows = [*message.answer, *message.authority, *message.additional]
    twice = [str(row) for row, count in Counter(rows).items() if count > 1]
    return f"more than once: {twice[0]}" if twice else None


class Difference(NamedTuple):
    """One aspect of one question of which authdns says something else than two of its peers (or each of three)."""

    qname: bytes  # wire format, lower case
    qtype: int
    aspect: str
    responses: Mapping[str, Response]
    most: Response  # of one of the peers that make the majority
    limit: int  # how many octets a response may have
    whole: Response | None = None  # what authdns says over TCP, if something was truncated

    def __str__(self) -> str:
        said = "\n".join(f"    {name}: {response}" for name, response in self.responses.items())
        return f"{self.question}: {self.aspect} differs\n{said}"

    @property
    def question(self) -> str:
        qtype = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.qtype))
        return f"{dns.name.from_wire(self.qname, 0)[0]} {qtype}"

    @property
    def ours(self) -> Response:
        return self.responses[OURS]

    @property
    def theirs(self) -> list[Response]:
        return [response for name, response in self.responses.items() if name != OURS]


def majority(values: list[object]) -> tuple[object, int]:
    return Counter(values).most_common(1)[0]


def differences(
    qname: bytes,
    qtype: int,
    responses: Mapping[str, Response],
    limit: int = 65_535,
    whole: Response | None = None,
) -> list[Difference]:
    """Every aspect in which authdns is alone; of two peers that disagree nothing can be learnt.

    Peers that said nothing have no vote. Where authdns agrees with some of its peers, only those are asked on: what a
    peer that denies a name has in its authority section says nothing about an answer.
    """
    ours = responses[OURS]
    votes = [each for name, each in responses.items() if name != OURS and each is not SILENCE]
    enough = len(votes) > 2
    found: list[Difference] = []
    for aspect in ASPECTS:
        values = [getattr(response, aspect) for response in votes]
        value, count = majority(values)
        mine = getattr(ours, aspect)
        if value != mine if count > 1 else mine not in values:
            if count == 1 and not enough:
                return found
            most = next(each for each in votes if getattr(each, aspect) == value)
            found.append(Difference(qname.lower(), qtype, aspect, responses, most, limit, whole))
            if aspect == "flags" and "TC" in (ours.flags + most.flags):
                return found  # of the sections nothing can be said
        else:
            votes = [each for each in votes if getattr(each, aspect) == mine]
    return found
