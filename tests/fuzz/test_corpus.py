"""Every file of the corpus through its target, and a short run of each fuzzer.

The corpus holds what covers the code between them, and what once was a find. Atheris itself is not needed for that.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.fuzz.__main__ import CORPUS, MAX_OCTETS, TARGETS
from tests.peers.availability import peers_are_required

ROOT = Path(__file__).resolve().parents[2]
MAX_CORPUS_OCTETS = 500_000
RUNS = {"query": 20_000, "zonefile": 4_000, "config": 4_000}  # about 20 s each
COVERED = {"query": 450, "zonefile": 1_400, "config": 1_200}  # at least so many edges, or nothing was instrumented
CRASH = re.compile("crash-|leak-|oom-|timeout-")
OUTCOMES = {
    "query": {"silence", *(f"rcode {rcode}" for rcode in (0, 1, 2, 3, 4, 5, 9))},
    "zonefile": {"a zone", "refused"},
    "config": {"a configuration", "refused"},
}
# Calls of Python functions that a configuration of so many octets may cost: a few aliases stand for MAX_NODES values.
MAX_CONFIG_CALLS, MAX_CONFIG_CALLS_AN_OCTET = 300_000, 200


def check_of(target: str) -> Callable[[bytes], str]:
    check: Callable[[bytes], str] = importlib.import_module(f"tests.fuzz.{target}").check
    return check


def files_of(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_of_the_corpus(target: str) -> None:
    check = check_of(target)
    outcomes: Counter[str] = Counter()
    broken = []
    for path in files_of(target):
        try:
            outcomes[check(path.read_bytes())] += 1
        except Exception as error:
            broken.append(f"{path.name}: {error!r}")
    assert not broken, "\n".join(broken)
    assert outcomes.keys() >= OUTCOMES[target]  # or the corpus tests nothing


def test_the_corpus_stays_small() -> None:
    sizes = {path: path.stat().st_size for target in TARGETS for path in files_of(target)}
    assert sum(sizes.values()) <= MAX_CORPUS_OCTETS
    assert [path for path, octets in sizes.items() if octets > MAX_OCTETS[path.parent.name]] == []


def test_the_cost_of_a_configuration_is_bounded() -> None:
    check = check_of("config")
    for path in files_of("config"):
        data = path.read_bytes()
        assert calls(check, data) <= MAX_CONFIG_CALLS + MAX_CONFIG_CALLS_AN_OCTET * len(data), path.name


def calls(function: Callable[[bytes], object], argument: bytes) -> int:
    count = 0

    def profile(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function(argument)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        reason = "Atheris is not installed: NOTHING WAS FUZZED (it has wheels for Linux on x86-64)"
        if peers_are_required():
            pytest.fail(f"{reason}, and AUTHDNS_REQUIRE_PEERS=1", pytrace=False)
        pytest.skip(reason)
    command = [sys.executable, "-m", "tests.fuzz", target, "--runs", str(RUNS[target]), "--finds", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    crashes = {path.name: path.read_bytes() for path in tmp_path.iterdir() if CRASH.match(path.name)}
    end = "\n".join(done.stdout.splitlines()[-60:])
    assert (done.returncode, crashes) == (0, {}), end
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stdout)
    covered = re.findall(r"cov: (\d+)", done.stdout)
    assert executed is not None, end
    assert int(executed[1]) >= RUNS[target]
    assert int(covered[-1]) >= COVERED[target], end
