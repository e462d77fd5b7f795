"""Names: text to wire and back, order, ancestry; dnspython as the second opinion."""

from itertools import pairwise

import dns.exception
import dns.name
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.name import BadName

octets = st.one_of(st.sampled_from(b'\0.\\"*@$();Aaz09 \x7f\x80\xff'), st.integers(0, 255))
labels = st.one_of(
    st.lists(octets, min_size=1, max_size=6).map(bytes), st.lists(octets, min_size=1, max_size=63).map(bytes)
)


def wire(parts: list[bytes]) -> bytes:
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def fits(name: bytes) -> bool:
    return len(name) <= names.MAX_NAME_OCTETS


wire_names = st.lists(labels, max_size=8).map(wire).filter(fits)


@given(wire_names)
@example(b"\0")
@example(b"\1\0\0")
@example(b"\x03a.b\1.\0")
@example(b"\1\\\0")
@example(b"\1@\0")
@example(wire([b"\xff" * 63] * 3 + [b"\0" * 61]))
@example(b"\1a" * 127 + b"\0")
def test_a_name_reads_back_what_it_shows(name: bytes) -> None:
    text = names.to_text(name)
    assert text.isascii()
    assert names.from_text(text) == name
    assert dns.name.from_text(text).to_wire() == name
    assert text.endswith(".")


@given(wire_names.filter(lambda name: name != names.ROOT))
def test_dnspythons_text_is_read_alike(name: bytes) -> None:
    text = dns.name.from_wire(name, 0)[0].to_text()
    assert names.from_text(text) == name


@given(st.one_of(st.text(max_size=80), st.text(alphabet="a.\\0192@* ", max_size=20)))
@example("\\")
@example("a\\25")
@example("\\256.")
@example("..")
@example(".a")
@example("a..b")
@example("\\٣٣٣")
@settings(max_examples=500)
def test_any_text_is_a_name_or_badname_and_dnspython_says_the_same(text: str) -> None:
    try:
        name = names.from_text(text)
    except BadName:
        name = None
    if not text.isascii() or text in ("", "@"):
        return  # dnspython turns these into IDNA, the empty name, the origin
    try:
        theirs = dns.name.from_text(text).to_wire()
    except (dns.exception.DNSException, ValueError):
        theirs = None
    assert name == theirs


def test_a_relative_name_ends_in_the_origin() -> None:
    origin = names.from_text("example.com.")
    assert names.from_text("www", origin) == b"\x03www" + origin
    assert names.from_text("www.", origin) == b"\x03www\0"
    assert names.from_text("@", origin) == origin
    assert names.from_text(".", origin) == b"\0"
    assert names.from_text("a\\.", origin) == b"\x02a." + origin


def test_utf8_text_becomes_its_octets() -> None:
    assert names.from_text("é.") == b"\x02\xc3\xa9\0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a name is empty"),
        ("a..b.", "two dots follow each other (an empty label)"),
        ("a..", "two dots follow each other (an empty label)"),
        (".a", "two dots follow each other (an empty label)"),
        ("a" * 64, "a label is 64 octets long, at most 63 are possible"),
        ("\\000" * 64, "a label is 64 octets long, at most 63 are possible"),
        ("a." * 128, "the name is 257 octets long, at most 255 are possible"),
        ("a\\", "a backslash at the end escapes nothing"),
        ("\\25", "\\DDD needs three decimal digits, at most 255"),
        ("\\256", "\\DDD needs three decimal digits, at most 255"),
        ("\\2a5", "\\DDD needs three decimal digits, at most 255"),
    ],
)
def test_what_is_no_name_says_why(text: str, message: str) -> None:
    with pytest.raises(BadName) as caught:
        names.from_text(text)
    assert str(caught.value) == message


def test_the_longest_names() -> None:
    assert len(names.from_text("a." * 127)) == 255
    assert len(names.from_text(("a" * 63 + ".") * 3 + "b" * 61 + ".")) == 255
    with pytest.raises(BadName):
        names.from_text(("a" * 63 + ".") * 3 + "b" * 62 + ".")


def test_zone_text_has_no_last_dot() -> None:
    assert names.zone_text(names.from_text("example.com.")) == "example.com"
    assert names.zone_text(names.ROOT) == "."


@given(wire_names)
def test_labels_put_together_are_the_name(name: bytes) -> None:
    assert wire(list(names.labels(name))) == name


@given(wire_names)
def test_the_ancestors_of_a_name_are_its_parents_up_to_the_root(name: bytes) -> None:
    found = list(names.ancestors(name))
    assert found[0] == name
    assert found[-1] == names.ROOT
    assert len(found) == len(names.labels(name)) + 1
    for below, above in pairwise(found):
        assert names.parent(below) == above
        assert names.is_at_or_below(below, above)
        assert not names.is_at_or_below(above, below)


@given(wire_names, wire_names)
@example(b"\x08\7example\0", b"\7example\0")
@example(b"\x03\x01a\0\0", b"\1a\0")
def test_below_means_that_the_last_labels_are_the_same(name: bytes, other: bytes) -> None:
    theirs = dns.name.from_wire(name, 0)[0].is_subdomain(dns.name.from_wire(other, 0)[0])
    assert names.is_at_or_below(name.lower(), other.lower()) == theirs


def test_a_label_that_ends_like_a_name_is_not_below_it() -> None:
    inside = b"\x0c\7example\3com\0"
    assert inside.endswith(names.from_text("example.com."))
    assert not names.is_at_or_below(inside, names.from_text("example.com."))


@given(wire_names, wire_names)
def test_canonical_order_is_dnspythons(one: bytes, other: bytes) -> None:
    theirs = [dns.name.from_wire(name, 0)[0].canonicalize() for name in (one, other)]
    ours = [names.canonical_key(name) for name in (one, other)]
    assert (ours[0] < ours[1]) == (theirs[0] < theirs[1])
    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])


def test_canonical_order_as_in_rfc_4034() -> None:
    ordered = [
        "example.",
        "a.example.",
        "yljkjljk.a.example.",
        "Z.a.example.",
        "zABC.a.EXAMPLE.",
        "z.example.",
        "\\001.z.example.",
        "*.z.example.",
        "\\200.z.example.",
    ]
    wires = [names.from_text(text) for text in ordered]
    mixed = wires[::2] + wires[1::2][::-1]
    assert sorted(mixed, key=names.canonical_key) == wires


@given(wire_names)
def test_folding_touches_letters_only(name: bytes) -> None:
    folded = name.lower()
    assert [len(label) for label in names.labels(folded)] == [len(label) for label in names.labels(name)]
    assert names.labels(folded) == tuple(label.lower() for label in names.labels(name))


@pytest.mark.parametrize(("text", "labels"), [(".", 0), ("com.", 1), ("a.b.c.", 3)])
def test_labels_are_counted_without_the_root(text: str, labels: int) -> None:
    assert names.count_labels(names.from_text(text)) == labels
