"""Whatever becomes of an image: it is refused with a reason, or answers without harm. Under sanitizers the same is done
by tests/fuzz/native."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
from authdns.answer.image import ImageNames
from authdns.answer.native import _native as native
from authdns.wire import name as names
from authdns.zone.zone import RRset
from tests.fuzz.images import CHANGES, cut_off, queries, small_images, small_zones

SEED = 4711
APEX = names.from_text("example.com.")
VARIANTS = 3000  # of each kind of each image
QUERIES = 40  # for each of them


def outcomes(how: str, variants: Iterable[bytes], random_: random.Random) -> Counter[str]:
    """How many are refused, and for what."""
    found: Counter[str] = Counter()
    for variant in variants:
        try:
            image = native.Image(variant, SEED, RRset)
        except ValueError as error:
            found[str(error)] += 1
            continue
        found[""] += 1
        for name, _ in image.after(None, len(image)):
            assert name in image
            image.get(name)
        engine = native.Engine(SEED)
        engine.publish(APEX, image)
        for packet in random_.sample(queries(how), QUERIES):
            for payload, tcp in ((512, False), (4096, False), (1232, True)):
                response = engine.respond(packet, payload, tcp)
                if isinstance(response, bytes):
                    assert len(response) <= (65535 if tcp else payload)
                    assert response[:2] == packet[:2]
                else:
                    assert response == native.DECLINED
    return found


def test_the_images_as_they_are() -> None:
    for how, image in small_images().items():
        assert len(image) < 16384, how
        engine = native.Engine(SEED)
        engine.publish(APEX, native.Image(image, SEED, RRset))
        answered = Counter(isinstance(engine.respond(packet), bytes) for packet in queries(how))
        assert answered[True] > 10 * answered[False], how


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", small_zones())
def test_changed_images(how: str, change: Callable[[bytes, random.Random], bytes]) -> None:
    random_ = random.Random(how)
    variants = (change(small_images()[how], random_) for _ in range(VARIANTS))
    found = outcomes(how, variants, random_)
    assert (found[""] == 0) == (change is cut_off), found
    assert len(found) > 5, found


def header_with(how: str, at: int, octets: bytes) -> bytes:
    image = small_images()[how]
    return image[:at] + octets + image[at + len(octets) :]


@pytest.mark.parametrize(
    ("how", "at", "octets", "wrong"),
    [
        ("plain", 0, b"authdns\3", "another version"),
        ("plain", 8, b"\0\0\0\0", "cut off"),
        ("plain", 12, b"\0\0\0\0", "no apex"),
        ("plain", 12, b"\xff\xff\xff\xff", "cut off"),
        ("plain", 16, b"\0\0\0\0", "in the header"),
        ("plain", 33, b"\0", "no name"),
        ("nsec3", 20, b"\xff\xff\xff\xff", "cut off"),
        ("nsec3", 24, b"\xff\xff\xff\xff", "cut off"),
        ("nsec3", 28, b"\x15\0", "20 octets"),
        ("nsec", 28, b"\x14\0", "key of a proof"),
        ("nsec3", 30, b"\xff\xff", "too often"),
        ("nsec", 24, b"\0\0\0\0", "no proof"),
    ],
)
def test_headers_that_are_refused(how: str, at: int, octets: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        native.Image(header_with(how, at, octets), SEED, RRset)


def test_a_node_that_ends_like_the_apex_is_not_in_the_zone() -> None:
    """example.com. at the end of a label's octets, not at a label."""
    image = small_images()["plain"]
    ns1 = names.from_text("ns1.example.com.")
    assert image.count(b"\2\x11" + ns1) == 1  # flags, length, name of the node
    changed = image.replace(b"\2\x11" + ns1, b"\2\x11\x0f" + ns1[1:])
    with pytest.raises(ValueError, match="outside the zone"):
        native.Image(changed, SEED, RRset)


@pytest.mark.parametrize("how", small_zones())
def test_a_zone_is_read_back_from_its_image(how: str) -> None:
    zone = small_zones()[how]
    read = ImageNames(native.Image(small_images()[how], SEED, RRset))
    assert list(read.items()) == list(zone.names.items())
    assert list(read) == list(zone.names)
    assert len(read) == len(zone.names)
    for name, rrsets in zone.names.items():
        assert name in read
        assert read[name] == rrsets
        assert all(type(rrset) is RRset for rrset in read[name])
        below = b"\1q" + name
        assert (below in read) == (below in zone.names)
        assert read.get(below) == zone.names.get(below)
    for other in (b"", b"\0", b"\3com", b"\xff", b"\7example\3com", names.from_text("EXAMPLE.com."), None):
        assert other not in read


@pytest.mark.parametrize(("payload", "nsid"), [(0, b""), (511, b""), (512, b"\0\3\0\x81" + bytes(129))])
def test_limits_that_leave_no_room_are_declined(payload: int, nsid: bytes) -> None:
    engine = native.Engine(SEED)
    engine.publish(APEX, native.Image(small_images()["plain"], SEED, RRset))
    for packet in queries("plain"):
        assert engine.respond(packet, payload, False, nsid) == native.DECLINED
