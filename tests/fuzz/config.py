"""Whatever text as the configuration: a Config, or ConfigError with problems that have their places; nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import authdns.config.document
from authdns.config import Config, ConfigError, expand_zones, parse_config, parse_endpoint, stem_of_zone
from authdns.config import zone_name_of_file as name_of_file
from tests.fuzz.invariants import Violation

PATH = Path("/etc/authdns/authdns.yaml")
ENVIRON: Mapping[str, str] = {"HOME": "/home/ada"}
FOLDER = ["example.com.zone", "db.example.com", "@.zone", "%2f.zone", "..zone", "a b.zone", "x.db", "\udcff.zone", ""]
MAX_NODES = 10_000  # instead of 300,000: what a few aliases stand for is walked to this end


@patch.object(authdns.config.document, "MAX_NODES", MAX_NODES)
def check(data: bytes) -> str:
    """Whether it is a configuration. Raises Violation, or whatever authdns raises."""
    try:
        config = parse_config(data, path=PATH, environ=ENVIRON)
    except ConfigError as error:
        check_problems(error, data)
        return "refused"
    check_config(config)
    return "a configuration"


def check_problems(error: ConfigError, data: bytes) -> None:
    if not error.problems:
        raise Violation("an error without a problem")
    # YAML's line ends; one more line, since what is missing may be missed at the end of the file.
    lines = data.decode("utf-8", "replace")
    for end in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        lines = lines.replace(end, "\n")
    last = lines.count("\n") + 1
    for problem in error.problems:
        shown = str(problem)
        if any(not (c.isprintable() or c == "\n") for c in shown) or shown.count("\n") > 2:
            raise Violation(f"not fit to be printed: {shown!r}")
        shown.encode()
        if not 1 <= problem.where.line <= last + 1:
            raise Violation(f"no such place: {shown} ({problem.where.line} of {last})")


def check_config(config: Config) -> None:
    for endpoint in config.listen:
        if parse_endpoint(str(endpoint), listening=True) != endpoint:
            raise Violation(f"not read back: {endpoint}")
    if not 512 <= config.edns_size <= 4096 or not config.listen:
        raise Violation(f"out of range: {config}")
    zones, problems = expand_zones(config, _listed)
    for problem in problems:
        if not str(problem).replace("\n", "").isprintable():
            raise Violation(f"not fit to be printed: {problem}")
    for apex in zones:
        if name_of_file(f"{stem_of_zone(apex)}.zone").lower() != apex:
            raise Violation(f"its file would not be read back: {apex!r}")


def _listed(folder: str) -> list[str]:
    if "missing" in folder:
        raise FileNotFoundError(2, "No such file or directory", folder)
    return FOLDER
