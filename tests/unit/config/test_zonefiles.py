"""Which zones there are: files to zones, and the other way."""

import re
from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from authdns.config import BadValue, expand_zones, stem_of_zone, zone_name_of_file
from authdns.wire import name as names
from tests.unit.config.examples import parse


def listing(folders: Mapping[str, list[str]]) -> Callable[[str], list[str]]:
    def list_folder(folder: str) -> list[str]:
        if folder not in folders:
            raise FileNotFoundError(2, "No such file or directory", folder)
        return folders[folder]

    return list_folder


def test_entries_become_zones_in_order() -> None:
    config = parse("zones: [{zone: B.example, file: b}, {folder: z}, {glob: g/*.db}]")
    folders = {
        "/etc/authdns/z": ["d.example.zone", "c.example.zone"],
        "/etc/authdns/g": ["e.example.db", "f.example.x"],
    }
    zones, problems = expand_zones(config, listing(folders))
    assert problems == ()
    assert [(names.to_text(apex), zone.file) for apex, zone in zones.items()] == [
        ("b.example.", "/etc/authdns/b"),
        ("c.example.", "/etc/authdns/z/c.example.zone"),
        ("d.example.", "/etc/authdns/z/d.example.zone"),
        ("e.example.", "/etc/authdns/g/e.example.db"),
    ]
    first = zones[names.from_text("b.example.")]
    assert names.to_text(first.name) == "B.example."
    assert first.entry == config.zones[0].where


def test_a_catalog_is_a_zone_without_a_file_and_comes_before_one_that_has() -> None:
    config = parse(
        "catalogs: {Fleet.example: {allow-transfer: []}}\n"
        "zones: [{folder: z, catalog: fleet.example, group: eu}, {zone: a.example, file: a}]\n"
    )
    folders = {"/etc/authdns/z": ["b.example.zone", "fleet.example.zone"]}
    zones, problems = expand_zones(config, listing(folders))
    assert [(names.to_text(zone.name), zone.is_catalog, zone.file) for zone in zones.values()] == [
        ("Fleet.example.", True, None),
        ("b.example.", False, "/etc/authdns/z/b.example.zone"),
        ("a.example.", False, "/etc/authdns/a"),
    ]
    assert [zone.listing.groups for zone in zones.values()] == [(), (b"eu",), ()]
    [problem] = problems
    assert problem.message == (
        "the zone fleet.example. is configured twice: /etc/authdns/z/fleet.example.zone is left out, the catalog is "
        "served (/etc/authdns/authdns.yaml:1:27)"
    )


def test_what_editors_leave_behind_is_no_zone() -> None:
    config = parse("zones: [{folder: z}, {glob: g/*}]")
    left_behind = [
        ".a.example.zone.swp",
        "a.example.zone~",
        "a.example.zone.bak",
        "#a.example.zone#",
        ".a.example.zone",
    ]
    zones, problems = expand_zones(config, listing({"/etc/authdns/z": left_behind, "/etc/authdns/g": [".hidden"]}))
    assert (dict(zones), problems) == ({}, ())


def test_the_first_entry_of_a_zone_wins() -> None:
    config = parse("zones:\n  - {zone: a.example, file: one}\n  - folder: z\n")
    zones, problems = expand_zones(config, listing({"/etc/authdns/z": ["A.example.zone", "b.example.zone"]}))
    assert zones[names.from_text("a.example.")].file == "/etc/authdns/one"
    assert list(map(str, problems)) == [
        "/etc/authdns/authdns.yaml:3:5: zones[1]: the zone A.example. is configured twice: "
        "/etc/authdns/z/A.example.zone is left out, /etc/authdns/one is served (/etc/authdns/authdns.yaml:2:5)\n"
        "      - folder: z\n"
        "        ^"
    ]
    assert len(zones) == 2


def test_a_file_that_is_named_after_no_zone_and_a_missing_folder_are_problems() -> None:
    config = parse("zones: [{folder: z}, {folder: missing}]")
    zones, problems = expand_zones(config, listing({"/etc/authdns/z": ["a b.zone", "good.example.zone"]}))
    assert list(zones) == [names.from_text("good.example.")]
    assert [problem.message for problem in problems] == [
        "/etc/authdns/z/a b.zone: the file's name is no zone's name: expected a domain name such as example.com, "
        "found `a b`; write other characters as %2f",
        "cannot read the folder /etc/authdns/missing: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("file", "zone"),
    [
        ("example.com.zone", "example.com."),
        ("example.com.db", "example.com."),
        ("0%2f25.2.0.192.in-addr.arpa.zone", "0/25.2.0.192.in-addr.arpa."),
        ("0%2F25.2.0.192.in-addr.arpa.zone", "0/25.2.0.192.in-addr.arpa."),
        ("a%2eb.example.zone", r"a\.b.example."),
        ("bücher.example.zone", "xn--bcher-kva.example."),
        ("@.zone", "."),
        ("com.zone", "com."),
        ("db.example.com", "example.com."),
        ("db.example.com.zone", "db.example.com."),
    ],
)
def test_a_file_is_named_after_its_zone(file: str, zone: str) -> None:
    assert names.to_text(zone_name_of_file(file)) == zone


@pytest.mark.parametrize(
    "file", ["a b.zone", "a..b.zone", "a%zz.zone", r"a\046b.zone", "a%2.zone", ".zone", "192.0.2.1.zone"]
)
def test_other_file_names_are_refused(file: str) -> None:
    with pytest.raises(BadValue):
        zone_name_of_file(file)


labels = st.lists(st.binary(min_size=1, max_size=63), max_size=3)


@given(labels)
@settings(deadline=None)
def test_a_zone_finds_back_from_its_file_name(made: list[bytes]) -> None:
    apex = b"".join(bytes((len(label),)) + label for label in made).lower() + b"\0"
    stem = stem_of_zone(apex)
    assert not set(stem) & set("/\\\0 ")
    assert not stem.startswith(".")
    assume(not re.fullmatch(r"[0-9]+(\.[0-9]+){3}", stem))  # 10.0.0.1 is refused with the name of its reverse zone
    assert zone_name_of_file(f"{stem}.zone") == apex
