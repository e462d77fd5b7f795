"""The tools of the differential themselves: the reader of responses, the generator, the shrinker."""

from __future__ import annotations

from pathlib import Path
from random import Random

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest

from authdns.wire import name as names
from tests.differential.comparison import Response, differences
from tests.differential.families import FAMILIES, random_zone
from tests.differential.messages import NotUnderstood, Row, read
from tests.differential.questions import PLAIN, Question, asked_names, longest, questions
from tests.differential.run import Options, groups_of
from tests.differential.servers import Batch
from tests.differential.shrink import Case, Shrinker, removable, renamed, without
from tests.differential.zones import Record, ZoneText, labels_of, octets

ZONE = ZoneText(
    "z0001.test.",
    (
        Record("@", 300, "SOA", "nsx host 7 3600 900 604800 300"),
        Record("@", 300, "NS", "nsx"),
        *(Record(f"a{number}.b", 300, "A", "192.0.2.1") for number in range(30)),
    ),
)


def test_responses_are_read_as_dnspython_reads_them() -> None:
    message = dns.message.make_query("WWW.example.com.", "MX", use_edns=0, want_dnssec=True)
    message.flags |= dns.flags.QR | dns.flags.AA
    for section, owner, rrtype, data in (
        (message.answer, "www.example.com.", "MX", "10 Mail.Example.com."),
        (message.answer, "www.example.com.", "NAPTR", '1 2 "u" "sip" "" Next.example.com.'),
        (message.answer, "www.example.com.", "RRSIG", "MX 13 3 300 20480101000000 20260101000000 1 Example.com. AQID"),
        (message.authority, "example.com.", "NSEC", "Www.example.com. MX RRSIG NSEC"),
        (message.additional, "mail.example.com.", "TXT", '"Upper Case"'),
    ):
        section.append(dns.rrset.from_text(owner, 300, "IN", rrtype, data))
    found = read(message.to_wire())
    assert (found.rcode, found.flags & 0x0400, found.edns) == ("NOERROR", 0x0400, 0x8000)
    for rows, rrsets in ((found.answer, message.answer), (found.authority, message.authority)):
        for row, rrset in zip(rows, rrsets, strict=True):
            assert row.owner == rrset.name.canonicalize().to_wire()
            assert row.rdata.lower() == (rrset[0].to_wire() or b"").lower()
    assert b"".join(row.rdata for row in found.answer).count(b"example") == 3
    assert [str(row) for row in found.additional] == ['mail.example.com. 300 TXT "Upper Case"']


@pytest.mark.parametrize("wire", [b"", bytes(11), bytes(12) + b"x", bytes(5) + b"\1" + bytes(6) + b"\xc0\x0c\0\1\0\1"])
def test_what_is_no_message_is_not_understood(wire: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read(wire)


def test_one_voice_against_two_is_a_difference_and_one_of_three_is_none() -> None:
    def differing(bind: str, nsd: str, knot: str) -> list[str]:
        said = {"bind": bind, "nsd": nsd, "knot": knot, "authdns": "NXDOMAIN"}
        responses = {name: Response(rcode, "AA") for name, rcode in said.items()}
        return [found.aspect for found in differences(b"\0", 1, responses)]

    assert differing("NOERROR", "NOERROR", "NXDOMAIN") == ["rcode"]
    assert differing("NOERROR", "SERVFAIL", "REFUSED") == ["rcode"]
    assert differing("NOERROR", "SERVFAIL", "NXDOMAIN") == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_gives_one_zone_and_its_names_are_possible(family: str) -> None:
    for seed in range(5):
        zone, again = (random_zone(Random(seed), "z0001.test.", "nsec", family) for _ in range(2))
        assert zone == again
        assert all(octets(record.owner) + octets(zone.origin) <= 255 for record in zone.records)
        assert all(len(name) <= 255 for name in asked_names(zone, Random(seed)))
        assert list(questions(zone, Random(seed))) == list(questions(again, Random(seed)))


def test_a_round_is_made_from_its_seed_alone() -> None:
    assert groups_of(Options(), 7) == groups_of(Options(), 7)
    assert [zone.origin for (zone,) in groups_of(Options(), 25)] == ["."]


def test_names() -> None:
    assert labels_of(r"a\.b.c") == [r"a\.b", "c"]
    assert [len(longest(names.from_text(f"{'a' * length}.test."))) for length in range(1, 63)] == [255] * 62
    assert renamed("x.a.b", "a.b", ["b"]) == "x.b"


def test_the_shrinker_leaves_what_shows_the_difference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Batch, "__enter__", lambda self: self)
    monkeypatch.setattr(Batch, "__exit__", lambda *_: None)

    def still(_: Batch, case: Case) -> bool:
        return {"a7", "a21"} <= {record.owner.split(".")[0] for record in case.group[0].records}

    case = Shrinker(tmp_path, still).shrunk(Case((ZONE,), Question(names.from_text("q.z0001.test."), 1, PLAIN)))
    assert [record.owner for record in case.group[0].records[2:]] == ["a7", "a21"]


def test_what_a_zone_needs_is_not_removable() -> None:
    case = Case((ZONE,), Question(b"\0", 1, PLAIN))
    assert len(without(case, removable(case)).group[0].records) == 2


def test_a_row_says_what_it_is() -> None:
    assert str(Row(b"\1a\0", 60, 1, b"\xc0\0\2\1")) == "a. 60 A 192.0.2.1"
    assert dns.name.from_wire(b"\1a\0", 0)[0].to_text() == "a."
