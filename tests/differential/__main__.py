"""`python -m tests.differential`: random zones and questions; every difference that nobody has explained, shrunk."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.differential.families import FAMILIES
from tests.differential.run import Finding, Options, Result, run, shrunk
from tests.peers.availability import find_binary
from tests.peers.signing import HOW


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000, metavar="N", help="how many to ask (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first round (%(default)s)")
    parser.add_argument(
        "--signed", metavar="HOW", help=f"none, all, or some of {','.join(HOW)}; without it every second zone is signed"
    )
    parser.add_argument("--family", choices=FAMILIES, help="only this nastiness")
    parser.add_argument("--zones", type=int, default=Options.groups, metavar="N", help="in a round (%(default)s)")
    parser.add_argument("--shrink", type=int, default=10, metavar="N", help="of so many kinds, one each (%(default)s)")
    parser.add_argument("--folder", type=Path, help="where the servers run; without it a temporary one")
    arguments = parser.parse_args()
    lacking = [program for program in ("named", "nsd", "knotd") if find_binary(program) is None]
    if lacking:
        parser.error(f"not installed: {', '.join(lacking)} (make peers)")
    how = tuple(HOW) if arguments.signed in (None, "all") else tuple(arguments.signed.split(","))
    options = Options(
        queries=arguments.queries,
        seed=arguments.seed,
        signed=() if arguments.signed == "none" else how,
        signed_share=Options.signed_share if arguments.signed is None else 1.0,
        family=arguments.family,
        groups=arguments.zones,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        result = run(options, folder, lambda line: print(line, flush=True))
        print_counts(result)
        for index, findings in enumerate(sorted(result.findings.values(), key=len, reverse=True)):
            smallest = min(findings, key=lambda finding: finding.case.size)
            print_finding(shrunk(smallest, folder) if index < arguments.shrink else smallest, len(findings))
    return 1 if result.findings else 0


def print_counts(result: Result) -> None:
    for title, counter in (("asked", result.counts), ("explained", result.explained)):
        print(f"\n{title}")
        for what, count in sorted(counter.items(), key=lambda each: -each[1]):
            print(f"{count:>9}  {what}")
    if not result.findings:
        print("\nno unexplained difference")


def print_finding(finding: Finding, count: int) -> None:
    print(f"\n{count} × {finding.kind}  (--seed {finding.seed})", flush=True)
    print(finding.said)
    for zone in finding.case.group:
        print(f"  zone signed: {zone.signed}; {', '.join(zone.families)}")
        print("".join(f"    {line}\n" for line in str(zone).splitlines()[:60]))


if __name__ == "__main__":
    sys.exit(main())
