"""The life of secrets, the file that holds them, and the line about the rate limit: on a clock of the test."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from authdns.answer.cookies import CookieState
from authdns.answer.limiter import Limited
from authdns.config import Config, parse_config
from authdns.server.guards import (
    LOG_SECONDS,
    OLD_SECRET_SECONDS,
    SECRET_SECONDS,
    BadSecrets,
    Guards,
    read_secrets,
)
from authdns.server.log import stranger_log

HOST = "192.0.2.1"
NOW = 1_795_000_000


def config(text: str = "") -> Config:
    return parse_config(text.encode(), path=Path("/etc/authdns.yaml"), environ={"HOME": "/home/ada"})


def test_a_new_secret_every_day_and_the_old_one_for_a_while() -> None:
    guards = Guards(config(), None)
    guards.start(config())
    cookies = guards.cookies
    assert cookies is not None
    begun = guards._own_since
    first, _ = cookies.answer(bytes(8), HOST, NOW)
    guards.roll_over(begun + SECRET_SECONDS - 1)
    assert cookies.answer(bytes(8), HOST, NOW)[0] == first
    guards.roll_over(begun + SECRET_SECONDS)
    second, _ = cookies.answer(bytes(8), HOST, NOW)
    assert second != first
    assert cookies.answer(first, HOST, NOW) == (first, CookieState.VALID)
    guards.roll_over(begun + SECRET_SECONDS + OLD_SECRET_SECONDS - 1)
    assert cookies.answer(first, HOST, NOW)[1] is CookieState.VALID
    guards.roll_over(begun + SECRET_SECONDS + OLD_SECRET_SECONDS)
    assert cookies.answer(first, HOST, NOW)[1] is CookieState.INVALID
    assert cookies.answer(second, HOST, NOW)[1] is CookieState.VALID


def test_no_two_processes_have_the_same_secret() -> None:
    made = set()
    for _ in range(3):
        cookies = Guards(config(), None).cookies
        assert cookies is not None
        made.add(cookies.answer(bytes(8), HOST, NOW)[0])
    assert len(made) == 3


def test_what_is_switched_off_is_not_there() -> None:
    guards = Guards(config("rate-limit: off\ncookies: off"), None)
    guards.start(config("rate-limit: off\ncookies: off"))
    assert (guards.cookies, guards.limiter) == (None, None)
    guards.roll_over(guards._own_since + SECRET_SECONDS)
    guards.log_limited(0)


def test_loopback_is_exempt_by_default() -> None:
    limit = config().rate_limit
    assert limit is not None
    assert list(map(str, limit.exempt)) == ["127.0.0.0/8", "::1/128"]


def test_one_line_a_minute_about_the_rate_limit(caplog: pytest.LogCaptureFixture) -> None:
    guards = Guards(config(), None)
    limiter = guards.limiter
    assert limiter is not None
    stranger_log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING):
            guards.log_limited(1000)
            limiter.limited("192.0.2.7")
            for second in range(100):
                limiter.limited(HOST)
                guards.log_limited(1000 + second)
    finally:
        stranger_log.removeHandler(caplog.handler)
    assert LOG_SECONDS == 60
    assert list(dict.fromkeys(record.getMessage() for record in caplog.records)) == [
        f"the rate limit acted on 2 queries, one of them from {HOST}",
        f"the rate limit acted on 60 queries, one of them from {HOST}",
    ]
    assert limiter.counts[Limited.TRUNCATED] == 101


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00112233445566778899aabbccddeeff", ["00112233445566778899aabbccddeeff"]),
        ("\n# a comment\n" + "A" * 32 + "  # active\n" + "b" * 32 + "\n", ["a" * 32, "b" * 32]),
    ],
)
def test_a_file_of_secrets(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "secrets").write_text(text)
    assert [secret.hex() for secret in read_secrets(str(tmp_path / "secrets"))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected 1 to 4 secrets, found 0"),
        (("0" * 32 + "\n") * 5, "expected 1 to 4 secrets, found 5"),
        ("0" * 32 + "\n" + "c0ffee" * 5 + "\n", ":2: expected 32 hex digits, found something else"),
        ("\xff\x00", ":1: expected 32 hex digits"),
    ],
)
def test_a_file_that_is_none_and_nothing_of_it_is_said(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "secrets").write_text(text, encoding="latin-1")
    with pytest.raises(BadSecrets, match=expected) as caught:
        read_secrets(str(tmp_path / "secrets"))
    assert "c0ffee" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(BadSecrets, match="cannot read"):
            read_secrets(str(path))
