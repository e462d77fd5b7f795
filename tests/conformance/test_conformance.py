"""Every case on which mature servers agree, answered by the executor. A sample goes through zone files and a real
socket in scenario/test_conformance.py.

Deliberate deviations would be listed in DEVIATIONS with their RFC. There are none.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.types import type_from_text
from authdns.zone.reader import read_zone
from tests.unit.answer.zones import zone_from_records

CASES = Path(__file__).with_name("cases.jsonl.gz")
DEVIATIONS: dict[str, str] = {}  # case id -> RFC and reason


def records(text: str) -> list[tuple[str, int, str, str]]:
    found = []
    for line in text.splitlines():
        owner, ttl, _, rrtype, data = line.split(None, 4)
        found.append((owner, int(ttl), rrtype, data))
    return found


def section(rrsets: list[Any]) -> set[str]:
    return {line.lower() for rrset in rrsets for line in rrset.to_text().splitlines()}


def query(case: dict[str, Any]) -> bytes:
    question = names.from_text(case["qname"]) + type_from_text(case["qtype"]).to_bytes(2, "big") + b"\0\1"
    return b"\0\1\0\0\0\1\0\0\0\0\0\0" + question


def differences(case: dict[str, Any], wire: bytes) -> list[str]:
    """Which parts of the response are not as expected."""
    response = dns.message.from_wire(wire)
    flags = {flag for flag in ("AA", "TC") if response.flags & dns.flags.from_text(flag)}
    got = {
        "rcode": dns.rcode.to_text(response.rcode()),
        "flags": flags,
        "answer": section(response.answer),
        "additional": section(response.additional),
    }
    expected = {
        "rcode": case["rcode"],
        "flags": set(case["flags"]),
        "answer": {line.lower() for line in case["answer"]},
        "additional": {line.lower() for line in case["additional"]},
    }
    if case["authority"] is not None and not case["answer"]:
        got["authority"] = section(response.authority)
        expected["authority"] = {line.lower() for line in case["authority"]}
    return [f"{key}: expected {expected[key]}, got {got[key]}" for key in expected if got[key] != expected[key]]


def cases() -> Iterator[dict[str, Any]]:
    with gzip.open(CASES, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def test_every_case_is_answered_as_the_mature_servers_agree() -> None:
    count = 0
    wrong = {}
    for case in cases():
        count += 1
        zone = zone_from_records(case["origin"], records(case["zone"]))
        table = ZoneTable()
        table.publish(zone.apex, ServedZone(zone))
        wire = Responder(table, tcp=False).respond(query(case))
        assert isinstance(wire, bytes)
        found = differences(case, wire)
        if found and case["id"] not in DEVIATIONS:
            wrong[case["id"]] = (case["about"], case["qname"], case["qtype"], found)
    assert count == 4198
    assert not wrong, f"{len(wrong)} of {count} differ; the first: {list(wrong.items())[:3]}"


def test_every_zone_of_the_cases_passes_our_checks() -> None:
    for case in cases():
        apex = names.from_text(case["origin"]).lower()
        reading = read_zone("case", apex, lambda path, text=case["zone"]: text.encode())  # type: ignore[misc]
        assert reading.zone is not None, (case["id"], [str(problem) for problem in reading.problems])
