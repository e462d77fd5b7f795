"""Coverage-guided fuzzing of the engine's C, alone, with libFuzzer and the sanitizers for addresses and undefined
behaviour.

    python -m tests.fuzz.native answer --seconds 300 --finds build/fuzz/answer    queries, over images of the zones
    python -m tests.fuzz.native image --runs 20000                                images, each asked all over

A crash is written to `crash-...` in the folder of finds; give the file as `--replay`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from authdns.answer.executor import ServedZone
from authdns.answer.image import write_image
from tests.fuzz.images import crowded_queries, crowded_zones, small_images
from tests.fuzz.mutations import SEEDS
from tests.fuzz.zones import table

SOURCES = Path(__file__).parent
ENGINE = SOURCES.parents[2] / "authdns" / "answer" / "native"
CORPUS = SOURCES.parent / "corpus" / "query"
PARTS = ("answer", "cookie", "image", "limiter", "sha1")
TARGETS = {"answer": 4096, "image": 16384}  # the most octets of an input
FLAGS = (
    "-std=gnu11",
    "-O1",
    "-g",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    *("-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Wshadow", "-Wcast-align", "-Werror"),
)
COMPILER = os.environ.get("CLANG", "clang")
SEED = 4711
HANG_SECONDS = 600  # of one input, on whatever machine
MAX_MEGABYTES = 1024


def build(target: str, folder: Path) -> Path:
    """The program. Raises subprocess.CalledProcessError, FileNotFoundError without a compiler."""
    program = folder / f"fuzz-{target}"
    sources = [
        SOURCES / f"{target}.c",
        *(ENGINE / f"{name}.c" for name in ("answer", "cookie", "image", "limiter", "sha1")),
    ]
    command = [COMPILER, *FLAGS, f"-I{ENGINE}", "-o", str(program), *map(str, sources)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def write_images(folder: Path) -> None:
    """One for each zone of `tests.fuzz.zones` that can be served, and for the crowded ones."""
    folder.mkdir()
    zones = [served.zone for served in table().by_apex.values() if isinstance(served, ServedZone)]
    for zone in (*zones, *crowded_zones().values()):
        (folder / f"{zone.apex.hex()}.image").write_bytes(write_image(zone))


def write_seeds(target: str, folder: Path) -> None:
    folder.mkdir()
    if target == "image":
        seeds = list(small_images().values())
    else:
        packets = [*SEEDS, *crowded_queries(), *(path.read_bytes() for path in sorted(CORPUS.iterdir()))]
        # The first octets say which zones, limits, secrets and clients there are; see answer.c.
        seeds = [bytes((0, number & 0x3F, number & 7, *bytes(5))) + packet for number, packet in enumerate(packets)]
    for number, seed in enumerate(seeds):
        (folder / f"{number:04}").write_bytes(seed[: TARGETS[target]])


def fuzz(target: str, scratch: Path, finds: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    """Builds and runs the target, until its options end it. Raises as `build` does."""
    program = build(target, scratch)
    write_images(scratch / "images")
    write_seeds(target, scratch / "seeds")
    finds.mkdir(parents=True, exist_ok=True)
    limits = (f"-max_len={TARGETS[target]}", f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MAX_MEGABYTES}")
    command = [
        str(program),
        *limits,
        f"-artifact_prefix={finds}{os.sep}",
        "-print_final_stats=1",
        "-reload=0",
        *options,
    ]
    return subprocess.run(
        [*command, *([] if Path(options[-1]).is_file() else [str(finds), str(scratch / "seeds")])],
        env={**os.environ, "AUTHDNS_IMAGES": str(scratch / "images")},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.native", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, help="how many executions, always the same ones")
    parser.add_argument("--seconds", type=int, default=60, help="for so long, if --runs is not given")
    parser.add_argument("--finds", type=Path, help="a folder that keeps what was found")
    parser.add_argument("--replay", type=Path, help="one file, once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        finds = (given.finds or Path(scratch) / "finds").resolve()
        options = [f"-max_total_time={given.seconds}"]
        if given.replay:
            options = [str(given.replay)]
        elif given.runs is not None:
            options = [f"-runs={given.runs}", f"-seed={SEED}"]
        try:
            done = fuzz(given.target, Path(scratch), finds, options)
        except FileNotFoundError:
            sys.exit(f"{COMPILER} is not installed: the engine's C is not fuzzed")
        except subprocess.CalledProcessError as error:
            sys.exit(error.stderr)
    sys.stderr.write(done.stderr)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
