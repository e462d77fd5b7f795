"""Serial arithmetic: RFC 1982."""

import dns.serial
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authdns.wire.serial import is_newer, risen

serials = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("candidate", "than", "newer"),
    [
        (1, 0, True),
        (0, 1, False),
        (0, 0, False),
        (0, 0xFFFFFFFF, True),
        (0xFFFFFFFF, 0, False),
        (0x7FFFFFFF, 0, True),
        (0x80000000, 0, False),  # the undefined difference, either way round
        (0, 0x80000000, False),
        (0x80000001, 0, False),
        (0, 0x80000001, True),
        (2026112001, 2026112000, True),
    ],
)
def test_which_serial_is_newer(candidate: int, than: int, newer: bool) -> None:
    assert is_newer(candidate, than) is newer


@given(serials, serials)
@example(0, 2**31)
def test_dnspython_agrees(candidate: int, than: int) -> None:
    assert is_newer(candidate, than) == (dns.serial.Serial(candidate) > dns.serial.Serial(than))


@given(serials, st.integers(1, 2**31 - 1))
def test_a_serial_is_newer_after_any_addition_that_is_allowed(serial: int, step: int) -> None:
    assert is_newer((serial + step) % 2**32, serial)
    assert not is_newer(serial, (serial + step) % 2**32)


@given(serials, st.integers(0, 2**40))
@example(2**32 - 1, 0)
def test_a_serial_rises_always(last: int, to: int) -> None:
    serial = risen(last, to)
    assert 0 <= serial < 2**32
    assert is_newer(serial, last)
    assert serial in (to % 2**32, (last + 1) % 2**32)
    assert serial == to % 2**32 or not is_newer(to, last)
