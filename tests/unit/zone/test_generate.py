"""$GENERATE: its ranges, its templates, and the records that it makes in a zone."""

import pytest

from authdns.zone.generate import MAX_GENERATED, fill, parse_range
from tests.unit.zone.reading import added, errors, read


def filled(template: bytes, start: int, stop: int) -> list[bytes]:
    return list(fill(template, range(start, stop + 1)))


@pytest.mark.parametrize(
    ("text", "numbers"), [(b"1-3", [1, 2, 3]), (b"0-0", [0]), (b"0-10/5", [0, 5, 10]), (b"1-10/4", [1, 5, 9])]
)
def test_a_range_includes_both_ends(text: bytes, numbers: list[int]) -> None:
    assert list(parse_range(text)) == numbers


@pytest.mark.parametrize(
    "text", [b"", b"1", b"1-", b"-1-2", b"3-1", b"1-2/0", b"1-2/", b"a-b", b"1-9999999999", b"1-2/3/4", b"1-2\n"]
)
def test_anything_else_is_no_range(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_range(text)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (b"a", b"a"),
        (b"a$b", b"a300b"),
        (b"$-$", b"300-300"),
        (rb"a\$", rb"a\$"),
        (b"a$$", rb"a\$"),
        (rb"\\$", rb"\\300"),
        (b"${0}", b"300"),
        (b"${-299}", b"1"),
        (b"${+5}", b"305"),
        (b"${0,5}", b"00300"),
        (b"${0,5,d}", b"00300"),
        (b"${0,0,o}", b"454"),
        (b"${0,5,x}", b"0012c"),
        (b"${0,5,X}", b"0012C"),
        (b"${0,0,n}", b"c.2.1"),
        (b"${0,7,n}", b"c.2.1.0"),
        (b"${0,8,N}", b"C.2.1.0."),
        (b"${0,2,n}", b"c.2.1"),
    ],
)
def test_templates_are_those_of_bind(template: bytes, text: bytes) -> None:
    assert filled(template, 300, 300) == [text]


def test_every_number_is_filled_in() -> None:
    assert filled(b"h${-1,2}", 1, 3) == [b"h00", b"h01", b"h02"]


@pytest.mark.parametrize(
    "template", [b"${", b"${}", b"${1", b"${1,2,3}", b"${1,,d}", b"${a}", b"${-2}", b"${0,999,d}", b"${2147483647}"]
)
def test_a_wrong_modifier_is_refused_before_anything_is_made(template: bytes) -> None:
    with pytest.raises(ValueError):
        fill(template, range(1, 3))


def test_records_are_made_with_ttl_class_and_type_in_any_order() -> None:
    assert added("$GENERATE 1-2 h$ 60 IN A 10.0.0.$\n$GENERATE 3-3 h$ in 60 a 10.0.0.$\n") == {
        ("h1.example.com.", 60, "A", b"\x0a\0\0\x01"),
        ("h2.example.com.", 60, "A", b"\x0a\0\0\x02"),
        ("h3.example.com.", 60, "A", b"\x0a\0\0\x03"),
    }


def test_data_of_several_words_may_be_quoted_or_not() -> None:
    quoted = added('$GENERATE 1-2 m$ MX "10 mail$"')
    assert quoted == added("$GENERATE 1-2 m$ MX 10 mail$")
    assert {owner for owner, *_ in quoted} == {"m1.example.com.", "m2.example.com."}


def test_quotes_of_the_data_itself_are_escaped_as_in_bind() -> None:
    assert added(r'$GENERATE 1-1 t$ TXT "\"a $ b\""') == {("t1.example.com.", 300, "TXT", b"\x05a 1 b")}


def test_a_generated_owner_is_never_a_directive() -> None:
    assert added("$GENERATE 1-1 $$TTL A 10.0.0.$") == {(r"\$TTL.example.com.", 300, "A", b"\x0a\0\0\x01")}


def test_the_origin_applies_and_the_next_record_counts_its_lines_right() -> None:
    body = "$ORIGIN 2.0.192.in-addr.arpa.example.com.\n$GENERATE 1-3 $ PTR host$.example.net.\nx A 1\n"
    assert errors(body)[0].startswith("3:5 ")


def test_too_many_records_are_refused_before_any_work() -> None:
    (message,) = errors("$GENERATE 1-1000000000 h$ A 10.0.0.1")
    assert message == f"1:11 1000000000 records; at most {MAX_GENERATED} may be generated in one zone"


def test_many_directives_together_are_too_many_as_well() -> None:
    body = "$GENERATE 1-9 h$ A 10.0.0.1\n" + f"$GENERATE 1-{MAX_GENERATED} h$ A 10.0.0.1"
    assert errors(body)[0].startswith("2:11 ")


def test_the_first_wrong_record_ends_a_directive() -> None:
    messages = errors("$GENERATE 0-100000 h$ A 10.0.0.999$")
    assert messages == ["1:0 in a record made by $GENERATE: 10.0.0.9990 is no IPv4 address: 9990 is larger than 255"]
    assert read("$GENERATE 0-100000 h$ A 10.0.0.999$").problems.found[0].text == "h0 A 10.0.0.9990"


@pytest.mark.parametrize(
    ("body", "start"),
    [
        ("$GENERATE", "1:1 expected $GENERATE START-STOP"),
        ("$GENERATE 1-2 h$ A", "1:18 expected $GENERATE START-STOP"),
        ("$GENERATE 1-2 h$ 60 A", "1:21 the data is missing"),
        ("$GENERATE 1-2 h$ CNMAE x", "1:18 CNMAE is no record type; did you mean CNAME?"),
        ("$GENERATE 1-2 h${ A 10.0.0.1", "1:15 ${ is no modifier"),
        ("$GENERATE 1-2 h A 10.0.0.${x}", "1:19 ${x} is no modifier"),
        ('$GENERATE 1-2 "h" A 10.0.0.1', "1:15 the owner"),
        ("$GENERATE 2-1 h A 10.0.0.1", "1:11 2-1: the range begins at 2"),
    ],
)
def test_a_wrong_directive_is_an_error_with_its_place(body: str, start: str) -> None:
    (message,) = errors(body)
    assert message.startswith(start)
