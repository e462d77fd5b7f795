"""Where authdns does otherwise than most of its peers on purpose, each with its reason.

A deviation is narrow: it looks at the question, at the zone and at the shape of the difference, so that a new fault in
the same corner still shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from authdns.wire import name as names
from tests.differential.comparison import Difference, Response
from tests.differential.facts import Facts, names_on_the_way
from tests.differential.messages import ANY, CNAME, DNAME, HTTPS, NS, SVCB, Row

MAX_DNAME_LINKS = 4  # of authdns
MAX_CHAIN = 16  # of authdns
SMALLEST_RECORD = 12  # octets without rdata: a pointer, type, class, TTL, length
SHORTEST_CHAIN = 5  # where the first of the peers stops (Knot)


class Deviation(NamedTuple):
    name: str
    reason: str
    applies: Callable[[Difference, Facts], bool]


def explanation(found: Difference, facts: Facts) -> Deviation | None:
    """Why authdns does otherwise, if that is known."""
    return next((each for each in DEVIATIONS if each.applies(found, facts)), None)


# What the reasons look at


def peers_disagree(found: Difference) -> bool:
    """No two peers say the same of this aspect (with rcode and flags)."""
    said = Counter((each.rcode, each.flags, getattr(each, found.aspect)) for each in found.theirs)
    return max(said.values()) == 1


def has(response: Response, rrtype: int, section: frozenset[Row] | None = None) -> bool:
    return any(row.type == rrtype for row in (response.answer if section is None else section))


def is_referral(response: Response) -> bool:
    return response.rcode == "NOERROR" and "AA" not in response.flags and has(response, NS, response.authority)


def links(response: Response) -> int:
    return sum(row.type == CNAME for row in response.answer)


def dname_links(response: Response) -> int:
    """How many CNAMEs of an answer were made from DNAMEs."""
    owners = {row.owner for row in response.answer if row.type == DNAME}
    made = (row.owner for row in response.answer if row.type == CNAME)
    return sum(any(name != owner and names.is_at_or_below(name, owner) for owner in owners) for name in made)


# The reasons


def one_rrset_for_any(found: Difference, facts: Facts) -> bool:
    ours = found.ours
    if found.qtype != ANY or not ours.answer or any(response.rcode != ours.rcode for response in found.theirs):
        return False
    return len({row.covers for row in ours.answer if row.owner == found.qname}) == 1


def glue_that_does_not_fit(found: Difference, facts: Facts) -> bool:
    return found.aspect == "flags" and "TC" in found.ours.flags and any(map(is_referral, found.theirs))


def target_is_owner(found: Difference, facts: Facts) -> bool:
    if found.aspect != "additional":
        return False
    more = found.ours.additional - found.most.additional
    owners = {row.owner for row in found.ours.answer if row.type in (HTTPS, SVCB) and row.rdata[2:3] == b"\0"}
    return not found.most.additional - found.ours.additional and all(row.owner in owners for row in more)


def no_room(found: Difference, facts: Facts) -> bool:
    missing = Counter[tuple[bytes, int]]()
    for row in found.most.additional - found.ours.additional:
        missing[row.owner, row.covers] += SMALLEST_RECORD + len(row.rdata)
    if found.aspect != "additional" or not missing:
        return False
    return found.ours.octets + min(missing.values()) > found.limit


def dname_chain(found: Difference, facts: Facts) -> bool:
    return dname_links(found.ours) >= MAX_DNAME_LINKS


def long_chain(found: Difference, facts: Facts) -> bool:
    return links(found.ours) >= MAX_CHAIN or (links(found.ours) >= SHORTEST_CHAIN and peers_disagree(found))


def wildcard_ns(found: Difference, facts: Facts) -> bool:
    wildcards = (facts.wildcard(name) for name in names_on_the_way(found))
    return any(wildcard and NS in facts.types.get(wildcard, ()) for wildcard in wildcards) and peers_disagree(found)


def wildcard_dname(found: Difference, facts: Facts) -> bool:
    wildcards = (facts.wildcard(name) for name in names_on_the_way(found))
    return any(wildcard and DNAME in facts.types.get(wildcard, ()) for wildcard in wildcards) and peers_disagree(found)


def another_zone_here(found: Difference, facts: Facts) -> bool:
    apexes = {facts.apex(name) for name in names_on_the_way(found)}
    return len(apexes - {None}) > 1 and peers_disagree(found)


DEVIATIONS = (
    Deviation("ANY", "one RRset stands for all of them: RFC 8482 §4.1", one_rrset_for_any),
    Deviation(
        "glue",
        "in-domain glue that does not fit sets TC (RFC 9471 §3.1); the peers send what fits",
        glue_that_does_not_fit,
    ),
    Deviation(
        "HTTPS .", "a target of . is the owner, and its addresses are added: RFC 9460 §2.5, §4.1", target_is_owner
    ),
    Deviation(
        "no room",
        "of addresses that nobody has to send (RFC 2181 §9, RFC 9471 §3.2) those are sent that fit",
        no_room,
    ),
    Deviation("DNAME links", "a chain of DNAMEs ends after 4 links; each peer has another limit", dname_chain),
    Deviation("chain", "a chain of CNAMEs ends after 16 links; each peer has another limit", long_chain),
    Deviation(
        "wildcard NS",
        "what NS at a wildcard means is undefined, RFC 4592 §4.2: here it is data like any other, to each peer it is "
        "something else",
        wildcard_ns,
    ),
    Deviation(
        "wildcard DNAME", "what DNAME at a wildcard means is undefined: RFC 4592 §4.4, RFC 6672 §2.3", wildcard_dname
    ),
    Deviation(
        "another zone here",
        "an alias that leads to another zone of this server is followed by some and not by others: RFC 1034 §4.3.2 "
        "step 3a says neither",
        another_zone_here,
    ),
)


class Refusal(NamedTuple):
    name: str
    reason: str
    says: str  # what is in the log


REFUSALS: tuple[Refusal, ...] = ()


def refusal(log: str) -> Refusal | None:
    return next((each for each in REFUSALS if each.says in log), None)
