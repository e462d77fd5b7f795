"""What a newly read version means, compared with what was served before."""

import pytest

from authdns.server.publish import Change, compare, warning
from authdns.store import Served
from authdns.wire import name as names
from authdns.zone.digest import content_digest
from tests.unit.answer.zones import zone_from_text

APEX = names.from_text("example.com.")


@pytest.mark.parametrize(
    ("last", "serial", "digest", "change"),
    [
        (None, 1, b"a", Change.FIRST),
        (Served(1, b"a", True), 2, b"b", Change.NEWER),
        (Served(1, b"a", True), 1, b"a", Change.SAME),
        (Served(1, b"a", True), 1, b"b", Change.FORGOTTEN),
        (Served(2, b"a", True), 1, b"b", Change.BACKWARDS),
        (Served(2**32 - 1, b"a", True), 0, b"b", Change.NEWER),
        (Served(0, b"a", True), 2**31, b"b", Change.BACKWARDS),  # undefined by RFC 1982 §3.2: not newer
    ],
)
def test_change(last: Served | None, serial: int, digest: bytes, change: Change) -> None:
    assert compare(last, serial, digest) is change


def test_a_forgotten_serial_and_one_that_went_back_are_warned_of() -> None:
    last = Served(9, b"a", True)
    forgotten = warning(APEX, Change.FORGOTTEN, last, 9)
    backwards = warning(APEX, Change.BACKWARDS, last, 7)
    assert forgotten is not None
    assert "serial is still 9" in forgotten
    assert backwards is not None
    assert "from 9 to 7" in backwards
    assert warning(APEX, Change.NEWER, last, 10) is None


def test_the_digest_is_of_the_records_not_of_their_order() -> None:
    one = zone_from_text("a.example.com. 60 A 192.0.2.1\nb.example.com. 60 A 192.0.2.2\na.example.com. 60 TXT x")
    two = zone_from_text("b.example.com. 60 A 192.0.2.2\na.example.com. 60 TXT x\na.example.com. 60 A 192.0.2.1")
    other = zone_from_text("b.example.com. 61 A 192.0.2.2\na.example.com. 60 TXT x\na.example.com. 60 A 192.0.2.1")
    assert content_digest(one) == content_digest(two)
    assert content_digest(one) != content_digest(other)
