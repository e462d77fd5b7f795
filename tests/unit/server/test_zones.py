"""Reading one zone from its files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authdns.answer.executor import ServedZone
from authdns.server import zones
from authdns.server.imaging import Imaging
from authdns.wire import name as names
from authdns.zone.problem import Severity

PYTHON = Imaging(None, ThreadPoolExecutor(1))
APEX = names.from_text("example.com.")
ZONE = "$TTL 1h\n@ SOA ns1 host 1 4h 1h 2w 10m\n@ NS ns1\n@ NS ns.example.org.\nns1 A 192.0.2.1\n$INCLUDE more\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "more").write_text("www A 192.0.2.2\n")
    path = tmp_path / "example.com.zone"
    path.write_text(ZONE)
    return path


def test_a_zone_comes_with_all_its_files_and_compiled(file: Path) -> None:
    files, served, problems, seconds, *_ = zones.load_zone(str(file), APEX, PYTHON)
    assert served is not None
    assert set(files.hashes) == {str(file), str(file.with_name("more"))}
    assert not list(problems)
    assert seconds > 0
    assert names.from_text("www.example.com.") in served.at


def test_a_zone_on_which_the_server_itself_fails_is_not_loaded_and_its_files_are_known(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> None:
        raise RuntimeError("a class that cannot be compiled")

    monkeypatch.setattr(ServedZone, "compile_all", fail)
    files, served, problems, *_ = zones.load_zone(str(file), APEX, PYTHON)
    assert served is None
    assert not files.touched()
    [problem] = problems
    assert problem.severity is Severity.ERROR
    assert "a class that cannot be compiled" in problem.message
