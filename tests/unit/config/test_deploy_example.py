"""What `deploy/` tells people to copy is right: the example configuration, the guide's zone file, the alerts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from authdns import metrics
from authdns.config import Config, expand_zones, load_config, parse_config
from authdns.control.cli import main

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
EXAMPLE = DEPLOY / "authdns.yaml"
ENVIRON = {"STATE_DIRECTORY": "/var/lib/authdns"}


@pytest.fixture
def example() -> Config:
    return load_config(EXAMPLE, environ=ENVIRON)


def test_it_is_two_zones_and_freedns(example: Config) -> None:
    zones, problems = expand_zones(example, lambda folder: [])
    assert not problems
    assert list(zones) == [b"\7example\3com\0", b"\7example\3net\0"]
    for zone in zones.values():
        assert [secondary.public_name for secondary in zone.policy.secondaries] == ["ns2.afraid.org"]
        assert not zone.policy.notify_ns


def test_it_leaves_the_hosts_own_resolver_alone(example: Config) -> None:
    assert {endpoint.port for endpoint in example.listen} == {53}
    assert not any(endpoint.host.is_unspecified or endpoint.host.is_loopback for endpoint in example.listen)
    assert example.metrics is not None
    assert example.metrics.host.is_loopback


def commented_blocks() -> list[str]:
    """`# key:` and the indented comment lines below it, uncommented; with the next key if it follows at once."""
    lines = EXAMPLE.read_text().splitlines()
    blocks: list[list[str]] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if re.match(r"# [a-z-]+:( |$)", line) and not line.startswith("# human:"):
            if not blocks or before[2:] != blocks[-1][-1]:
                blocks.append([])
            blocks[-1].append(line[2:])
        elif re.match(r"#   +[a-z-]", line) and blocks and before.startswith("#"):
            blocks[-1].append(line[2:])
    return ["\n".join(block) for block in blocks]


def test_there_are_commented_blocks() -> None:
    assert sorted(block.partition(":")[0] for block in commented_blocks()) == [
        "catalogs",
        "cookies",
        "history",
        "identity",
        "primaries",
        "rate-limit",
        "secondaries",
        "secondaries",
        "tls",
        "zones",
        "zones",
    ]


@pytest.mark.parametrize("block", commented_blocks())
def test_what_is_commented_out_is_right_as_well(block: str) -> None:
    assert parse_config(block.encode(), path=EXAMPLE, environ=ENVIRON)


def test_freedns_written_out_is_the_preset(example: Config) -> None:
    block = next(block for block in commented_blocks() if "freedns:" in block)
    written = parse_config(
        (block + "\ndefaults: {secondaries: freedns}\nzones: [{zone: a.example, file: a}]").encode(),
        path=EXAMPLE,
        environ=ENVIRON,
    )
    ours, preset = written.zones[0].policy, example.zones[0].policy
    assert (ours.allow_transfer, ours.notify) == (preset.allow_transfer, preset.notify)
    assert ours.secondaries[0].public_names == preset.secondaries[0].public_names


def test_the_guides_zone_file_and_the_example_pass_check_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```zone\n(.*?)```", (DEPLOY / "INSTALL.md").read_text(), re.DOTALL)
    assert found
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "example.com.zone").write_text(found[1])
    (tmp_path / "zones" / "example.net.zone").write_text(found[1].replace("example.com", "example.net"))
    (tmp_path / "authdns.yaml").write_text(EXAMPLE.read_text())
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    done = CliRunner().invoke(main, ["check", "--config", str(tmp_path / "authdns.yaml")])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "example.com: OK: serial 2026112001, 13 records",
        "example.net: OK: serial 2026112001, 13 records",
    ], "and the guide shows this output"


def test_alerts_name_metrics_that_there_are() -> None:
    source = Path(metrics.__file__).read_text()
    shown = set(re.findall(r'"(authdns_\w+)"', source)) | {f"authdns_{name}" for name in metrics._HELP}
    rules = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text())["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"authdns_\w+", rule["expr"])}
    assert len(named) >= 9
    assert {name.removesuffix("_total") for name in named} <= shown
    assert len({rule["alert"] for rule in rules}) == len(rules)
