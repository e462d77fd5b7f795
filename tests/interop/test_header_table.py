"""The table of packets, usual and unusual, and those of the EDNS compliance test, sent to BIND, NSD and Knot as well.

Where two of them agree and authdns does otherwise, the reason stands here.

Compared are rcode, flags, whether the question comes back, how many records, OPT, TSIG. Not compared: EDNS options in
the response (NSID, cookies, extended errors: what a server offers), and what it adds to a positive answer unasked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.interop.conftest import CONTROL_RUN
from tests.interop.raw import DECLINED, Udp, over_tcp
from tests.peers import Authdns, Bind, Knot, NameServer, Nsd, Zone, requires
from tests.unit.answer.packets import CASES, NO_RESPONSE, ZONE, Case, query, seen

pytestmark = [
    requires("bind", "nsd", "knot"),
    pytest.mark.skipif(CONTROL_RUN, reason="the control run has peers in the place of authdns"),
]

_CD = "CD is copied into every response: RFC 4035 §3.1.6"
_META = "a type that no zone can hold (RFC 6895 §3.1) is refused, not denied"
_STRICT = "what does not belong into a query is refused: no record is parsed but OPT and TSIG"
_OPT = "a request with OPT is answered with OPT, however bad it is: RFC 6891 §6.1.1"
_QUESTION = "the question could be read, so it comes back as in every response"
_NOTIFY = "the zone is primary here: AA is left to those who accept the message, and the peers disagree on the rcode"
_CLASS_ANY = "a query of class ANY could only be answered without authority (RFC 1034 §3.7.1): refused"
_ANSWERED = "by TCP as by UDP: FORMERR, as BIND does; the others close the connection"
_COOKIE_LENGTH = "FORMERR (RFC 7873 §5.2.2), as BIND does; the others have cookies only on request"

# Case -> why authdns does otherwise than most of its peers.
DEVIATIONS: dict[str, str] = {
    "CD": _CD,
    "RD, AD and CD": _CD,
    "every flag": _CD,
    "ednscomp: cd": _CD,
    "ednscomp: docd": _CD,
    "opcode 15, RD and CD": f"{_QUESTION}; RD and CD mean something in QUERY only, as the EDNS compliance test has it",
    "an option that is cut off": _OPT,
    "an option's header cut off": _OPT,
    "two OPTs": _OPT,
    "two OPTs, EDNS 1": _OPT,
    "OPT at a pointer to the root": "the owner of OPT is a zero octet: RFC 6891 §6.1.2",
    **{f"opcode {code}": _QUESTION for code in (1, 2, 3, 7, 15)},
    "opcode 15 with EDNS": _QUESTION,
    "opcode 15 with EDNS 1": _QUESTION,
    "NOTIFY": _NOTIFY,
    "NOTIFY with the SOA": _NOTIFY,
    "NOTIFY with EDNS": _NOTIFY,
    "a header alone": _ANSWERED,
    "a header alone, opcode 15": _ANSWERED,
    "a name that is cut off": _ANSWERED,
    "class ANY": _CLASS_ANY,
    "class ANY, EDNS": _CLASS_ANY,
    "a cookie of 7 octets": _COOKIE_LENGTH,
    "a cookie of 41 octets": _COOKIE_LENGTH,
    "no question, a cookie of another server": "BADCOOKIE: RFC 7873 §5.4; BIND and NSD say NOERROR, Knot FORMERR",
    "an octet behind the question": _STRICT,
    "an OPT behind the question that is not counted": _STRICT,
    "an octet behind OPT": f"{_STRICT}; {_OPT}",
    "a kilobyte behind OPT": f"{_STRICT}; {_OPT}",
    "an answer in the query": _STRICT,
    "authority in the query": _STRICT,
    "an A record behind the question": _STRICT,
    "an A record and OPT": _STRICT,
    "OPT and an A record": _STRICT,
    "OPT as a question": _META,
    "TSIG as a question": _META,
    "TKEY as a question": "TKEY (RFC 2930) is not implemented",
    "MAILA": "obsolete since RFC 973 and never asked for: not implemented, as in BIND",
    "MAILB": "experimental (RFC 1035 §3.2.3) and never asked for: not implemented, as in BIND",
    "TSIG of TTL 1": "the TTL of TSIG is 0: RFC 8945 §4.2",
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NameServer]]:
    """The peers, then authdns."""
    folder = tmp_path_factory.mktemp("header-table")
    zone = folder / "example.com.zone"
    zone.write_text(ZONE)
    with ExitStack() as stack:
        yield [
            stack.enter_context(kind(folder / kind.name, [Zone("example.com", zone)]))
            for kind in (Bind, Nsd, Knot, Authdns)
        ]


def exchange(server: NameServer, packet: bytes, transport: str) -> bytes | None:
    if transport == "tcp":
        return over_tcp(server.endpoint, packet, query())
    with Udp(server.endpoint, query(), *([DECLINED] if isinstance(server, Authdns) else [])) as socket:
        return socket.exchange(packet)


def aspects(request: bytes, response: bytes | None) -> dict[str, str]:
    """What is compared, each with its name."""
    said = seen(request, response)
    if said == NO_RESPONSE:
        return {"rcode": NO_RESPONSE}
    words = said.split()
    counts = next(word for word in words if "/" in word)
    found = {
        "rcode": words[0],
        "flags": " ".join(word for word in words if word in ("aa", "tc", "rd", "ra", "ad", "cd", "z")),
        "question": "question" if "question" in words else "another" if "another-question" in words else "none",
        "answers": counts.split("/")[0],
        "opt": " ".join(word for word in words if word.startswith(("opt0:", "opt1:", "do", "ednsflags"))),
        "tsig": " ".join(word for word in words if word.startswith("tsig")),
        "odd": " ".join(word for word in words if word in ("another-opcode", "another-id", "not-a-response")),
    }
    if counts[0] == "0" or "tc" in words:
        found["counts"] = counts
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_authdns_answers_as_most_of_its_peers(servers: list[NameServer], case: Case, transport: str) -> None:
    responses = {server.name: exchange(server, case.packet, transport) for server in servers}
    expected = case.with_cookies or (case.expected if transport == "udp" or case.tcp is None else case.tcp)
    assert seen(case.packet, responses["authdns"]) == expected  # the unit test's table is what the server does
    if case.name in DEVIATIONS:
        return
    found = {name: aspects(case.packet, response) for name, response in responses.items()}
    ours = found.pop("authdns")
    for aspect in ours:
        votes = Counter(theirs[aspect] for theirs in found.values() if aspect in theirs)
        for value, count in votes.items():
            if count >= 2 and value != ours[aspect]:
                lines = [f"{name}: {seen(case.packet, response)}" for name, response in responses.items()]
                pytest.fail("\n".join([f"{aspect} differs; the packet is {case.packet.hex()}", *lines]), pytrace=False)


def test_deviations_are_cases_of_the_table() -> None:
    assert DEVIATIONS.keys() <= {case.name for case in CASES}
