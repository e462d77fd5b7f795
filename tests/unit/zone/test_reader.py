"""Zone files to zones: directives, TTLs, owners, includes, what is pasted from dig, and what is wrong with a file."""

import gc
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.types import Type, type_to_text
from authdns.zone.builder import ZoneBuilder
from authdns.zone.problem import MAX_ERRORS, MAX_PROBLEMS, Severity
from authdns.zone.reader import MAX_INCLUDE_DEPTH, MAX_INCLUDES, Reading, read_zone
from tests.unit.zone.reading import APEX, HEAD, Record, added, errors, loader, read, records, remarks, said

ONE = b"\x0a\0\0\x01"
TWO = b"\x0a\0\0\x02"


def owners(found: set[Record]) -> set[str]:
    return {owner for owner, *_ in found}


def ttls(body: str, head: str) -> dict[str, int]:
    """By owner and type, without what HEAD adds."""
    return {f"{owner} {rrtype}": ttl for owner, ttl, rrtype, _ in records(read(body, head=head))}


# --- lines and owners -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "a 60 IN A 10.0.0.1",
        "a IN 60 A 10.0.0.1",
        "A.Example.COM. 60 in a 10.0.0.1".lower(),
        "a\t1M\tCLASS1\tTYPE1\t10.0.0.1",
        "a 60 A (10.0.0.1)",
        "a ( 60\n\n A ; comment\n10.0.0.1 )",
        "a 60 A 10.0.0.1;comment",
        "a 60 A 10.0.0.1 ; comment",
        r"\097 60 A 10.0.0.1",
        '"a" 60 A 10.0.0.1',
        r"a 60 IN A \# 4 0a00 0001",
        r"a 60 IN TYPE1 \# 4 0A000001",
        "$ORIGIN a\n@ 60 A 10.0.0.1",
        "$ORIGIN com.\na.example 60 A 10.0.0.1",
        "$TTL 1m\na A 10.0.0.1",
        "\r\na 60 A 10.0.0.1\r\n\r\n",
        "a 60 A 10.0.0.1\na 60 A 10.0.0.1",
    ],
)
def test_one_record_can_be_written_in_many_ways(line: str) -> None:
    assert added(line) == {("a.example.com.", 60, "A", ONE)}


def test_a_blank_owner_is_the_last_one() -> None:
    found = added("a A 10.0.0.1\n  A 10.0.0.2\n\n\t60 AAAA ::1\n")
    assert found == {
        ("a.example.com.", 300, "A", ONE),
        ("a.example.com.", 300, "A", TWO),
        ("a.example.com.", 60, "AAAA", bytes(15) + b"\x01"),
    }


def test_owners_that_look_like_types_classes_and_ttls_are_owners() -> None:
    assert owners(added("a A 10.0.0.1\nin IN A 10.0.0.1\n60 60 A 10.0.0.1\nmx MX 1 .\n")) == {
        "a.example.com.",
        "in.example.com.",
        "60.example.com.",
        "mx.example.com.",
    }


def test_spelling_is_kept_and_case_makes_no_difference() -> None:
    found = added("WWW A 10.0.0.1\nwww A 10.0.0.2\nx CNAME Www.EXAMPLE.com.\n")
    assert {(owner, rdata) for owner, _, rrtype, rdata in found if rrtype == "A"} == {
        ("WWW.example.com.", ONE),
        ("WWW.example.com.", TWO),
    }
    assert (b"\x03Www\x07EXAMPLE\x03com\0") in {rdata for *_, rdata in found}


def test_escapes_in_names_are_octets() -> None:
    found = added("a\\.b A 10.0.0.1\n\\;\\@\\$ A 10.0.0.1\n\\255\\000 A 10.0.0.1\nx\\ y A 10.0.0.1\n")
    assert owners(found) == {
        r"a\.b.example.com.",
        r"\;\@\$.example.com.",
        r"\255\000.example.com.",
        r"x\032y.example.com.",
    }


def test_a_byte_order_mark_and_a_missing_final_newline_are_fine() -> None:
    reading = read_zone("f", APEX, loader({"f": b"\xef\xbb\xbf" + (HEAD + "a A 10.0.0.1").encode()}))
    assert ("a.example.com.", 300, "A", ONE) in records(reading)


def test_names_in_utf8_become_a_labels_with_a_note() -> None:
    body = "bücher A 10.0.0.1\nx CNAME www.BÜCHER.example.net.\n"
    assert "xn--bcher-kva.example.com." in owners(added(body))
    assert (b"\x03www\x0dxn--bcher-kva\x07example\x03net\0") in {rdata for *_, rdata in added(body)}
    assert remarks(body) == [
        "1:1 the name bücher is written xn--bcher-kva in the DNS (IDNA)",
        "2:9 the name www.BÜCHER.example.net. is written www.xn--bcher-kva.example.net. in the DNS (IDNA)",
    ]


@pytest.mark.parametrize("name", ["\u2014", "a\u0300\u200e", "ü" * 70])
def test_names_in_utf8_that_are_no_domain_names_are_errors(name: str) -> None:
    (message,) = errors(f"{name} A 10.0.0.1")
    assert message.startswith("1:1 ")


def test_octets_that_are_no_utf8_are_an_error_in_a_name_and_pass_in_a_string() -> None:
    assert errors(b"b\xfccher A 10.0.0.1")[0].startswith("1:1 ")
    assert added(b'a TXT "b\xfccher" "b\xc3\xbccher"') == {
        ("a.example.com.", 300, "TXT", b"\x06b\xfccher\x07b\xc3\xbccher")
    }


def test_columns_count_characters() -> None:
    assert errors('a TXT "ü"\nbücher A 10.0.0.999') == ["2:10 10.0.0.999 is no IPv4 address: 999 is larger than 255"]


# --- TTLs -------------------------------------------------------------------------------------------------------------

SOA = "@ SOA ns hostmaster 1 7200 3600 1209600 900\n"
SOA_TTL = "@ 60 SOA ns hostmaster 1 7200 3600 1209600 900\n"
NS = "@ NS ns.example.net.\n@ NS ns2.example.net.\n"


def test_the_ttl_directive_holds_until_the_next_and_is_stronger_than_explicit_ttls() -> None:
    found = ttls("a 60 A 10.0.0.1\nb A 10.0.0.1\n$TTL 1h\nc A 10.0.0.1\n", "$TTL 2d\n" + SOA + NS)
    assert found["a.example.com. A"] == 60
    assert found["b.example.com. A"] == 172800
    assert found["c.example.com. A"] == 3600


def test_without_the_directive_the_last_explicit_ttl_holds() -> None:
    found = ttls("a A 10.0.0.1\nb 61 A 10.0.0.1\nc A 10.0.0.1\nd (A 10.0.0.1)\n", SOA_TTL + NS)
    assert [found[f"{owner}.example.com. A"] for owner in "abcd"] == [60, 61, 61, 61]


def test_without_any_ttl_an_hour_is_the_default_with_a_warning() -> None:
    reading = read("a 60 A 10.0.0.1\nb A 10.0.0.1\n", head=SOA + NS)
    assert {f"{o} {t}": ttl for o, ttl, t, _ in records(reading)} == {
        "example.com. SOA": 3600,
        "example.com. NS": 3600,
        "a.example.com. A": 60,
        "b.example.com. A": 3600,
    }
    assert [p.place.line for p in said(reading, Severity.WARNING) if "3600 is used" in p.message] == [1]


def test_records_before_any_ttl_have_the_default_as_well() -> None:
    assert ttls("", NS + SOA_TTL)["example.com. NS"] == 3600


def test_the_ttl_may_have_units() -> None:
    assert {ttl for _, ttl, _, _ in added("a 1W2D A 10.0.0.1")} == {9 * 86400}
    assert {ttl for _, ttl, _, _ in added("a 1h30m5s A 10.0.0.1")} == {5405}
    assert {ttl for _, ttl, _, _ in added("a 0 A 10.0.0.1")} == {0}
    assert {ttl for _, ttl, _, _ in added("a 2147483647 A 10.0.0.1")} == {2147483647}


def test_a_ttl_with_the_highest_bit_set_counts_as_0_with_a_warning() -> None:
    for text in ("a 2147483648 A 10.0.0.1", "$TTL 4294967295\na A 10.0.0.1"):
        reading = read(text)
        assert ttls(text, SOA + NS)["a.example.com. A"] == 0
        assert any("counts as 0" in problem.message for problem in said(reading, Severity.WARNING))


@pytest.mark.parametrize("ttl", ["4294967296", "999999999999999999999999", "1h30", "1x", "-1", "1.5", "3551w"])
def test_what_is_no_ttl_is_an_error_at_its_place(ttl: str) -> None:
    assert errors(f"a {ttl} A 10.0.0.1")[0].startswith("1:3 ")
    assert errors(f"a IN {ttl} A 10.0.0.1")[0].startswith("1:6 ")
    assert errors(f"$TTL {ttl}")[0].startswith("1:6 ")


# --- $ORIGIN and $INCLUDE ---------------------------------------------------------------------------------------------


def test_origins_may_be_relative() -> None:
    assert owners(added("$ORIGIN a\n$ORIGIN b\nc A 10.0.0.1\n$ORIGIN .\nd.example.com A 10.0.0.1\n")) == {
        "c.b.a.example.com.",
        "d.example.com.",
    }


def test_directives_are_known_in_any_case() -> None:
    assert added("$origin x\n$Ttl 5\na A 10.0.0.1") == {("a.x.example.com.", 5, "A", ONE)}


def test_an_include_gets_the_origin_or_its_own_and_gives_origin_and_owner_back() -> None:
    found = added(
        "a A 10.0.0.1\n$INCLUDE x\n A 10.0.0.2\nb A 10.0.0.1\n$INCLUDE x sub\n A 10.0.0.2\nc A 10.0.0.1\n",
        x="x A 10.0.0.1\n$ORIGIN y\nx A 10.0.0.1\n",
    )
    assert {(owner, rdata) for owner, _, _, rdata in found} == {
        ("a.example.com.", ONE),
        ("a.example.com.", TWO),
        ("b.example.com.", ONE),
        ("b.example.com.", TWO),
        ("c.example.com.", ONE),
        ("x.example.com.", ONE),
        ("x.y.example.com.", ONE),
        ("x.sub.example.com.", ONE),
        ("x.y.sub.example.com.", ONE),
    }


def test_includes_are_relative_to_the_including_file_and_all_are_watched() -> None:
    reading = read(
        '$INCLUDE d/one\n$INCLUDE "d/two"\n', d__one="$INCLUDE deeper/three\n", d__two="", d__deeper__three=""
    )
    assert reading.files == ("zones/main", "zones/d/one", "zones/d/deeper/three", "zones/d/two")
    assert not said(reading)


def test_the_file_of_opendkim_genkey_can_be_included() -> None:
    key = "MIIB" + "A" * 240
    dkim = (
        f'mail._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "\n\t  "p={key}" )'
        "  ; ----- DKIM key mail for example.com\n"
    )
    first, second = b"v=DKIM1; h=sha256; k=rsa; ", f"p={key}".encode()
    assert added("$INCLUDE mail.txt\n", **{"mail.txt": dkim}) == {
        ("mail._domainkey.example.com.", 300, "TXT", bytes([len(first)]) + first + bytes([len(second)]) + second)
    }


def test_a_missing_include_is_an_error_at_the_directive_and_is_watched() -> None:
    reading = read("$INCLUDE x y\na A 10.0.0.999")
    assert [str(p.place) for p in said(reading)] == ["zones/main:6:10", "zones/main:7:5"]
    assert said(reading)[0].message == "cannot read zones/x: No such file or directory"
    assert reading.files == ("zones/main", "zones/x")


def test_an_error_in_an_include_has_its_file_and_line() -> None:
    reading = read("$INCLUDE x\n", x="\n\na A 10.0.0.999\n")
    assert str(said(reading)[0].place) == "zones/x:3:5"


def test_problems_after_an_include_have_the_including_file() -> None:
    reading = read("$INCLUDE x\na A 10.0.0.999", x="b A 10.0.0.1\n")
    assert str(said(reading)[0].place) == "zones/main:7:5"


@pytest.mark.parametrize("again", ["main", "./main", "../zones/main", "x"])
def test_a_cycle_is_an_error_that_names_the_way(again: str) -> None:
    reading = read("$INCLUDE x\n", x=f"$INCLUDE {again}\n")
    (problem,) = said(reading)
    assert str(problem.place) == "zones/x:1:10"
    assert problem.message.startswith("a cycle: zones/main includes zones/x includes zones/")


def test_the_depth_of_includes_has_a_limit() -> None:
    reading = read("$INCLUDE f0\n", **{f"f{i}": f"$INCLUDE f{i + 1}\n" for i in range(100)})
    assert [p.message for p in said(reading)] == [f"$INCLUDE is nested deeper than {MAX_INCLUDE_DEPTH} files"]


def test_includes_that_double_at_each_level_end() -> None:
    files = {f"f{i}": f"$INCLUDE f{i + 1}\n" * 4 for i in range(10)} | {"f10": ""}
    assert f"this zone includes more than {MAX_INCLUDES} files" in said(read("$INCLUDE f0\n", **files))[0].message


def test_any_failure_of_the_loader_is_an_error_in_words() -> None:
    def load(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    reading = read_zone("main", APEX, load)
    assert (reading.zone, reading.files) == (None, ("main",))
    assert [str(p) for p in reading.problems] == ["main: error: cannot be read: Permission denied"]


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("$ORIGIN", "1:1 something is missing"),
        ("$ORIGIN a b", "1:11 b is one word too many"),
        ("$ORIGIN a..b", "1:9 a..b is no domain name"),
        ("$TTL", "1:1 something is missing"),
        ("$TTL 1 2", "1:8 2 is one word too many"),
        ("$INCLUDE", "1:1 something is missing"),
        ('$INCLUDE ""', "1:10 this is no file name"),
        (r'$INCLUDE "a\999"', r"1:10 \DDD needs three decimal digits"),
        (r'$INCLUDE "a\000"', "1:10 this is no file name"),
        ("$INCLUDE x a..b", "1:12 a..b is no domain name"),
        ("$INCLUED x", "1:1 $INCLUED is no directive; did you mean $INCLUDE?"),
        ("$DOLLAR", "1:1 $DOLLAR is no directive"),
        (" $TTL 5", "1:2 $TTL is no record type"),
    ],
)
def test_a_wrong_directive_is_an_error_with_its_place(line: str, start: str) -> None:
    (message,) = errors(line)
    assert message.startswith(start)


# --- what is pasted ---------------------------------------------------------------------------------------------------

DIG_AXFR = """
; <<>> DiG 9.18.49 <<>> AXFR example.com @192.0.2.1
;; global options: +cmd
example.com.\t\t3600\tIN\tSOA\tns.example.com. h.example.com. 1 7200 3600 1209600 900
example.com.\t\t3600\tIN\tNS\tns.example.net.
example.com.\t\t3600\tIN\tNS\tns.example.com.
ns.example.com.\t\t300\tIN\tA\t192.0.2.1
txt.example.com.\t300\tIN\tTXT\t"a b" "x;y"
example.com.\t\t3600\tIN\tSOA\tns.example.com. h.example.com. 1 7200 3600 1209600 900
;; Query time: 4 msec
;; XFR size: 6 records (messages 1, bytes 300)
"""

DIG_MULTILINE = """
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 23112
;; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
;; QUESTION SECTION:
;example.com.\t\tIN SOA

;; ANSWER SECTION:
example.com.\t\t3600 IN SOA ns.example.com. h.example.com. (
\t\t\t\t1          ; serial
\t\t\t\t7200       ; refresh (2 hours)
\t\t\t\t3600       ; retry (1 hour)
\t\t\t\t1209600    ; expire (2 weeks)
\t\t\t\t900        ; minimum (15 minutes)
\t\t\t\t)
example.com.\t\t3600 IN NS ns.example.net.
example.com.\t\t3600 IN NS ns.example.com.
ns.example.com.\t\t300 IN A 192.0.2.1
txt.example.com.\t300 IN TXT "a b" "x;y"
"""


def test_a_transfer_pasted_from_dig_is_a_zone_in_spite_of_its_second_soa() -> None:
    reading = read(DIG_AXFR, head="")
    assert not list(reading.problems)
    assert len(records(reading)) == 5


def test_the_multiline_form_of_dig_means_the_same() -> None:
    assert records(read(DIG_MULTILINE, head="")) == records(read(DIG_AXFR, head=""))


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a CNMAE x", "1:3 CNMAE is no record type; did you mean CNAME?"),
        ("a 60 IN AAA ::1", "1:9 AAA is no record type; did you mean AAAA?"),
        ("a CH A 10.0.0.1", "1:3 class CH: only the class IN is served; expected IN or nothing"),
        ("a CLASS3 A 10.0.0.1", "1:3 class CLASS3: only the class IN is served; expected IN or nothing"),
        ("a ANY x", "1:3 the type ANY exists only in queries and messages, never in a zone"),
        ("a TYPE255 x", "1:3 the type TYPE255 exists only in queries and messages, never in a zone"),
        ("a TYPE65536 x", "1:3 TYPE65536 is no record type; expected A, MX, ..."),
        ("a TYPE0 x", "1:3 the type TYPE0 exists only in queries and messages, never in a zone"),
        ("a", "1:1 the record ends here; expected a record type (A, MX, ...) and its data"),
        ("a IN 60", "1:6 the record ends here; expected a record type (A, MX, ...) and its data"),
        ("a A", "1:3 the data is missing; expected A ADDRESS"),
        ("a..b A 10.0.0.1", "1:1 a..b is no domain name: two dots follow each other (an empty label)"),
        ("a )", "1:3 a ) without a ( before it"),
        ('a TXT "x', '1:7 this string is not closed on its line; expected another "'),
    ],
)  # fmt: skip
def test_an_error_has_its_place_and_says_what_was_expected(line: str, message: str) -> None:
    assert errors(line) == [message]


def test_a_record_outside_the_zone_is_an_error() -> None:
    (message,) = errors("a.example.net. A 10.0.0.1")
    assert message.startswith("1:0 a.example.net. lies outside the zone example.com.")


def test_a_type_in_the_first_column_is_explained() -> None:
    assert "a line that begins in the first column begins with an owner: here A" in errors("A 10.0.0.1")[0]


def test_all_errors_are_reported_with_the_text_of_their_lines() -> None:
    reading = read("a A 1\nb A 10.0.0.1\n\tA 2\nc TXT (\n x\nd A 3\n")
    assert [(p.place.line, p.text) for p in said(reading)] == [
        (6, "a A 1"),
        (8, " A 2"),
        (9, "c TXT ("),
        (11, "d A 3"),
    ]
    assert str(said(reading)[1]).endswith("\n     A 2\n       ^")


def test_records_that_continue_a_wrong_owner_are_no_further_errors() -> None:
    assert len(errors("a..b A 10.0.0.1\n A 10.0.0.2\n MX 10 x\n")) == 1


def test_a_blank_owner_at_the_beginning_continues_nothing() -> None:
    reading = read_zone("f", APEX, loader({"f": "  60 A 10.0.0.1\n" + HEAD}))
    assert "continues the owner before it, and there is none" in said(reading)[0].message


def test_an_soa_that_is_wrong_is_not_also_missing() -> None:
    reading = read("", head="$TTL 5\n@ SOA ns h 1 2 3 4\n@ NS ns.example.net.\n")
    assert [p.message for p in said(reading)] == [
        "SOA has 6 of its 7 fields: minimum is missing; expected "
        "SOA PRIMARY-NAME-SERVER MAILBOX SERIAL REFRESH RETRY EXPIRE MINIMUM"
    ]


def test_a_record_inside_an_open_parenthesis_is_suspicious() -> None:
    body = "a TXT ( x\nb A 10.0.0.1\n)\n"
    assert remarks(body, Severity.WARNING) == [
        "2:1 this looks like a record, but the parenthesis of line 6 is still open"
    ]


@pytest.mark.parametrize(
    ("line", "column"), [("a TXT v=DMARC1; p=none", 15), ("a TXT v=DMARC1 ; p=none", 16), ("a SPF x y;z", 10)]
)
def test_text_that_became_a_comment_is_suspicious(line: str, column: int) -> None:
    (message,) = remarks(line, Severity.WARNING)
    assert message.startswith(f"1:{column} from this ; on all is a comment")


@pytest.mark.parametrize("line", ["a TXT x ; the old one", 'a TXT "x";p=1', 'a TXT "x" ; p=1', "a A 10.0.0.1;p=1"])
def test_an_ordinary_comment_is_not(line: str) -> None:
    assert remarks(line, Severity.WARNING) == []


def test_a_file_that_is_no_zone_file_ends_in_errors() -> None:
    assert read_zone("f", APEX, loader({"f": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 20})).zone is None
    assert read_zone("f", APEX, loader({"f": b""})).zone is None


def test_long_lines_are_cut_in_messages() -> None:
    (problem,) = said(read(f"a TXT {'x' * 1000} \\"))
    assert len(problem.text) < 300


def test_a_zone_keeps_nothing_of_its_reading_alive() -> None:
    gc.collect()
    gc.disable()
    try:
        read("a A 1\nb (\n")
        kept = [thing for thing in gc.get_objects() if isinstance(thing, ZoneBuilder)]
    finally:
        gc.enable()
    assert not kept


@settings(max_examples=200)
@given(st.lists(st.sampled_from([*' \t\n\r;()"\\@$.0129azAI\x00\xff', " A ", " TXT ", "IN", "10.0.0.1", "$TTL "])))
def test_no_file_makes_the_reader_raise(pieces: list[str]) -> None:
    body = "".join(pieces).encode("latin-1")
    read(body)
    read_zone("f", APEX, loader({"f": body}))


# --- the fast path and the complete reading ---------------------------------------------------------------------------

LABEL = st.sampled_from(
    ["a", "B", "x-1", "_dmarc", "*", "a" * 63, "a" * 64, "@", "\\.", "a;b", 'a"b', "a@", "", "$", "1"]
)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join) | st.sampled_from(
    ["@", ".", "ns.example.com.", "a.@", "\\@"]
)
OCTET = st.sampled_from(["0", "1", "01", "255", "256", "", "a", "1;"])
GROUP = st.sampled_from(["", "0", "1", "fFfF", "12345", "g", "::", "1.2.3.4"])
ADDRESS = st.lists(OCTET, min_size=3, max_size=5).map(".".join) | st.lists(GROUP, min_size=1, max_size=9).map(":".join)
NUMBER = st.sampled_from(["0", "10", "65535", "65536", "-1", "1x", "999999999999"])
STRING = st.sampled_from(
    ['"a b"', '"a;b"', '""', "a", "a;b", '"a\\"b"', "a\\", "x" * 256, f'"{"x" * 255}"', '"a', "(", ")", "@"]
)
WORD = st.sampled_from(
    [
        *["A", "a", "TYPE1", "TYPE0", "FOO", "13", "RSASHA256", "1h", "-", "abCD", "abc", "20260101000000", "2026"],
        *["057TP2AJSFE5Q8I214N7213SJQTKBS81", "057TP2AJ", "AAAA", "AA==", "A", '"A"', "\\065", "0" * 5000, "@", "a.b."],
    ]
)  # fmt: skip
DATA = st.one_of(
    st.lists(WORD | NUMBER, max_size=4).map(" ".join),
    st.tuples(st.just("1 8 1"), WORD).map(" ".join),
    st.tuples(st.just("A 13 2 300 20260101000000 1 1 a"), WORD, WORD | st.just("")).map(" ".join),
    st.tuples(st.just("1 0 0"), WORD, WORD, WORD | st.just("")).map(" ".join),
    ADDRESS,
    NAME,
    st.tuples(NUMBER, NAME).map(" ".join),
    st.tuples(NUMBER, NUMBER, NUMBER, NAME).map(" ".join),
    st.lists(STRING, max_size=3).map(" ".join),
)
TYPES = [
    type_to_text(t)
    for t in (
        *(Type.A, Type.AAAA, Type.NS, Type.CNAME, Type.PTR, Type.DNAME, Type.MX, Type.SRV, Type.TXT),
        *(Type.RRSIG, Type.NSEC, Type.NSEC3, Type.DS, Type.CDS, Type.DNSKEY, Type.CDNSKEY, Type.SSHFP, Type.TLSA),
    )
]
LINE = st.builds(
    lambda owner, between, rrtype, open_, data, close: f"{owner} {' '.join(between)} {rrtype} {open_}{data}{close}",
    NAME | st.just(""),
    st.lists(st.sampled_from(["IN", "in", "60", "1h", "1h3", "CH", "2147483648", "CLASS1"]), max_size=3),
    st.sampled_from([*TYPES, "a", "Txt", "cname", "SPF", "TYPE1", "XYZ", ""]),
    st.sampled_from(["", "", "(", "( \n\t", "(\n", "(; c\n ", "(;c=d\n "]),
    DATA,
    st.sampled_from(["", " ", " ;", "; c", " ; c=d", "\r", "\t;\"x(", " x", ")", "\n)", "\n\n ) ; c", ")(", "))"]),
)  # fmt: skip


def outcome(reading: Reading) -> tuple[object, ...]:
    found = {(p.severity, p.place.line, p.message) for p in reading.problems if p.place.line > HEAD.count("\n")}
    zone = reading.zone
    return found, zone and dict(zone.names), zone and dict(zone.spelling)


@settings(max_examples=500, deadline=None)
@given(LINE)
@example("a AAAA 1:2:3:4:5:6:7::")
@example("a AAAA 1::2:3:4:5:6:7:8")
@example("a AAAA :1")
@example("a AAAA ::1.2.3.4")
@example("a.@ A 10.0.0.1")
@example("a.. A 10.0.0.1")
@example(" NS a..")
@example('a TXT "a\rb"')
@example("a TXT a\rb")
@example("a A 10.0.0.1 ;\rb")
@example("a A )( 10.0.0.1 )")
@example("a A (\n10.0.0.1 )")
@example("a A ( 10.0.0.1 ) (\n")
@example("(a) A 10.0.0.1")
@example(" ( NS\n ) b")
@example("a TXT (x ; y=z\n)")
@example("a A 10.0.0.1\n$ORIGIN ( x\n )\nb A 10.0.0.2")
@example("a TXT (\n" + " x\n" * 200 + ")")
@example("a NSEC b" + " A" * 2000)
@example("a DNSKEY 1 3 8 " + "A" * 70_000)
@example("a DNSKEY 1 3 8 " + "AAAA" * 25_000)
def test_the_fast_path_and_the_complete_reading_have_one_meaning(line: str) -> None:
    assert outcome(read(line + "\nz A 10.0.0.1\n")) == outcome(read(slow(line) + "\nz A 10.0.0.1\n"))


def slow(line: str) -> str:
    """With empty pairs of parentheses, which mean nothing, but more than one of them is nothing for the fast path."""
    return f" ()(){line}" if line[:1].isspace() else f"()(){line}"


def test_many_names_and_addresses_overflow_no_memo() -> None:
    count = 25_000
    body = "".join(
        f"h{i} A 10.{i % 200}.{i >> 8}.{i & 255}\n AAAA 2001:db8:{i:x}::{i:x}\n MX 1 m{i}.x{i}.example.net.\n"
        for i in range(count)
    )
    zone = read(body).zone
    assert zone is not None
    assert zone.records == 3 * count + 4
    rrset = zone.rrset(names.from_text("h24999.example.com."), Type.AAAA)
    assert rrset is not None
    assert rrset.rdatas[0] == bytes.fromhex("20010db861a70000000000000000 61a7")


@pytest.mark.skipif(not os.environ.get("AUTHDNS_SLOW_TESTS"), reason="needs half a gigabyte")
def test_a_line_of_a_hundred_megabytes_is_one_error() -> None:
    assert len(errors(b"a TXT " + b"x " * 50_000_000)) == 1


def test_a_file_that_is_no_zone_file_is_given_up_after_so_many_errors() -> None:
    reading = read("nonsense here and there\n" * (MAX_ERRORS * 3))
    assert reading.zone is None
    assert reading.problems.errors == MAX_ERRORS
    assert len(list(reading.problems)) == MAX_PROBLEMS
    assert reading.problems.left_out == MAX_ERRORS - MAX_PROBLEMS


def test_a_single_record_that_fits_into_no_answer_is_an_error() -> None:
    """Header, question and the fixed part of the record need their octets as well."""
    text = "a TYPE65280 \\# {0} " + "00" * 65_492 + "{1}"
    assert not said(read(text.format(65_492, "")))
    assert "too large for any message" in str(said(read(text.format(65_493, "00")))[0])
