"""What a file's changed text alone gives is what reading the whole file gives; or it gives nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.zone import reader, reread, text_index
from authdns.zone.delta import Delta, difference
from authdns.zone.digest import content_digest, updated_digest
from authdns.zone.patch import owners_of
from authdns.zone.problem import Problems, Severity
from authdns.zone.reader import Reading, read_zone
from authdns.zone.records import Record
from authdns.zone.reread import Reread
from authdns.zone.text_index import TextIndex
from authdns.zone.zone import Zone
from tests.unit.zone.test_patch import assert_same, on_image

APEX = names.from_text("example.com.")
HEAD = b"$TTL 300\n@ SOA ns hostmaster %d 7200 3600 1209600 900\n@ NS ns\n@ NS ns.example.net.\nns A 192.0.2.1\n"


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Chunks of three lines, of which all may change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK_LINES", 3)
        patch.setattr(reader, "MIN_INDEXED_OCTETS", 0)
        patch.setattr(text_index, "ANCHOR_OCTETS", 8)
        patch.setattr(reread, "CHANGED_SHARE", 2.0)
        yield


def whole(content: bytes) -> Reading:
    return read_zone("main", APEX, lambda path: content, indexed=True)


def indexed(content: bytes) -> tuple[Zone, TextIndex]:
    reading = whole(content)
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    assert reading.index is not None
    return reading.zone, reading.index


def again(content: bytes, zone: Zone, index: TextIndex) -> Reread | str:
    """Checked against the whole reading."""
    found = reread.reread("main", content, index, zone)
    if isinstance(found, str):
        return found
    expected = whole(content)
    assert expected.zone is not None, "\n".join(map(str, expected.problems))
    assert_same(found.zone, expected.zone)
    assert dict(found.zone.spelling) == dict(expected.zone.spelling)
    assert b"".join(chunk.text for chunk in found.index.chunks) == content
    assert not found.problems.errors
    assert said(found.problems) <= said(expected.problems)
    known = difference(zone, expected.zone, 1 << 30)
    assert known is not None
    if found.delta is None:
        assert found.zone is zone
        assert not known.removed
        assert not known.added
        assert known.before == known.after
    else:
        assert as_sets(found.delta) == as_sets(known)
        digest = updated_digest(content_digest(zone), zone, found.zone, owners_of([found.delta]))
        assert digest == content_digest(expected.zone)
    return found


def said(problems: Problems) -> set[tuple[Severity, str]]:
    return {(problem.severity, problem.message) for problem in problems}


def as_sets(delta: Delta) -> tuple[Record, Record, frozenset[Record], frozenset[Record]]:
    assert len(set(delta.removed)) == len(delta.removed)
    assert len(set(delta.added)) == len(delta.added)
    return delta.before, delta.after, frozenset(delta.removed), frozenset(delta.added)


OWNERS = ["a", "A", "b", "b.a", "B.a", "c.b.a", "a.example.com.", "@", "", "", "", r"\097", '"a"']
DATA = [
    "A 192.0.2.1",
    "A 192.0.2.2",
    "AAAA 2001:db8::1",
    'TXT "a;b" c ; comment',
    "TXT ( one\n two ; comment )\n )",
    "MX 10 mail",
    "MX 10 MAIL",
    "MX ( 20\n\tmail.example.org. )",
    "NS ns.example.net.",
    "DNAME example.net.",
    "TYPE65534 \\# 2 ( abcd )",
    "RRSIG A 13 3 60 20480101000000 20260101000000 4711 example.com. AAAA",
    "RRSIG MX 13 3 60 20480101000000 20260101000000 4711 example.com. AAAB",
    "NSEC example.com. A",
    "NSEC3PARAM 1 0 1 abcd",
    "NSEC3 1 0 1 abcd 00000000000000000000000000000000 A",
]
DIRECTIVES = ["$TTL 60", "$TTL 300", "$ORIGIN a", "$ORIGIN example.com.", "$GENERATE 1-2 g$ A 192.0.2.$"]
OTHERS = ["", "; comment", "   ", '\t; ( " ', *DIRECTIVES]
BROKEN = ["a A 192.0.2", "a A ( 192.0.2.1", "$INCLUDE more", 'a TXT "', "a TXT )", "\ufeffa A 192.0.2.1"]


@st.composite
def lines(draw: st.DrawFn, *, broken: bool = False) -> bytes:
    """An entry, or nothing; with its end."""
    kind = draw(st.integers(0, 40))
    if kind < 34:
        numbered = st.integers(0, 60).map(lambda number: f"{'hH'[number % 2]}{number // 2}")
        some = st.one_of(st.sampled_from(OWNERS), numbered)
        owner, data = draw(some), draw(st.one_of(st.sampled_from(DATA), st.integers(0, 250).map("A 192.0.2.{}".format)))
        middle = draw(st.sampled_from(["", "", "", "IN ", "300 ", "60 in ", "IN 5m "]))
        text = f"{owner} {middle}{data}"
    elif kind < 40 or not broken:
        text = draw(st.sampled_from(OTHERS))
    else:
        text = draw(st.sampled_from(BROKEN))
    return text.encode() + draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"]))


@st.composite
def edits(draw: st.DrawFn, before: list[bytes], serial: int) -> list[bytes]:
    after = before.copy()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(after)))
        end = min(len(after), at + draw(st.sampled_from([0, 0, 1, 1, 1, 2, 5])))
        new = draw(st.lists(lines(broken=True), max_size=2))
        if draw(st.integers(0, 4)) == 0 and before:
            some = draw(st.integers(0, len(before) - 1))
            new = before[some : some + 4]  # given twice, or moved
            if draw(st.booleans()):
                at, end, new = some, some + 1, [draw(st.sampled_from([b";", b" ", b"x"])) + before[some]]
        after[at:end] = new
    if draw(st.booleans()) and after:
        after[0] = HEAD % serial
    return after


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_it_is_what_the_whole_file_gives(data: st.DataObject) -> None:
    now = [HEAD % 1, *data.draw(st.lists(lines(), min_size=4, max_size=40))]
    if data.draw(st.booleans()):
        now[0] = b"\xef\xbb\xbf" + now[0]
    reading = whole(b"".join(now))
    if reading.zone is None:
        event("no zone")
        return
    assert reading.index is not None
    zone, index = reading.zone, reading.index
    for serial in range(2, 5):
        then: list[bytes] = data.draw(edits(now, serial))
        content = b"".join(then)
        if data.draw(st.integers(0, 5)) == 0:
            content = content.rstrip()
        found = again(content, zone, index)
        if isinstance(found, str):
            event(f"gave up: {found if 'zone' not in found else 'it does not fit'}")
        else:
            event("nothing changed" if found.delta is None else "changed")
            now, zone, index = then, found.zone, found.index


# -- what people do

HOSTS = [b"h%d A 10.0.0.%d\n" % (number, number) for number in range(100)]
FILE = HEAD % 1 + b"".join(HOSTS)


def kept(before: TextIndex, after: TextIndex) -> int:
    """Chunks that were not read again."""
    known = set(map(id, before.chunks))
    return sum(id(chunk) in known for chunk in after.chunks)


def edit(*replaced: tuple[bytes, bytes], text: bytes = FILE) -> bytes:
    for old, new in replaced:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


SERIAL = (b"hostmaster 1 ", b"hostmaster 2 ")


@pytest.mark.parametrize("base", [lambda zone: zone, on_image], ids=["dictionary", "image"])
@pytest.mark.parametrize(
    ("content", "removed", "added", "read"),
    [
        (edit(SERIAL), 0, 0, 1),
        (edit(SERIAL, (b"h50 A 10.0.0.50", b"h50 A 10.0.1.50")), 1, 1, 2),
        (edit(SERIAL, (b"h20 A 10.0.0.20\n", b""), (b"h50 A", b"new A 10.0.0.1\nh50 A"), (b".70\n", b".7\n")), 2, 2, 4),
        (edit((b"h50 A 10.0.0.50", b"h50 A 10.0.1.50")), 1, 1, 1),  # a forgotten serial
        (edit(SERIAL) + b"new A 10.0.0.1\n", 0, 1, 1),
        (edit(SERIAL)[:-1], 0, 0, 2),
        (edit(SERIAL).removesuffix(HOSTS[-1]), 1, 0, 2),
        (edit(SERIAL, (b"h50 A", b"".join(b"m%d A 10.0.0.1\n" % n for n in range(100)) + b"h50 A")), 0, 100, 2),
        (edit(SERIAL, (b"".join(HOSTS[20:50]), b"")), 30, 0, 12),
        (edit(SERIAL, (HOSTS[20], b""), (HOSTS[80], HOSTS[80] + HOSTS[20])), 0, 0, 3),
        (edit(SERIAL, (HOSTS[50], HOSTS[50] + b" AAAA ( 2001:db8::1\n; in\n )\n")), 0, 1, 2),
        (edit((b"h50 A 10.0.0.50", b"h50 300 IN A ( 10.0.0.50 ) ; fifty")), 0, 0, 1),
        (edit(SERIAL, (b"h50 A 10.0.0.50", b"h50 60 A 10.0.0.50")), 1, 1, 2),
        (edit(SERIAL, (b"h50 A 10.0.0.50", b"H50 A 10.0.0.51")), 1, 1, 2),
        (edit(SERIAL, (b"0.48\nh49 A", b"1.48\n; h49 A")), 2, 1, 3),  # at the beginning of a chunk
    ],
)
def test_edits(base: Callable[[Zone], Zone], content: bytes, removed: int, added: int, read: int) -> None:
    zone, index = indexed(FILE)
    found = again(content, base(zone), index)
    assert isinstance(found, Reread), found
    assert (removed, added) == ((0, 0) if found.delta is None else (len(found.delta.removed), len(found.delta.added)))
    assert kept(index, found.index) == len(index.chunks) - read
    back = again(FILE, found.zone, found.index)
    assert isinstance(back, Reread), back
    assert content_digest(back.zone) == content_digest(zone)


@pytest.mark.parametrize(
    ("before", "old", "new"),
    [
        (HOSTS[7], b"", b"$TTL 60\n"),
        (b"last A 10.0.0.1\n", b"last", b"h1 A 10.0.0.9\n@"),
        (b"sub A 10.0.0.1\n$ORIGIN sub\nx A 10.0.0.1\n", b"$ORIGIN sub\n", b""),
        (b"own A 10.0.0.1\n" + b" A 10.0.0.2\n A 10.0.0.3\n A 10.0.0.4\n A 10.0.0.5\n", b"own A 10.0.0.1\n", b""),
    ],
    ids=["$TTL", "the end", "$ORIGIN", "the owner of the lines that follow"],
)
def test_what_an_edit_changes_far_from_it(before: bytes, old: bytes, new: bytes) -> None:
    """Each of these is followed by text that did not change, but now means something else."""
    lines = [b"p%d A 10.0.1.%d\n" % (number, number) for number in range(10)]
    start = HEAD % 1 + b"".join(HOSTS[:3]) + b"".join(lines)
    text = start + before + b"".join(b"%s A 10.1.0.%d\n" % (b"q%d" % n, n) for n in range(20))
    zone, index = indexed(text)
    content = start + before.replace(old, new, 1) if old else start + new + before
    found = again(content + text[len(start + before) :], zone, index)
    assert isinstance(found, Reread), found
    assert found.delta is not None


TWICE = edit((HOSTS[60], HOSTS[60] + HOSTS[20]))
WIDE = edit((HOSTS[60], HOSTS[60] + b"h20 A 10.0.0.21\n"))
MIXED = edit((HOSTS[20], b"H20 A 10.0.0.20\n"), (HOSTS[60], HOSTS[60] + b"h20 A 10.0.0.21\n"))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (FILE, FILE, "no octet changed"),
        (FILE, TWICE, "the zone has already"),
        (TWICE, FILE, "given twice"),
        (TWICE, edit((HOSTS[20], b""), text=TWICE.replace(HOSTS[20], b"", 1)), "given twice"),
        (FILE, edit((HOSTS[50], HOSTS[50] * 2)), "a record is twice"),
        (WIDE, WIDE.replace(HOSTS[20], b"h20 60 A 10.0.0.20\n"), "something to be said"),
        (WIDE.replace(HOSTS[20], b"h20 60 A 10.0.0.20\n"), WIDE, "different TTLs"),
        (WIDE, WIDE.replace(HOSTS[20], b"H20 A 10.0.0.20\n"), "spelled otherwise"),
        (MIXED, MIXED.replace(b"H20 A 10.0.0.20\n", b""), "spelled otherwise"),
        (FILE, edit((HOSTS[50], b"h50 A 10.0.0\n")), "there are errors"),
        (FILE, edit((HOSTS[50], HOSTS[50] + b"h50 CNAME h51\n")), "there are errors"),
        (FILE, edit((HOSTS[50], b"h50 TXT ( x\n")), "there are errors"),
        (FILE, edit((HOSTS[50], HOSTS[50] + b"$INCLUDE more\n")), "there are errors"),
        (FILE, edit((HOSTS[50], b"$GENERATE 1-2 g$ A 10.0.0.$\n")), "$GENERATE stands"),
        (edit((HOSTS[50], b"$GENERATE 1-2 g$ A 10.0.0.$\n")), FILE, "$GENERATE stood"),
        (FILE, edit((HOSTS[50], HOSTS[50] + HEAD % 2)), "SOA record came or went"),
        (FILE + (HEAD % 1).replace(b"$TTL 300\n", b"").split(b"\n")[0] + b"\n", FILE, "given twice"),
        (FILE, b"", "too much has changed"),
        (FILE, edit((b"h49", b"\xef\xbb\xbfh49")), "BOM"),
        (FILE, b"\0\0\0\2\0\0\0" + FILE, "raw"),
        (FILE[:-1], FILE[:-1] + b"0\nx A 10.0.0.1\n", "there are errors"),
    ],
)
def test_what_is_not_sure_is_read_as_a_whole(before: bytes, after: bytes, reason: str) -> None:
    found = again(after, *indexed(before))
    assert isinstance(found, str), found
    assert reason in found


def test_edits_follow_each_other() -> None:
    """What is added at the end continues what was there, and not what was edited before."""
    first = edit(SERIAL, (HOSTS[50], b"new A 10.0.0.1\n"))
    found = again(first, *indexed(FILE))
    assert isinstance(found, Reread), found
    found = again(first + b" A 10.0.0.2\n", found.zone, found.index)
    assert isinstance(found, Reread), found
    assert found.delta is not None
    assert found.delta.added[0].owner == b"\3h99" + APEX


def test_the_first_spelling_may_stand_elsewhere() -> None:
    """The owner has as many records in what changed as in the zone, because one was given twice."""
    one, two = (HOSTS[20], HOSTS[80])
    start = edit((one, b"Foo A 10.0.0.1\n"), (HOSTS[50], b"FOO A 10.0.0.1\n"), (two, b"foo A 10.0.0.2\n"))
    found = again(start.replace(b"Foo", b"foo").replace(b"foo A 10.0.0.2", b"Foo A 10.0.0.2"), *indexed(start))
    assert found == "an owner is spelled otherwise"


def test_a_last_line_that_goes_on_is_another_one() -> None:
    text = FILE + b"last A 10.0.0.1"
    found = again(text + b"1\n", *indexed(text))
    assert isinstance(found, Reread), found
    assert found.delta is not None
    assert found.delta.added[0].rdata == bytes((10, 0, 0, 11))


def test_warnings_of_the_new_text_have_their_lines() -> None:
    content = edit(SERIAL, (HOSTS[60], HOSTS[60] + b"odd 4294967295 A 10.0.0.1\nmx MX 5 no-such-host\n"))
    found = again(content, *indexed(FILE))
    assert isinstance(found, Reread), found
    problem, missing = found.problems
    assert problem.place.line == content[: content.index(b"odd")].count(b"\n") + 1
    assert "counts as 0" in problem.message
    assert missing.place.line == problem.place.line + 1
    assert missing.message.startswith("mx.example.com. MX: no-such-host")


def test_much_of_a_file_is_not_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reread, "CHANGED_SHARE", 1 / 4)
    zone, index = indexed(FILE)
    assert isinstance(again(edit(SERIAL, (HOSTS[50], b"new A 10.0.0.1\n")), zone, index), Reread)
    assert again(FILE.replace(b"A 10.0.0.3", b"A 10.0.1.3"), zone, index) == "too much has changed"
    assert again(edit(SERIAL, (b"".join(HOSTS[20:50]), b"")), zone, index) == "too much has changed"
    assert again(FILE + FILE.replace(b"h", b"i"), zone, index) == "too much has changed"


def test_which_zones_have_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_zone("main", APEX, lambda path: FILE).index is None
    assert whole(FILE + b"$INCLUDE more\n").index is None
    assert whole(FILE + b"x A\n").index is None
    monkeypatch.setattr(reader, "MIN_INDEXED_OCTETS", len(FILE) + 1)
    assert whole(FILE).index is None
    assert whole(FILE + b"\n").index is not None
