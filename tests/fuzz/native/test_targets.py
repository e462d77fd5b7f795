"""A short run of each target, under the sanitizers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.fuzz.native.__main__ import COMPILER, SEED, TARGETS, fuzz
from tests.peers.availability import peers_are_required

RUNS = {"answer": 100_000, "image": 6_000}  # some 5 s each
COVERED = {"answer": 250, "image": 300}  # at least so many edges, or nothing was instrumented
PROBE = "int LLVMFuzzerTestOneInput(const unsigned char *a, unsigned long b); "
PROBE += "int LLVMFuzzerTestOneInput(const unsigned char *a, unsigned long b) { return (void)a, (void)b, 0; }"


def why_not(folder: Path) -> str:
    """Why there is no libFuzzer here, or nothing."""
    command = [COMPILER, "-x", "c", "-", "-fsanitize=fuzzer,address,undefined", "-o", str(folder / "probe")]
    try:
        subprocess.run(command, input=PROBE, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return f"{COMPILER} is not installed"
    except subprocess.CalledProcessError as error:
        return f"{COMPILER} has no libFuzzer (libclang-rt-dev): {error.stderr.strip()[-300:]}"
    return ""


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    missing = why_not(tmp_path)
    if missing:
        reason = f"{missing}: THE ENGINE'S C WAS NOT FUZZED"
        if peers_are_required():
            pytest.fail(f"{reason}, and AUTHDNS_REQUIRE_PEERS=1", pytrace=False)
        pytest.skip(reason)
    options = [f"-runs={RUNS[target]}", f"-seed={SEED}"]
    try:
        done = fuzz(target, tmp_path, tmp_path / "finds", options)
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stderr, pytrace=False)
    end = "\n".join(done.stderr.splitlines()[-60:])
    crashes = [path.read_bytes() for path in (tmp_path / "finds").glob("*-*")]
    assert (done.returncode, crashes) == (0, []), end
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    assert executed is not None, end
    assert int(executed[1]) >= RUNS[target]
    covered = re.findall(r"cov: (\d+)", done.stderr)
    assert int(covered[-1]) >= COVERED[target], end
