"""Keys of TSIG from settings and files."""

import base64
from pathlib import Path

from authdns.config import KeySettings
from authdns.server.keys import read_keys
from authdns.wire.tsig import ALGORITHMS, Key

SHA256, SHA512 = ALGORITHMS["hmac-sha256"], ALGORITHMS["hmac-sha512"]
NAME = b"\1k\0"
SECRET = bytes(range(32))
TEXT = base64.b64encode(SECRET).decode()


def test_a_secret_comes_from_the_configuration_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(f"{TEXT[:20]}\n{TEXT[20:]}\n")
    inline = Key(b"\1i\0", SHA512, b"x")
    keys, problems = read_keys(
        [KeySettings(NAME, SHA256, secret_file=str(tmp_path / "k")), KeySettings(inline.name, SHA512, inline)], {}
    )
    assert keys == {NAME: Key(NAME, SHA256, SECRET), inline.name: inline}
    assert problems == []


def test_a_file_that_cannot_be_read_gives_no_key(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"!{TEXT}")
    (tmp_path / "empty").write_text("\n")
    for name, said in (("none", "No such file"), ("bad", "expected a secret"), ("empty", "found nothing")):
        keys, [problem] = read_keys([KeySettings(NAME, SHA256, secret_file=str(tmp_path / name))], {})
        assert keys == {}
        assert problem.startswith(f"key k: {tmp_path / name}: ")
        assert said in problem
        assert problem.endswith("; nobody can sign with it")
        assert TEXT not in problem


def test_the_key_that_was_read_before_stays_unless_it_is_another_one_now(tmp_path: Path) -> None:
    before = {NAME: Key(NAME, SHA256, SECRET), b"\1x\0": Key(b"\1x\0", SHA256, SECRET)}
    keys, [problem] = read_keys([KeySettings(NAME, SHA256, secret_file=str(tmp_path / "none"))], before)
    assert keys == {NAME: before[NAME]}
    assert problem.endswith("; the secret that was read before stays")
    keys, [problem] = read_keys([KeySettings(NAME, SHA512, secret_file=str(tmp_path / "none"))], before)
    assert keys == {}
