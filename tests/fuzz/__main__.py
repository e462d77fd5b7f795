"""Coverage-guided fuzzing of one target with Atheris (libFuzzer inside).

    python -m tests.fuzz query --seconds 300 --finds build/fuzz/query    new finds and crashes go into that folder
    python -m tests.fuzz query --runs 20000                              so many executions, always the same ones

A crash is written to `crash-...` in the folder of finds and ends the run with status 77; give the file as `--replay`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
TARGETS = ("query", "zonefile", "config")
CRASHED = 77
INSTRUMENTED = {"config": ["authdns", "yaml"]}  # besides authdns: what is the parser there
MAX_OCTETS = {"query": 4096, "zonefile": 4096, "config": 2048}
HANG_SECONDS = 600  # of one input, on whatever machine
MAX_MEGABYTES = 2048
SEED = 4711


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, help="how many executions")
    parser.add_argument("--seconds", type=int, default=60, help="for so long, if --runs is not given")
    parser.add_argument("--finds", type=Path, help="a folder that keeps what was found")
    parser.add_argument("--replay", type=Path, help="one file, once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        finds = (given.finds or Path(scratch)).resolve()
        finds.mkdir(parents=True, exist_ok=True)
        corpus = CORPUS / given.target
        options = [f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MAX_MEGABYTES}", f"-max_len={MAX_OCTETS[given.target]}"]
        if given.replay:
            options += [str(given.replay)]
        else:
            until = f"-max_total_time={given.seconds}" if given.runs is None else f"-runs={given.runs}"
            options += [until, f"-artifact_prefix={finds}{os.sep}", "-print_final_stats=1", "-reload=0"]
            options += [f"-seed={SEED}"] if given.runs is not None else []
            options += [str(finds), str(corpus)]
        fuzz(given.target, options)


def fuzz(target: str, options: list[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris  # not for everybody: wheels exist for Linux only

    with atheris.instrument_imports(include=INSTRUMENTED.get(target, ["authdns"])):
        check: Callable[[bytes], str] = importlib.import_module(f"tests.fuzz.{target}").check

    def execute(data: bytes) -> None:
        check(data)

    from tests.fuzz.mutations import change
    from tests.fuzz.texts import changed

    def mutate(data: bytes, max_octets: int, seed: int) -> bytes:
        """Half of them blind, half with understanding of packets or lines."""
        random_ = random.Random(seed)
        if random_.random() < 0.5:
            return bytes(atheris.Mutate(data, max_octets))
        if target == "query":
            packet = bytearray(data)
            change(random_, packet)
            return bytes(packet[:max_octets])
        return changed(random_, data, target)[:max_octets]

    atheris.Setup([sys.argv[0], *options], execute, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
