"""Every case, answered by the engine as the executor answers it; it declines what a DNAME moves."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
from authdns.answer.executor import ServedZone, ZoneTable
from tests.conformance.test_conformance import cases, query, records
from tests.fuzz.engine import Pair, Reason
from tests.unit.answer.packets import opt
from tests.unit.answer.zones import zone_from_records

WITH_DO = opt(payload=512, flags=0x8000)


def test_every_case_is_answered_by_the_engine_or_declined_for_a_reason() -> None:
    outcomes: Counter[str] = Counter()
    for case in cases():
        zone = zone_from_records(case["origin"], records(case["zone"]))
        table = ZoneTable()
        table.publish(zone.apex, ServedZone(zone))
        pair = Pair(table)
        packet = query(case)
        outcomes[pair.check(packet)] += 1
        pair.check(packet[:11] + b"\1" + packet[12:] + WITH_DO)
    assert outcomes == {"rcode 0": 4121, "rcode 3": 19, f"declined: {Reason.DNAME}": 58}
