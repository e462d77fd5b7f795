"""What is nasty in a zone, one function for each nastiness: it adds one motif, at random, to a draft.

A zone is made of motifs of one or several families; with `--family` of that one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from tests.differential.zones import APEX, MAX_OCTETS, MAX_OCTETS_NSEC3, OUTSIDE, Draft, ZoneText, below, octets, parent
from tests.peers.signing import HOW

DS = "4711 8 2 " + "11" * 32
LONG = "y" * 55


def empty_non_terminals(draft: Draft) -> None:
    name = draft.new()
    for _ in range(draft.random.choice((1, 2, 3))):
        name = below(draft.label(), name)
    draft.address(name)


def wildcards(draft: Draft) -> None:
    """Nested, beside names that stop them, with names below them."""
    star = below("*", draft.name())
    kind = draft.random.choice(("A", "TXT", "MX", "SRV", "HTTPS", "below", "nested", "stopped"))
    if kind == "below":
        draft.address(below(draft.label(), star))
    elif kind == "nested":
        draft.address(star)
        draft.address(below("*", below(draft.label(), parent(star))))
    elif kind == "stopped":
        draft.address(star)
        random_record(draft, below(draft.label(), below(draft.label(), parent(star))))
    elif kind == "MX":
        draft.add(star, "MX", f"1 {draft.target()}")
        draft.add(star, "MX", f"2 {below('w', parent(star))}")
    elif kind == "SRV":
        draft.add(star, "SRV", f"1 0 1 {draft.target()}")
    elif kind == "HTTPS":
        draft.add(star, "HTTPS", "1 . alpn=h2")
        draft.address(star)
    else:
        draft.address(star)
    if draft.chance(0.3):
        random_record(draft, star)


def asterisks(draft: Draft) -> None:
    """Where wildcards do not belong: in the middle, as a cut, above a DNAME, with DS, twice."""
    star = below("*", draft.name())
    kind = draft.random.choice(("middle", "middle", "NS", "DNAME", "twice", "escaped"))
    if kind == "middle":
        draft.address(below(draft.label(), star))
    elif kind == "NS":
        draft.add(star, "NS", draft.target())
        if draft.chance(0.3):
            draft.add(star, "DS", DS)
    elif kind == "DNAME":
        draft.add(star, "DNAME", draft.target())
    elif kind == "twice":
        random_record(draft, below("*", star))
    else:
        random_record(draft, below(r"\042", parent(star)))


def delegations(draft: Draft) -> None:
    """Glue below, beside and nowhere; DS; cuts below cuts; data that a cut hides."""
    cut, random = draft.new(), draft.random
    for _ in range(random.choice((1, 1, 2, 3))):
        draft.add(cut, "NS", name_server(draft, cut))
    if draft.chance(0.4):
        draft.add(cut, "DS", DS)
    if draft.chance(0.3):
        random_record(draft, cut)
    if draft.chance(0.4):
        random_record(draft, below(draft.label(), cut))
    if draft.chance(0.3):
        draft.add(below(draft.label(), cut), "NS", draft.target())


def name_server(draft: Draft, cut: str) -> str:
    """The name of a server for a cut; with addresses where they belong to it."""
    random = draft.random
    kind = random.choice(("below", "below", "deep", "cut", "sibling", "outside", "target", "wildcard", "apex"))
    if kind == "below":
        name = below("ns", cut)
        draft.address(name)
    elif kind == "deep":
        name = below("ns", below("deep", cut))
        draft.address(name, "A")
        draft.address(name, "AAAA")
    elif kind == "cut":
        name = cut
        draft.address(name)
    elif kind == "sibling":
        sibling = draft.new()
        name = below(random.choice(("ns", "b")), sibling)
        draft.address(name)
        if draft.chance(0.5):
            draft.add(sibling, "NS", name)
    elif kind == "wildcard":
        name = below("nn", parent(cut))
        draft.address(below("*", parent(cut) if draft.chance(0.7) else cut))
    elif kind == "apex":
        name = "nsx"
    else:
        name = OUTSIDE if kind == "outside" else draft.target()
    return OUTSIDE if name == "." else name


def much_glue(draft: Draft) -> None:
    """A delegation whose glue does not fit, or only just."""
    random = draft.random
    cut, padding = draft.new(), random.choice(("", "y" * 30, LONG))
    beside = draft.chance(0.3)
    for number in range(random.choice((5, 9, 12, 13, 14, 25, 60))):
        server = below(f"ns{number}{padding}", "sib" if beside else cut)
        draft.add(cut, "NS", server)
        if draft.chance(0.9):
            draft.add(server, "A", f"192.0.2.{number}")
        if draft.chance(0.6):
            draft.add(server, "AAAA", f"2001:db8::{number:x}")
    if draft.chance(0.3):
        draft.add(cut, "DS", DS)
    if beside and draft.chance(0.5):
        draft.add("sib", "NS", OUTSIDE)


def cnames(draft: Draft) -> None:
    """Chains of every length, loops, and where they can lead: out, to a cut, to a wildcard, nowhere."""
    random = draft.random
    first = owner = draft.new()
    for number in range(random.choice((0, 0, 0, 1, 2, 4, 6, 7, 8, 11, 15, 16, 17, 20))):
        following = below(f"l{number}", first) if draft.chance(0.9) else draft.name()
        draft.add(owner, "CNAME", following)
        owner = following
    end = random.choice(("data", "target", "outside", "cut", "loop", "wildcard", "nothing"))
    if end == "data":
        random_record(draft, owner)
    elif end == "loop":
        draft.add(owner, "CNAME", first)
    elif end == "cut":
        draft.add(owner, "NS", OUTSIDE)
    elif end == "wildcard":
        star = below("*", draft.name())
        draft.address(star)
        draft.add(owner, "CNAME", below(draft.label(), parent(star)))
    else:
        draft.add(owner, "CNAME", {"outside": OUTSIDE, "nothing": below("nothing", owner)}.get(end) or draft.target())


def wildcard_cnames(draft: Draft) -> None:
    star = below("*", draft.name())
    kind = draft.random.choice(("itself", "itself below", "target", "another", "cut", "data"))
    target = draft.target()
    if kind == "itself":
        target = below(draft.random.choice(("x", "*")), parent(star))
    elif kind == "itself below":
        target = below("a", below("b", parent(star)))
    elif kind == "another":
        other = below("*", draft.name())
        draft.add(other, "CNAME", draft.target())
        target = below(draft.label(), parent(other))
    elif kind == "cut":
        target = below("www", draft.new())
        draft.add(parent(target), "NS", OUTSIDE)
    elif kind == "data":
        target = draft.new()
        random_record(draft, target)
    draft.add(star, "CNAME", target)


def dnames(draft: Draft) -> None:
    """Chains, loops, names that get longer, to a cut, upwards, and CNAMEs that lead below one."""
    random = draft.random
    owner = draft.new()
    kind = random.choice(("target",) * 3 + ("itself", "longer", "chain", "too long", "up", "loop", "cut", "root"))
    target = draft.target()
    if kind == "itself":
        target = owner
    elif kind == "longer":
        target = below("x", owner)
    elif kind == "too long":
        target = ".".join(["l" * 60] * 3) + ".net."
    elif kind == "up":
        target = parent(owner)
    elif kind == "root":
        target = "."
    elif kind == "chain":
        target = draft.new()
        following = target
        for _ in range(random.choice((1, 2, 3, 4, 5))):
            link, following = following, draft.new()
            draft.add(link, "DNAME", following)
        draft.address(below("a", following))
    elif kind == "loop":
        target = draft.new()
        draft.add(target, "DNAME", owner)
    elif kind == "cut":
        target = below("q", draft.new())
        draft.add(target, "NS", below("ns", target))
        draft.address(below("ns", target))
    draft.add(owner, "DNAME", target)
    if not target.endswith(".") and draft.chance(0.6):
        random_record(draft, below(random.choice(("a", "q", "*")), target))
    if draft.chance(0.5):
        draft.add(f"c{random.randrange(99)}", "CNAME", below(random.choice(("a", "q", "*")), owner))
    if draft.chance(0.2):
        draft.add(f"d{random.randrange(99)}", "CNAME", owner)
    if draft.chance(0.3):
        random_record(draft, owner)


def apex_dname(draft: Draft) -> None:
    """A DNAME at the apex leaves nothing below it."""
    draft.records[:] = [each for each in draft.records if each.owner == APEX]
    draft.names[:] = [APEX]
    draft.add(APEX, "DNAME", draft.random.choice((OUTSIDE, "example.net.", "a.b.example.org.", APEX, "x")))


def long_names(draft: Draft) -> None:
    """Names of up to 255 octets, wildcards that make them, and targets that long."""
    random = draft.random
    name = draft.name()
    while octets(below("y" * 30, name)) + 63 < draft.room:
        name = below("y" * random.choice((63, 60, 30)), name)
    room = draft.room - octets(name) - 1
    if room >= 1:
        name = below("z" * min(room, 63), name)
    room = draft.room - octets(name) - 1
    if room >= 1 and draft.chance(0.8):
        name = below("z" * min(room, 63), name)
    random_record(draft, name)
    if draft.chance(0.5):
        draft.address(below("*", parent(name)))
    if draft.chance(0.5):
        draft.add(draft.new(), random.choice(("CNAME", "NS", "DNAME")), name)


def escapes(draft: Draft) -> None:
    """Octets that a zone file has to escape, and what they could be taken for."""
    odd = (r"\000", r"\000\000", r"a\.b", r"\.", r"\\", r"\"", r"\;", r"\(", r"\@", r"sp\032ace", r"\255", r"\200\201",
           r"\127", r"\009", r"\010", r"\$", r"\*", r"\042", r"\003com\000", "_tcp", "-", "--", "xn--bcher-kva",
           r"\065", r"\097", r"\090", r"\091", r"\192\012", "0", r"\007example")  # fmt: skip
    name = draft.name()
    for _ in range(draft.random.choice((1, 1, 2))):
        name = below(draft.random.choice(odd), name)
    random_record(draft, name)
    if draft.chance(0.3):
        draft.add(draft.new(), "CNAME", name)
    if draft.chance(0.2):
        draft.address(below("*", name))


def spelling(draft: Draft) -> None:
    """Upper and lower case: one RRset with two spellings, names between spelled otherwise, targets as well."""
    name = draft.new()

    def respelled(text: str) -> str:
        if "\\" in text:
            return text
        return "".join(draft.random.choice((each.lower(), each.upper())) for each in text)

    kind = draft.random.choice(("twice", "between", "target", "cut", "DNAME", "wildcard"))
    if kind == "twice":
        draft.add(name.lower(), "TXT", '"lower"')
        draft.add(respelled(name), "TXT", '"another"')
    elif kind == "between":
        draft.address(below("a", respelled(name)))
        draft.address(below("b", respelled(name)))
    elif kind == "target":
        draft.address(respelled(name))
        draft.add(draft.new(), draft.random.choice(("CNAME", "PTR", "NS")), respelled(name))
    elif kind == "cut":
        draft.add(respelled(name), "NS", below("NS", respelled(name)))
        draft.address(below("ns", respelled(name)))
    elif kind == "DNAME":
        draft.add(respelled(name), "DNAME", respelled(draft.new()))
    else:
        draft.add(below("*", respelled(name)), "CNAME", respelled(draft.new()))


def types(draft: Draft) -> None:
    """Every type that servers know, and some that they do not."""
    owner = draft.name()
    for rrtype in draft.random.sample(list(RDATA), 4):
        draft.add(owner if draft.chance(0.6) else draft.name(), rrtype, RDATA[rrtype](draft))
    if draft.chance(0.05):
        rrtype = draft.random.choice(list(OLD_RDATA))
        draft.add(owner, rrtype, OLD_RDATA[rrtype](draft))


def huge(draft: Draft) -> None:
    """RRsets that need TC, at 512 octets, at 1232, or at every size."""
    random = draft.random
    owner, count = draft.name(), random.choice((10, 20, 28, 29, 30, 60, 70, 80, 300, 1500))
    kind = random.choice(("A", "A", "AAAA", "TXT", "MX", "MX beside", "SRV"))
    if kind == "A":
        for number in range(count):
            draft.add(owner, "A", f"10.0.{number >> 8}.{number & 255}")
    elif kind == "AAAA":
        for number in range(count):
            draft.add(owner, "AAAA", f"2001:db8::{number:x}")
    elif kind == "TXT":
        for number in range(min(count, 200)):
            draft.add(owner, "TXT", f'"{number:03}{"t" * random.choice((0, 50, 200))}"')
    else:
        for number in range(min(count, 60)):
            target = below(f"m{number}", APEX if kind == "MX beside" else owner)
            draft.add(owner, kind.split()[0], ("1 0 1 " if kind == "SRV" else "1 ") + target)
            draft.address(target)
    if draft.chance(0.6):
        draft.add("tobig", "CNAME", owner)
    if draft.chance(0.3):
        draft.add("mxbig", "MX", f"1 {owner}")


def target_types(draft: Draft) -> None:
    """Types whose targets' addresses are wanted next."""
    owner = draft.name()
    for rrtype in draft.random.sample(list(TARGETS), 3):
        for _ in range(draft.random.choice((1, 2, 3))):
            draft.add(owner, rrtype, TARGETS[rrtype](draft))
    if draft.chance(0.5):
        draft.address(draft.target().rstrip(".") or "a")


def anything(draft: Draft) -> None:
    for _ in range(draft.random.randrange(1, 6)):
        random_record(draft)


def random_record(draft: Draft, owner: str | None = None) -> None:
    rrtype = draft.random.choice(USUAL)
    owner = draft.name() if owner is None else owner
    if owner == APEX and rrtype in ("CNAME", "NS", "DS", "DNAME"):
        rrtype = "TXT"
    draft.add(owner, rrtype, RDATA[rrtype](draft))


Rdata = Mapping[str, Callable[[Draft], str]]


def small(draft: Draft) -> int:
    return draft.random.randrange(4)


TARGETS: Rdata = {
    "MX": lambda draft: f"{small(draft)} {draft.target()}",
    "SRV": lambda draft: f"{small(draft)} 0 443 {draft.target()}",
    "HTTPS": lambda draft: draft.random.choice((f"0 {draft.target()}", f"{1 + small(draft)} {draft.target()} alpn=h2")),
    "SVCB": lambda draft: f"{small(draft)} {draft.target()}",
    "NAPTR": lambda draft: (
        f'{small(draft)} 1 "{draft.random.choice(("a", "s", "p", "u", ""))}" "x" "" {draft.target()}'
    ),
    "RP": lambda draft: f"{draft.target()} {draft.target()}",
    "AFSDB": lambda draft: f"1 {draft.target()}",
    "KX": lambda draft: f"{small(draft)} {draft.target()}",
    "RT": lambda draft: f"{small(draft)} {draft.target()}",
    "PTR": lambda draft: draft.target(),
}
RDATA: Rdata = {
    **TARGETS,
    "A": lambda draft: f"192.0.2.{small(draft)}",
    "AAAA": lambda draft: f"2001:db8::{small(draft)}",
    "TXT": lambda draft: '"' + "t" * (1 + 80 * small(draft)) + '"',
    "NS": lambda draft: draft.target(),
    "CNAME": lambda draft: draft.target(),
    "DNAME": lambda draft: draft.target(),
    "DS": lambda draft: f"{small(draft)} 8 2 " + "22" * 32,
    "CAA": lambda draft: f'0 issue "ca{small(draft)}.example.net"',
    "HINFO": lambda draft: f'"cpu {small(draft)}" "os"',
    "MINFO": lambda draft: f"{draft.target()} {draft.target()}",
    "LOC": lambda draft: f"1 2 {small(draft)} N 3 4 5 E 6m",
    "CERT": lambda draft: f"1 {small(draft)} 8 AQID",
    "APL": lambda draft: f"1:192.168.{small(draft)}.0/24 !2:2001:db8::/32",
    "SSHFP": lambda draft: "1 1 " + f"{small(draft):02}" * 20,
    "IPSECKEY": lambda draft: f"10 1 2 192.0.2.{small(draft)} AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
    "DNSKEY": lambda draft: "257 3 8 AwEAAQ==",
    "DHCID": lambda draft: "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    "TLSA": lambda draft: "3 1 1 " + f"{small(draft):02}" * 32,
    "SMIMEA": lambda draft: "3 1 1 " + f"{small(draft):02}" * 32,
    "CDS": lambda draft: f"{small(draft)} 8 2 " + "33" * 32,
    "CDNSKEY": lambda draft: "257 3 8 AwEAAQ==",
    "OPENPGPKEY": lambda draft: "AQID",
    "CSYNC": lambda draft: f"{small(draft)} 3 A NS AAAA",
    "ZONEMD": lambda draft: "7 1 1 " + "44" * 48,
    "SPF": lambda draft: '"v=spf1 -all"',
    "NID": lambda draft: f"{small(draft)} 0014:4fff:ff20:ee64",
    "L32": lambda draft: f"{small(draft)} 10.1.2.0",
    "L64": lambda draft: f"{small(draft)} 2001:0db8:1140:1000",
    "LP": lambda draft: f"{small(draft)} {draft.target()}",
    "EUI48": lambda draft: f"00-00-5e-00-53-2{small(draft)}",
    "EUI64": lambda draft: f"00-00-5e-ef-10-00-00-2{small(draft)}",
    "URI": lambda draft: f'{small(draft)} 1 "ftp://ftp.example.net/"',
    "TYPE65280": lambda draft: rf"\# 2 ab0{small(draft)}",
    "TYPE731": lambda draft: r"\# 0",
}
# Types that Knot does not know (NSD knows all but HIP); a zone with one of them has fewer voters.
OLD_RDATA: Rdata = {
    "MB": lambda draft: draft.target(),
    "MG": lambda draft: draft.target(),
    "MR": lambda draft: draft.target(),
    "X25": lambda draft: f'"31110611302{small(draft)}"',
    "ISDN": lambda draft: f'"15086202800321{small(draft)}" "004"',
    "NSAP": lambda draft: f"0x47000580005a0000000001e133ffffff00016{small(draft)}00",
    "PX": lambda draft: f"{small(draft)} {draft.target()} {draft.target()}",
    "HIP": lambda draft: "2 200100107b1a74df365639cc39f1d578 AwEAAQ== rvs.example.net.",
}
USUAL = (
    "A", "A", "AAAA", "TXT", "TXT", "NS", "CNAME", "DNAME", "MX", "SRV", "HTTPS", "SVCB", "PTR", "DS", "TYPE65280",
    "CAA", "NAPTR", "RP", "AFSDB", "KX", "RT", "LOC", "HINFO", "TLSA", "SSHFP", "MINFO", "CDS", "SPF",
)  # fmt: skip

FAMILIES: dict[str, Callable[[Draft], None]] = {
    "empty-non-terminals": empty_non_terminals,
    "wildcards": wildcards,
    "asterisks": asterisks,
    "delegations": delegations,
    "much-glue": much_glue,
    "cnames": cnames,
    "wildcard-cnames": wildcard_cnames,
    "dnames": dnames,
    "long-names": long_names,
    "escapes": escapes,
    "spelling": spelling,
    "types": types,
    "huge": huge,
    "targets": target_types,
    "anything": anything,
    "apex-dname": apex_dname,  # the last one: it leaves nothing of the others
}
# How often a zone of many families has each of them; 4 if nothing is said.
WEIGHTS = {"much-glue": 1, "huge": 1, "long-names": 1, "spelling": 2, "escapes": 2, "asterisks": 2, "apex-dname": 0.1}
MOTIFS = (2, 3, 4, 6, 8)
UNCLEAN = 0.03  # of the zones hold what a zone must not hold


def random_zone(random: Random, origin: str, signed: str | None = None, family: str | None = None) -> ZoneText:
    """A zone of several families, or of one; now and then one that servers should refuse."""
    hashed = signed is not None and HOW[signed][1].salt is not None
    draft = Draft(random, origin, MAX_OCTETS_NSEC3 if hashed else MAX_OCTETS)
    weights = [WEIGHTS.get(name, 4) for name in FAMILIES]
    chosen = (
        [family] * random.choice(MOTIFS) if family else random.choices(list(FAMILIES), weights, k=random.choice(MOTIFS))
    )
    chosen.sort(key=list(FAMILIES).index)
    for name in chosen:
        FAMILIES[name](draft)
    # Signers drop what they do not understand.
    zone = draft.zone(sorted(set(chosen)), signed, clean=signed is not None or not draft.chance(UNCLEAN))
    return replace(zone, signed=INSTEAD.get(zone.signed or "", zone.signed)) if is_refused_by_bind(zone) else zone


# dnssec-signzone refuses more than the others do.
INSTEAD = {"nsec": "ldns-nsec", "nsec3": "ldns-nsec3", "nsec3-salt": "ldns-nsec3", "opt-out": "ldns-opt-out"}


def is_refused_by_bind(zone: ZoneText) -> bool:
    cuts = {each.owner.lower() for each in zone.records if each.type == "NS"}
    return any(cut.startswith("*.") or cut == "*" for cut in cuts) or any(
        (each.type == "DS" and each.owner.lower() not in cuts) or (each.type == "DNSKEY" and each.owner != APEX)
        for each in zone.records
    )
