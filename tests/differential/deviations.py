"""Where authdns does otherwise than most of its peers on purpose, each with its reason.

A deviation is narrow: it looks at the question, at the zone and at the shape of the difference, so that a new fault in
the same corner still shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from authdns.answer.lookup import MAX_CHAIN, MAX_DNAME_LINKS
from authdns.wire import name as names
from tests.differential.comparison import OURS, Difference, Response
from tests.differential.facts import Facts, names_on_the_way
from tests.differential.messages import (
    ANY,
    CNAME,
    DNAME,
    DS,
    HTTPS,
    NS,
    NSEC,
    NSEC3,
    RRSIG,
    SVCB,
    Row,
    read_name,
    targets,
)

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
    """No two peers say the same of this aspect with the same rcode, flags and answer."""
    said = Counter((each.rcode, each.flags, each.answer, getattr(each, found.aspect)) for each in found.theirs)
    return max(said.values()) == 1


def has(response: Response, rrtype: int, section: frozenset[Row] | None = None) -> bool:
    return any(row.type == rrtype for row in (response.answer if section is None else section))


def complete(found: Difference) -> Response:
    """What authdns says, over TCP if it did not fit."""
    return found.whole if "TC" in found.ours.flags and found.whole is not None else found.ours


def links(response: Response) -> int:
    return sum(row.type == CNAME for row in response.answer)


def dname_links(response: Response) -> list[int]:
    """Of each CNAME in an answer that was made from a DNAME, how many labels were moved."""
    owners = {row.owner for row in response.answer if row.type == DNAME}
    aliases = [row.owner for row in response.answer if row.type == CNAME]
    return [
        names.count_labels(alias) - names.count_labels(owner)
        for alias in aliases
        for owner in owners
        if alias != owner and names.is_at_or_below(alias, owner)
    ]


# The reasons


def one_rrset_for_any(found: Difference, facts: Facts) -> bool:
    """At the question, or where aliases lead; a DNAME may be there already, since it made one of them."""
    if found.qtype != ANY or all(response.rcode != found.ours.rcode for response in found.theirs):
        return False
    end = [row.rdata for row in found.ours.answer if row.type == CNAME][-1:] or [found.qname]
    for name in {found.qname, *end}:
        sent = {row.covers for row in found.ours.answer if row.owner == name}
        if sent <= facts.at(name) and (len(sent) == 1 or (name != found.qname and len(sent - {DNAME}) == 1)):
            return True
    return False


def any_below_dname(found: Difference, facts: Facts) -> bool:
    """Most end with the CNAME made from a DNAME that authdns, and whoever agrees with it, follow."""
    theirs = found.most.answer
    made = [row for row in theirs if row.type == CNAME and row.owner == found.qname]
    rest = {row.type for row in theirs if row.owner != found.qname}
    followed = [response for response in found.theirs if response.answer == found.ours.answer]
    return found.qtype == ANY and len(made) == 1 and rest <= {DNAME, RRSIG} and DNAME in rest and bool(followed)


def glue_that_does_not_fit(found: Difference, facts: Facts) -> bool:
    """The glue is in the whole response, and without it the response would have fitted."""
    if found.aspect != "flags" or "TC" not in found.ours.flags or found.whole is None:
        return False
    if found.whole.octets <= found.limit:
        return False
    servers = {row.rdata: row.owner for row in found.whole.authority if row.type == NS}
    return any(
        row.owner in servers and names.is_at_or_below(row.owner, servers[row.owner]) for row in found.whole.additional
    )


def size(found: Difference, facts: Facts) -> bool:
    """Only TC differs, and what must be sent (compared over TCP) fits for authdns or does not."""
    ours, most = found.ours.flags.split(), found.most.flags.split()
    if found.aspect != "flags" or [each for each in ours if each != "TC"] != [each for each in most if each != "TC"]:
        return False
    if "TC" not in ours:
        return True  # that it is within the limit is seen elsewhere
    if found.whole is None:
        return False
    optional = sum(SMALLEST_RECORD + len(row.rdata) for row in found.whole.additional)
    return found.whole.octets - optional > found.limit


def service_target(found: Difference, facts: Facts) -> bool:
    if found.aspect != "additional":
        return False
    more = found.ours.additional - found.most.additional
    wanted = {target for row in found.ours.answer if row.type in (HTTPS, SVCB) for target in targets(row)}
    return not found.most.additional - found.ours.additional and all(row.owner in wanted for row in more)


def no_room(found: Difference, facts: Facts) -> bool:
    """Over TCP authdns sends all that it or the others send here, and one of the two responses is full.

    Full is a response when an RRset (with its signature, if there is one) that it lacks does not fit into it. What
    follows on that RRset is another matter: NSD and Knot go on to smaller ones, authdns does not.
    """
    if found.aspect != "additional" or found.whole is None:
        return False
    ours, most, whole = found.ours, found.most, found.whole.additional
    if not ours.additional | most.additional <= whole:
        return False
    like_most = [each for each in found.theirs if each.additional == most.additional]
    return any(is_full(response, whole, found.limit) for response in (ours, *like_most))


def is_full(response: Response, whole: frozenset[Row], limit: int) -> bool:
    octets = Counter[tuple[bytes, int]]()
    for row in whole:
        octets[row.owner, row.covers] += SMALLEST_RECORD + len(row.rdata)
    lacking = {(row.owner, row.covers) for row in whole - response.additional}
    return any(response.octets + octets[each] > limit for each in lacking)


def wildcard_below_cut(found: Difference, facts: Facts) -> bool:
    """All that most peers add are addresses of servers that are not there, from a wildcard below a cut."""
    more = found.most.additional - found.ours.additional
    if found.aspect != "additional" or not more or found.ours.additional - found.most.additional:
        return False
    wildcards = [facts.wildcard(row.owner) for row in more]
    cuts = [wildcard and facts.enclosing(wildcard, NS) for wildcard in wildcards]
    return all(cut and cut not in facts.apexes for cut in cuts)


def nsec3_at_alias(found: Difference, facts: Facts) -> bool:
    """NSD denies NSEC3 where there is a CNAME, and without its vote nobody is outvoted."""
    theirs = found.responses.get("nsd")
    if found.qtype != NSEC3 or theirs is None or theirs.rcode != "NOERROR" or theirs.answer:
        return False
    others = [getattr(each, found.aspect) for name, each in found.responses.items() if name not in (OURS, "nsd")]
    ours = getattr(found.ours, found.aspect)
    return CNAME in facts.at(found.qname) and (ours in others or len(set(others)) == len(others))


def signatures_of_a_name(found: Difference, facts: Facts) -> bool:
    answer = found.ours.answer
    return found.qtype == RRSIG and all(row.type == RRSIG for row in answer) and peers_disagree(found)


def dname_chain(found: Difference, facts: Facts) -> bool:
    """Where names are long, authdns ends sooner."""
    moved = dname_links(found.ours)
    return len(moved) >= MAX_DNAME_LINKS or (len(moved) > 1 and peers_disagree(found))


def truncated_before_the_end(found: Difference, facts: Facts) -> bool:
    """Peers stopped where the response was full, and have the rcode of the names until there; without them there is no
    majority."""
    whole = found.whole
    if found.aspect != "rcode" or whole is None or whole.rcode != found.ours.rcode:
        return False
    most = [each.flags.split() for each in found.theirs if each.rcode == found.most.rcode]
    return sum("TC" not in flags for flags in most) < 2 <= len(most)


def long_chain(found: Difference, facts: Facts) -> bool:
    followed = links(complete(found))
    return followed >= MAX_CHAIN or (followed >= SHORTEST_CHAIN and peers_disagree(found))


def loop(found: Difference, facts: Facts) -> bool:
    """The chain that authdns followed comes back to where it was."""
    following = {row.owner: row.rdata for row in complete(found).answer if row.type == CNAME}
    name, seen = found.qname, set()
    while name in following and name not in seen:
        seen.add(name)
        name = following[name]
    return name in seen and peers_disagree(found)


def zero_octet(found: Difference, facts: Facts) -> bool:
    """A label with a zero octet takes part in the proof."""
    if found.aspect != "authority" or not has(found.ours, NSEC, found.ours.authority):
        return False
    proof = [row for row in found.ours.authority | found.most.authority if row.type == NSEC]
    next_names = (read_name(row.rdata, 0)[0] for row in proof)
    return any(b"\0" in name[:-1] for name in (found.qname, *(row.owner for row in proof), *next_names))


def wildcard_non_terminal(found: Difference, facts: Facts) -> bool:
    """The wildcard that applies has no records, only names below it, and authdns proves that as well."""
    less = (each for each in found.theirs if each.rcode == found.ours.rcode and each.authority < found.ours.authority)
    if found.aspect != "authority" or found.ours.rcode != "NOERROR" or not any(True for _ in less):
        return False
    wildcards = (facts.wildcard(name) for name in names_on_the_way(found))
    return any(wildcard and facts.types.get(wildcard) == set() for wildcard in wildcards)


def question_for_asterisk(found: Difference, facts: Facts) -> bool:
    """BIND proves what authdns proves."""
    if found.aspect != "authority" or not found.qname.startswith(b"\1*") or found.qname in facts.types:
        return False
    return any(each.rcode == found.ours.rcode and each.authority == found.ours.authority for each in found.theirs)


def wildcard_ns(found: Difference, facts: Facts) -> bool:
    wildcards = (facts.wildcard(name) for name in names_on_the_way(found))
    here = any(wildcard and NS in facts.types.get(wildcard, ()) for wildcard in wildcards)
    return here and (peers_disagree(found) or found.qtype == DS)  # some take it for a delegation


def wildcard_dname(found: Difference, facts: Facts) -> bool:
    wildcards = (facts.wildcard(name) for name in names_on_the_way(found))
    there = any(wildcard and DNAME in facts.types.get(wildcard, ()) for wildcard in wildcards)
    sent = any(row.type == DNAME and row.owner.startswith(names.WILDCARD_LABEL) for row in found.ours.answer)
    return (there or sent) and peers_disagree(found)


def parent_elsewhere(found: Difference, facts: Facts) -> bool:
    """DS at an apex; its parent is delegated to others by a zone that is here."""
    if found.qtype != DS or found.qname not in facts.apexes:
        return False
    above = names.parent(found.qname)
    cut = facts.enclosing(above, NS)
    return facts.apex(above) is not None and cut is not None and cut not in facts.apexes


def another_zone_here(found: Difference, facts: Facts) -> bool:
    apexes = {facts.apex(name) for name in names_on_the_way(found)}
    aliased = any(has(response, CNAME) for response in found.responses.values())
    if found.qtype == DS and found.qname in facts.apexes and aliased:  # DS is of the zone above
        apexes.add(facts.apex(names.parent(found.qname)))
    return len(apexes - {None}) > 1


DEVIATIONS = (
    Deviation("ANY", "one RRset stands for all of them: RFC 8482 §4.1", one_rrset_for_any),
    Deviation(
        "ANY below a DNAME",
        "after a substitution the search begins anew, RFC 6672 §3.2 step 3c, whatever the type; BIND and NSD take the "
        "CNAME for the answer to ANY",
        any_below_dname,
    ),
    Deviation(
        "glue",
        "in-domain glue that does not fit sets TC (RFC 9471 §3.1); the peers send what fits",
        glue_that_does_not_fit,
    ),
    Deviation("size", "a response is truncated when it does not fit, RFC 2181 §9; encodings differ in length", size),
    Deviation(
        "HTTPS",
        "the addresses of a target are added, be it the owner (.) or an alias: RFC 9460 §2.5, §4.1",
        service_target,
    ),
    Deviation(
        "no room",
        "of addresses that nobody has to send those are sent that fit, and each server takes others: RFC 2181 §9, "
        "RFC 9471 §3.2",
        no_room,
    ),
    Deviation(
        "wildcard below a cut",
        "a lookup ends at the cut, RFC 1034 §4.3.2 step 3b, before a wildcard below it could apply; NSD and Knot take "
        "glue from there",
        wildcard_below_cut,
    ),
    Deviation(
        "NSEC3 at an alias",
        "a CNAME is the answer to all types but CNAME, RFC 1034 §3.6.2; NSD takes NSEC3 out",
        nsec3_at_alias,
    ),
    Deviation(
        "RRSIG",
        "which signatures answer a question for RRSIG is not said in RFC 4035 §3: all of the name, as in NSD",
        signatures_of_a_name,
    ),
    Deviation("DNAME links", "a chain of DNAMEs ends after 5 links; each peer has another limit", dname_chain),
    Deviation(
        "rcode and TC",
        "a truncated response has the rcode of the whole one, that of the last name (RFC 6604 §3); over TCP all agree",
        truncated_before_the_end,
    ),
    Deviation("chain", "a chain of CNAMEs ends after 16 links; each peer has another limit", long_chain),
    Deviation("loop", "a chain that comes back to itself ends there; each peer has another end", loop),
    Deviation(
        "zero octet",
        "\\000 sorts before every other octet, RFC 4034 §6.1; NSD and Knot take it for the end of a label",
        zero_octet,
    ),
    Deviation(
        "wildcard non-terminal",
        "that the wildcard is there and has no such type must be proved too, RFC 4035 §3.1.3.4; BIND and Knot prove "
        "only that the name itself is not there",
        wildcard_non_terminal,
    ),
    Deviation(
        "asterisk asked for",
        "a name that begins with an asterisk and is not there is denied like any other: RFC 5155 §7.2.5; NSD and Knot "
        "leave the closest encloser out",
        question_for_asterisk,
    ),
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
        "parent elsewhere",
        "a zone whose parent is not here answers for DS at its apex: RFC 4035 §3.1.4.1; the peers refer to the parent",
        parent_elsewhere,
    ),
    Deviation(
        "another zone here",
        "an alias is followed within its zone, as in Knot; NSD goes on in the other zone (RFC 1034 §4.3.2 step 3a), "
        "BIND stops; resolvers ask again in any case (RFC 2181 §5.4.1)",
        another_zone_here,
    ),
)


class Refusal(NamedTuple):
    name: str
    reason: str
    says: str  # what is in the log


REFUSALS = (
    Refusal(
        "refused: outside",
        "a record outside the zone is a mistake, RFC 1035 §5.2; BIND and Knot pass it over",
        "lies outside the zone",
    ),
    Refusal("refused: IPSECKEY", "a key is expected, as in BIND: RFC 4025 §3.1", "IPSECKEY: expecting"),
    Refusal("refused: NS and DNAME", "NS beside DNAME only at the apex: RFC 6672 §2.3", "NS beside a DNAME"),
    Refusal("refused: below DNAME", "nothing may be below a DNAME: RFC 6672 §2.4", "a DNAME redirects all"),
    Refusal("refused: CNAME", "nothing may be beside a CNAME: RFC 1034 §3.6.2", "may stand beside a CNAME"),
    Refusal("refused: DNAMEs", "a name has one DNAME: RFC 6672 §2.4", "more than one DNAME"),
    Refusal("refused: SOA", "an SOA is at the apex only: RFC 1035 §5.2", "an SOA may only stand at the apex"),
)


def refusal(log: str) -> Refusal | None:
    """Why authdns refuses a zone, if every error in its log is known."""
    known = [
        next((each for each in REFUSALS if each.says in line), None) for line in log.splitlines() if ": error: " in line
    ]
    return known[0] if known and None not in known else None
