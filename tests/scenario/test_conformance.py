"""A sample of the conformance cases the whole way: zone files in a folder, the running server, a UDP socket.

Many cases share an apex, so the first of each is taken, and of these as many as make zones of their own.
"""

from pathlib import Path
from typing import Any

from authdns.config import stem_of_zone
from authdns.wire import name as names
from tests.conformance.test_conformance import DEVIATIONS, cases, differences, query
from tests.interop.raw import Udp
from tests.scenario.conftest import Serve

SAMPLE = 300


def test_a_sample_of_the_cases_over_a_socket(tmp_path: Path, serve: Serve) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    by_origin: dict[str, dict[str, Any]] = {}
    for case in cases():
        by_origin.setdefault(case["origin"].lower(), case)
    origins = list(by_origin)
    # A zone inside another one would answer in its place, so those are taken that have none inside.
    alone = [o for o in origins if not any(o != other and other.endswith(f".{o}") for other in origins)][:SAMPLE]
    for origin in alone:
        apex = names.from_text(origin).lower()
        (folder / f"{stem_of_zone(apex)}.zone").write_text(by_origin[origin]["zone"])
    server = serve([{"folder": str(folder), "notify-ns": False}])
    wrong = {}
    with Udp(server.endpoint, query(by_origin[alone[0]])) as udp:
        for origin in alone:
            case = by_origin[origin]
            wire = udp.ask(query(case))
            if (found := differences(case, wire)) and case["id"] not in DEVIATIONS:
                wrong[case["id"]] = found
    assert len(alone) > 100
    assert not wrong
