"""Noticing that a file changed, and reading nothing but files."""

import os
from pathlib import Path

import pytest

from authdns.server.files import FileSet, list_folder, read_regular


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.zone"
    path.write_text("one")
    return path


def test_an_untouched_file_is_not_changed(file: Path) -> None:
    files = FileSet()
    assert files.load(str(file)) == b"one"
    assert not files.touched()
    assert not files.changed()


def test_a_file_that_was_only_touched_is_not_changed(file: Path) -> None:
    files = FileSet()
    files.load(str(file))
    os.utime(file, ns=(1, 1))
    assert files.touched()
    assert not files.changed()
    assert not files.touched()  # it is not read again the next time


def test_other_content_is_a_change_even_of_the_same_length(file: Path) -> None:
    files = FileSet()
    files.load(str(file))
    file.write_text("two")
    os.utime(file, ns=(1, 1))
    assert files.changed()


def test_a_file_that_vanishes_is_a_change(file: Path) -> None:
    files = FileSet()
    files.load(str(file))
    file.unlink()
    assert files.touched()
    assert files.changed()


def test_a_missing_file_that_appears_is_a_change(file: Path) -> None:
    files = FileSet()
    missing = file.with_name("missing")
    with pytest.raises(FileNotFoundError):
        files.load(str(missing))
    assert not files.touched()
    missing.write_text("here")
    assert files.touched()
    assert files.changed()


def test_a_fifo_a_folder_and_a_device_are_refused_without_waiting(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.zone"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError):
            read_regular(str(path))


def test_a_folder_lists_files_and_links_to_files(file: Path) -> None:
    (file.parent / "link.zone").symlink_to(file)
    (file.parent / "sub.zone").mkdir()
    assert sorted(list_folder(str(file.parent))) == ["a.zone", "link.zone"]


def test_a_copy_with_the_same_size_and_mtime_is_noticed(file: Path) -> None:
    files = FileSet()
    files.load(str(file))
    before = os.stat(file)
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.touched()
    assert files.changed()
