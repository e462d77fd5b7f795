"""Random zones, plain and signed, in BIND, NSD, Knot and authdns: a bounded run of what `make differential` does.

One part has always the same seed, so that a change that breaks something fails at once and for everybody; one has
another seed each day. A failure names its seed; `python -m tests.differential --seed …` shows more, and shrinks it.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from tests.differential.run import Options, Result, run
from tests.interop.conftest import CONTROL_RUN
from tests.peers import requires
from tests.peers.availability import binary_of

pytestmark = [
    requires("bind", "nsd", "knot"),
    pytest.mark.skipif(CONTROL_RUN, reason="the control run has peers in the place of authdns"),
]

SIGNERS = ("dnssec-signzone", "ldns-signzone", "kzonesign", "keymgr")
FIXED = 1
QUESTIONS = 2000
GROUPS = 20  # of zones, in a round
SECONDS = 20.0  # after which a run on a slow machine ends


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["plain", "signed"])
@pytest.mark.parametrize("seeds", ["fixed", "of the day"])
def test_no_difference_is_unexplained(tmp_path: Path, share: float, seeds: str) -> None:
    for program in SIGNERS if share else ():
        binary_of(program)
    seed = FIXED if seeds == "fixed" else 1000 * datetime.datetime.now(datetime.UTC).date().toordinal()
    options = Options(queries=QUESTIONS, seed=seed, signed_share=share, groups=GROUPS, seconds=SECONDS)
    result = run(options, tmp_path, print)
    assert result.counts["questions"] > 0
    if result.findings:
        pytest.fail(report(result, options), pytrace=False)


def report(result: Result, options: Options) -> str:
    signed = "all" if options.signed_share else "none"
    lines = [
        f"python -m tests.differential --seed {options.seed} --signed {signed} --zones {options.groups} shows more"
    ]
    for kind, findings in result.findings.items():
        smallest = min(findings, key=lambda finding: finding.case.size)
        lines += [f"{len(findings)} x {kind} (seed {smallest.seed})", smallest.said]
        lines += [f"signed: {zone.signed}\n{zone}" for zone in smallest.case.group]
    return "\n".join(lines)
