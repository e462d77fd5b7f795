"""The state file: it remembers, and a damaged one is set aside."""

from pathlib import Path

import pytest

from authdns.store import FILE_NAME, Served, Store

APEX = b"\x07example\x03com\0"


def test_what_was_recorded_is_there_after_opening_it_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "folder")
    assert store.served(APEX) is None
    store.record(APEX, Served(4294967295, b"digest", announced=False))
    store.close()
    store = Store(tmp_path / "new" / "folder")
    assert store.served(APEX) == Served(4294967295, b"digest", announced=False)
    store.announced(APEX, 1)
    assert store.served(APEX) == Served(4294967295, b"digest", announced=False)
    store.announced(APEX, 4294967295)
    assert store.served(APEX) == Served(4294967295, b"digest", announced=True)
    store.close()


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    store = Store(tmp_path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == content
    assert store.served(APEX) is None
    store.close()


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Store(tmp_path / "file" / "state")
