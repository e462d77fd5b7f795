"""Images that are kept for the next start: taken only if nothing changed and nothing is damaged."""

from __future__ import annotations

import errno
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
import authdns
from authdns.answer.executor import COMPILE_WHOLE_NAMES, ServedZone
from authdns.answer.native import _native as native
from authdns.server import images as images_module
from authdns.server.engine import NativeEngine
from authdns.server.files import FileSet
from authdns.server.images import Images
from authdns.server.imaging import Imaging
from authdns.server.zones import load_zone
from authdns.wire import name as names
from authdns.zone import reader
from authdns.zone.problem import Problems
from tests.unit.answer.zones import SIGNED, SOA, Record, signed, zone_from_records

APEX = names.from_text("example.com.")
HEAD = f"$ORIGIN example.com.\n$TTL 60\n@ IN SOA {SOA}\n@ NS ns1\n@ NS NS2\nNS2 A 192.0.2.2\n$INCLUDE more\n"
HOSTS = COMPILE_WHOLE_NAMES + 100


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    path = tmp_path / "example.com.zone"
    path.write_text(HEAD)
    more = "".join(f"h{number} A 10.0.{number >> 8}.{number & 255}\n" for number in range(HOSTS))
    (tmp_path / "more").write_text(
        f"ns1 A 192.0.2.1\nchild NS ns1\ndn DNAME ns1\na.b.ent TXT x\n*.wild MX 5 ns1\n{more}"
    )
    return path


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(NativeEngine(native), tmp_path / "images")


def imaging(images: Images | None) -> Imaging:
    return Imaging(images, ThreadPoolExecutor(1))


def load(zone_file: Path, images: Images) -> ServedZone:
    """Read, made, kept."""
    return load_with_problems(zone_file, images)[0]


def load_with_problems(zone_file: Path, images: Images) -> tuple[ServedZone, Problems]:
    files, served, problems, *_ = load_zone(str(zone_file), APEX, imaging(images))
    assert served is not None, list(problems)
    return images.make(served, files, problems), problems


def kept_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "images").iterdir()
    return path


def records(served: ServedZone) -> list[object]:
    return list(served.zone.iterate())


def test_what_was_kept_is_the_zone(zone_file: Path, images: Images) -> None:
    read = load_zone(str(zone_file), APEX, imaging(None))[1]
    made = load(zone_file, images)
    found = images.find(APEX, str(zone_file))
    assert read is not None
    assert found is not None
    files, served, problems = found
    assert records(served) == records(made) == records(read)
    assert served.image is not None
    for field in ("apex", "longest", "spelling", "cuts", "dnames", "nsec3", "signed", "records", "soa", "negative_soa"):
        assert getattr(served.zone, field) == getattr(read.zone, field), field
    assert served.zone.spelling, "NS2 is one"
    assert served.digest == made.digest is not None
    assert set(files.hashes) == {str(zone_file), str(zone_file.with_name("more"))}
    assert not files.changed()
    assert not problems.errors


def test_warnings_are_kept_as_well(zone_file: Path, images: Images) -> None:
    zone_file.write_text(HEAD.replace("@ NS NS2\n", ""))  # one name server only
    _, before = load_with_problems(zone_file, images)
    found = images.find(APEX, str(zone_file))
    assert found is not None
    assert list(found[2]) == list(before)
    assert list(before)


@pytest.mark.parametrize("how", SIGNED)
def test_a_signed_zone(how: str, zone_file: Path, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "is_large", lambda zone: True)
    rows: list[Record] = [
        ("example.com.", 60, "SOA", SOA),
        ("example.com.", 60, "NS", "ns.example.net."),
        ("b.example.com.", 60, "A", "192.0.2.1"),
    ]
    zone = zone_from_records("example.com.", signed(rows, how))
    files = FileSet()
    files.load(str(zone_file))
    images.make(ServedZone(zone), files, Problems())
    found = images.find(APEX, str(zone_file))
    assert found is not None
    again = found[1].zone
    assert list(again.iterate()) == list(zone.iterate())
    assert again.nsec3 == zone.nsec3
    assert type(again.denial) is type(zone.denial)
    assert zone.denial is not None
    assert again.denial is not None
    for each in ("a", "b", "zz"):
        name = names.from_text(f"{each}.example.com.")
        assert again.denial.covering(name) == zone.denial.covering(name)
        assert again.denial.matching(name) == zone.denial.matching(name)


def test_small_zones_are_not_kept(tmp_path: Path, images: Images, zone_file: Path) -> None:
    (tmp_path / "more").write_text("ns1 A 192.0.2.1\n")
    assert load(zone_file, images).image is not None
    assert not (tmp_path / "images").exists()
    assert images.find(APEX, str(zone_file)) is None


@pytest.mark.parametrize("changed", ["example.com.zone", "more"])
@pytest.mark.parametrize("how", ["other", "gone", "same"])
def test_files_that_changed(changed: str, how: str, tmp_path: Path, images: Images, zone_file: Path) -> None:
    load(zone_file, images)
    path = tmp_path / changed
    if how == "other":
        path.write_text(path.read_text() + "more-yet A 192.0.2.3\n")
    elif how == "gone":
        path.unlink()
    else:
        os.utime(path, (1, 1))
    assert (images.find(APEX, str(zone_file)) is not None) == (how == "same")


def test_another_zone_or_file(tmp_path: Path, images: Images, zone_file: Path) -> None:
    load(zone_file, images)
    other = names.from_text("example.net.")
    assert images.find(other, str(zone_file)) is None
    copy = tmp_path / "copy"
    copy.write_text(HEAD)
    assert images.find(APEX, str(copy)) is None
    kept_file(tmp_path).rename(images._path(other))
    assert images.find(other, str(zone_file)) is None


def test_another_program(images: Images, zone_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(zone_file, images)
    monkeypatch.setattr(authdns, "__version__", "0.0")
    assert Images(images._engine, images._folder).find(APEX, str(zone_file)) is None


def test_every_damage_is_noticed(tmp_path: Path, images: Images, zone_file: Path) -> None:
    load(zone_file, images)
    path = kept_file(tmp_path)
    whole = path.read_bytes()
    random_ = random.Random(1)
    places = [*range(images_module._HEAD.size), *random_.sample(range(len(whole)), 50), len(whole) - 1]
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << random_.randrange(8)
        path.write_bytes(damaged)
        assert images.find(APEX, str(zone_file)) is None, at
    for octets in (0, 1, images_module._HEAD.size - 1, images_module._HEAD.size, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:octets])
        assert images.find(APEX, str(zone_file)) is None, octets
    path.write_bytes(whole + b"\0")
    assert images.find(APEX, str(zone_file)) is None
    path.write_bytes(whole)
    assert images.find(APEX, str(zone_file)) is not None


def test_the_text_is_kept_for_the_first_edit(
    tmp_path: Path, images: Images, zone_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "MIN_INDEXED_OCTETS", 0)
    zone_file.write_text(HEAD.replace("$INCLUDE more", "".join(f"H{i} A 192.0.2.1\n" for i in range(6000))))
    files, served, problems, *_ = load_zone(str(zone_file), APEX, imaging(images))
    assert served is not None
    images.make(served, files, problems)
    found = images.find(APEX, str(zone_file))
    assert found is not None
    assert files.text is not None
    assert found[0].text is not None
    assert found[0].text() == files.text()
    assert found[0].text() is not None
    whole = kept_file(tmp_path).read_bytes()
    kept_file(tmp_path).write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    found = images.find(APEX, str(zone_file))
    assert found is not None
    assert found[0].text is not None
    assert not caplog.text
    assert found[0].text() is None
    assert "is damaged" in caplog.text
    (tmp_path / "more").write_text("")
    kept_file(tmp_path).write_bytes(whole[:-1])
    assert images.find(APEX, str(zone_file)) is None


def test_a_full_disk_takes_nothing_away(
    tmp_path: Path, images: Images, zone_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load(zone_file, images)
    before = kept_file(tmp_path).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "more").write_text((tmp_path / "more").read_text() + "new A 192.0.2.9\n")
    assert load(zone_file, images).image is not None
    assert "cannot be kept" in caplog.text
    assert "No space left" in caplog.text
    assert kept_file(tmp_path).read_bytes() == before
    assert images.find(APEX, str(zone_file)) is None, "it is of the file before"


def test_what_belongs_to_nobody_is_removed(tmp_path: Path, images: Images, zone_file: Path) -> None:
    load(zone_file, images)
    (tmp_path / "images" / "left.new").write_bytes(b"half")
    images.keep_only({APEX})
    assert kept_file(tmp_path).suffix == ".image"
    images.keep_only(set())
    assert not list((tmp_path / "images").iterdir())
