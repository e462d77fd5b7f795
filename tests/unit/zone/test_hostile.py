"""Zone files that are meant to do harm end in an error with its place, and cost no more than their size deserves.

What takes time or memory out of proportion is told by limits that are named, not by a clock: each test would run for
minutes, or take gigabytes, without its limit.
"""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from authdns.server.files import FileSet
from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone.generate import MAX_GENERATED
from authdns.zone.lexer import MAX_LINE_OCTETS
from authdns.zone.problem import MAX_ERRORS, MAX_PROBLEMS, Severity
from authdns.zone.reader import (
    MAX_GENERATED_OCTETS,
    MAX_INCLUDE_DEPTH,
    MAX_INCLUDES,
    MAX_ORIGINS,
    MAX_PATH_OCTETS,
    MAX_REPEATED_OCTETS,
    Reading,
    read_zone,
)
from tests.unit.zone.reading import APEX, HEAD, added, errors, read, said

MEBIBYTE = 1 << 20
ONE = b"\x0a\0\0\x01"


def peak_octets(work: Callable[[], object]) -> int:
    """Of what Python allocates while `work` runs."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def from_disk(folder: Path, body: str) -> Reading:
    """The zone in a real file, read as the server reads it."""
    (folder / "main").write_text(HEAD + body)
    return read_zone(str(folder / "main"), APEX, FileSet().load)


# --- $INCLUDE ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "fifo", "folder", "/proc/self/fd"])
def test_only_a_regular_file_is_included(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (problem,) = said(from_disk(tmp_path, f"$INCLUDE {path}\n"))
    assert (problem.place.line, problem.place.column) == (6, 10)
    assert problem.message.startswith("cannot read ")


def test_standard_input_is_not_waited_for(tmp_path: Path) -> None:
    reading_end, writing_end = os.pipe()
    try:
        (problem,) = said(from_disk(tmp_path, f"$INCLUDE /dev/fd/{reading_end}\n"))
    finally:
        os.close(reading_end)
        os.close(writing_end)
    assert problem.message.endswith("not a regular file")


def test_a_file_that_includes_itself_under_other_names_ends(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "main")
    (tmp_path / "hard").touch()
    (problem, *_) = said(from_disk(tmp_path, "$INCLUDE link\n$INCLUDE ./main\n$INCLUDE folder/../main\n"))
    assert problem.message.startswith("a cycle: ")
    (problem,) = said(from_disk(tmp_path, "$INCLUDE main\n"))
    assert (problem.place.line, problem.place.column) == (6, 10)


def test_links_that_lead_from_one_to_the_next_end_at_the_depth(tmp_path: Path) -> None:
    for i in range(MAX_INCLUDE_DEPTH + 5):
        (tmp_path / f"f{i}").write_text(f"$INCLUDE f{i + 1}\n")
    (problem,) = said(from_disk(tmp_path, "$INCLUDE f0\n"))
    assert problem.message == f"$INCLUDE is nested deeper than {MAX_INCLUDE_DEPTH} files"
    assert problem.place.file.endswith(f"f{MAX_INCLUDE_DEPTH - 1}")


def test_laughs_do_not_become_a_billion() -> None:
    # Ten levels of ten, each with a record: 10^10 of them.
    files = {f"f{i}": f"$INCLUDE f{i + 1}\n" * 10 for i in range(9)} | {"f9": "lol A 10.0.0.1\n"}
    (problem, *_) = said(read("$INCLUDE f0\n", **files))
    assert problem.message == f"this zone includes more than {MAX_INCLUDES} files"


def test_a_large_file_is_not_included_many_times() -> None:
    size = 1 << 20
    files = {"x": b";" * (size - 1) + b"\n"}
    often = MAX_REPEATED_OCTETS // size + 1  # the first time costs nothing
    assert errors("$INCLUDE x\n" * often, **files) == []
    (message,) = errors("$INCLUDE x\n" * (often + 1), **files)
    assert message.startswith(f"{often + 1}:10 files that are included more than once make more than ")
    (message,) = errors("$INCLUDE x\n" * often + "$INCLUDE ./y/../x\n", **files, y__x=files["x"])
    assert message.startswith(f"{often + 1}:10 ")


def test_a_path_longer_than_any_is_no_file_name() -> None:
    assert errors(f"$INCLUDE {'./' * MAX_PATH_OCTETS}x\n", x="") == ["1:10 this is no file name"]


# --- $GENERATE --------------------------------------------------------------------------------------------------------


def test_a_billion_records_are_not_generated() -> None:
    (message,) = errors("$GENERATE 0-999999999 h$ A 10.0.0.1")
    assert message == f"1:11 1000000000 records; at most {MAX_GENERATED} may be generated in one zone"


def test_long_records_are_not_generated_a_million_times() -> None:
    expected = f"1:1 this generates too much text; at most {MAX_GENERATED_OCTETS} octets in one zone"
    assert errors(f"$GENERATE 1-{MAX_GENERATED} h$ TXT {'x' * 200}") == [expected]
    assert errors(f"$GENERATE 1-{MAX_GENERATED} h$ TXT {'${0,255}'}") == [expected]
    half = f"$GENERATE 1-2000 h$ TXT {'x' * (MAX_GENERATED_OCTETS // 4000)}\n"
    assert errors(half + half) == [expected.replace("1:1", "2:1")]


def test_a_line_of_modifiers_is_no_larger_than_its_numbers_make_it() -> None:
    (message,) = errors(f"$GENERATE 1-1 h TXT {'${0,255}' * 10_000}")
    assert "at most " in message


# --- lines, parentheses, quotes, escapes ------------------------------------------------------------------------------


def test_a_million_parentheses_take_little_memory() -> None:
    nested = "(" * 1_000_000
    assert errors(f"a A {nested}") == ["1:5 this parenthesis is never closed; expected a )"]
    assert peak_octets(lambda: read(f"a A {nested[:100_000]}")) < 10 * MEBIBYTE
    many = "(" * 500_000
    assert {record[3] for record in added(f"a A {many}10.0.0.1{')' * 500_000}")} == {ONE}
    assert errors(f"a A {')' * 1_000_000}") == ["1:5 a ) without a ( before it"]


@pytest.mark.parametrize("line", ["(\n", "a A (\n", " A (\n", "a A (\n x\n", "a A (\n" + " \n" * 99])
def test_parentheses_that_open_on_every_line_are_errors_where_they_open(line: str) -> None:
    messages = errors((line * 20_000)[: MEBIBYTE // 4])
    at = line.index("(") + 1
    assert messages[0].startswith(f"1:{at} this parenthesis is ")
    assert len(messages) <= MAX_ERRORS


@pytest.mark.parametrize("octet", [b"x", b" ", b";", b"(", b"\\097", b'"', b"\0", b"\r", b"$", b"\xff", b"a."])
def test_a_line_of_many_megabytes_is_one_error_at_most_and_the_next_is_read(octet: bytes) -> None:
    content = HEAD.encode() + octet * (20 * MEBIBYTE // len(octet)) + b"\nnext A 10.0.0.999\n"

    def load(path: str) -> bytes:
        return content

    found: list[Reading] = []
    assert peak_octets(lambda: found.append(read_zone("f", APEX, load))) < 3 * len(content)
    places = [str(problem.place) for problem in said(found[0])]
    assert places in (["f:6", "f:7:8"], ["f:7:8"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\\097" * 100_000 + " A 10.0.0.1", "1:1 \\097"),
        ("a CNAME " + "\\" * 500_000, "1:9 \\\\"),
        ("a CNAME " + "a." * 500_000, "1:9 a.a.a."),
        ("ü." * 100_000 + " A 10.0.0.1", "1:1 ü.ü.ü."),
        ("a CNAME " + "\u0300" * 100_000, "1:9 "),
        ("a." * 127 + "b A 10.0.0.1", "1:1 a.a.a."),
        ('a TXT "' + "\\097" * 100_000 + '"', "1:3 the record's data is 100393 octets long, at most 65535"),
        ("a TXT " + '"" ' * 69_000, "1:3 the record's data is 69000 octets long, at most 65535"),
        ("a TXT " + '"" ' * 80_000, "1:0 too much for one record: more than a megabyte or 70000 words"),
        ('a TXT "' + "x" * 1_000_000, '1:7 this string is not closed on its line; expected another "'),
        ("a " + "9" * 1_000_000 + " A 10.0.0.1", "1:3 9999"),
        ("a " + "1s" * 400_000 + " A 10.0.0.1", "1:3 1s1s"),
        ("$TTL " + "9" * 1_000_000, "1:6 9999"),
        ("a TYPE" + "9" * 1_000_000 + " x", "1:3 TYPE9999"),
        ("a CLASS" + "9" * 1_000_000 + " A 10.0.0.1", "1:3 class CLASS9999"),
        ("a MX " + "9" * 1_000_000 + " b", "1:6 preference: 9999"),
        ("a A " + "1." * 500_000, "1:5 1.1.1."),
        ("a AAAA " + ":" * 1_000_000, "1:8 :::"),
        ("a AAAA " + "1:" * 500_000, "1:8 1:1:"),
        ("a TYPE1 \\# " + "9" * 1_000_000, "1:12 expected \\# LENGTH HEX"),
        ("a TYPE1 \\# 4 " + "00" * 500_000, "1:12 \\# says 4 octets, but 500000 follow"),
        ("a DNSKEY 1 3 8 " + "A" * 1_000_000, "1:3 the record's data is 750004 octets long, at most 65535"),
        ("a DS 1 8 9 " + "a" * 1_000_000, "1:3 the record's data is 500004 octets long, at most 65535"),
        ("a NSEC b " + "TYPE65536 " * 60_000, "1:10 types: TYPE65536 is no record type"),
        ("a NSEC3 1 0 0 - " + "0" * 1_000_000, "1:17 next hash: 0000"),
        ("a NSEC3PARAM 1 0 0 " + "ab" * 500_000, "1:20 salt: the salt is 500000 octets long"),
        ("a CAA 0 issue " + "x" * 1_000_000, "1:3 the record's data is 1000007 octets long, at most 65535"),
        ("a APL " + "1:10.0.0.0/8 " * 15_000, "1:3 the record's data is 75000 octets long, at most 65535"),
        ("$INCLUDE " + "x" * 1_000_000, "1:10 this is no file name"),
        ("$ORIGIN " + "a." * 500_000, "1:9 a.a."),
        ("$" + "x" * 1_000_000, "1:1 $xxx"),
        ("a " + "x" * 1_000_000 + " y", "1:3 xxxx"),
    ],
)
def test_what_is_too_long_is_one_short_error_at_its_place(line: str, message: str) -> None:
    (problem,) = said(read(line))
    (said_of_it,) = errors(line)
    assert said_of_it.startswith(message)
    assert len(str(problem)) < 1500


def test_a_string_never_closed_is_an_error_on_each_line_up_to_the_last_that_counts() -> None:
    reading = read('a TXT "x\n' * (MAX_ERRORS + 1000))
    assert reading.problems.errors == MAX_ERRORS
    assert len(said(reading)) == MAX_PROBLEMS
    assert [(problem.place.line, problem.place.column) for problem in said(reading)[:2]] == [(6, 7), (7, 7)]


# --- many records -----------------------------------------------------------------------------------------------------


def test_records_that_fit_into_no_answer_are_warned_of() -> None:
    body = "".join(f"x A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(100_000))
    (problem,) = [each for each in said(read(body), Severity.WARNING) if each.place.line > 5]
    assert (problem.place.line, problem.message.split(";")[0]) == (
        6,
        "x.example.com. A: 100000 records need 1600000 octets",
    )


def test_many_remarks_take_no_error_its_place() -> None:
    note = f'a TXT "{"x" * 256}"\n'
    assert errors(note * (MAX_PROBLEMS + 10) + "a A 10.0.0.999\na CNMAE x\n") == [
        f"{MAX_PROBLEMS + 11}:5 10.0.0.999 is no IPv4 address: 999 is larger than 255",
        f"{MAX_PROBLEMS + 12}:3 CNMAE is no record type; did you mean CNAME?",
    ]


def test_a_name_of_thousands_of_types_is_an_error() -> None:
    (problem,) = said(read("".join(f"x TYPE{i} \\# 1 00\n" for i in range(40_000, 41_000))))
    assert (problem.place.line, problem.message.split(",")[0]) == (6, "x.example.com. has 1000 record types")
    assert len(said(read("".join(f"x RRSIG TYPE{i} 8 2 1 1 1 1 . AAAA\n" for i in range(1, 5000))))) == 1


def test_names_of_as_many_labels_as_there_can_be_are_read() -> None:
    # 255 octets: the apex has 13, the owner 121 labels of one octet more.
    owner = "a." * 120 + "b"
    reading = read(f"{owner} A 10.0.0.1\n")
    assert reading.zone is not None
    wire = names.from_text(f"{owner}.example.com.")
    assert len(wire) == 255
    assert reading.zone.rrset(wire, Type.A) is not None
    assert reading.zone.names[names.parent(wire)] == ()
    assert "at most 255" in errors(f"a.{owner} A 10.0.0.1\n")[0]


def test_many_origins_are_not_all_remembered() -> None:
    body = "".join(f"$ORIGIN o{i}.example.com.\nx CNAME y\n" for i in range(MAX_ORIGINS * 3))
    assert len(added(body)) == MAX_ORIGINS * 3
    assert {record[3] for record in added("$ORIGIN o1\na CNAME x\n$ORIGIN example.com.\nb CNAME x\n" * 20)} == {
        b"\x01x\x02o1\x07example\x03com\0",
        b"\x01x\x07example\x03com\0",
    }


def test_a_line_at_the_limit_is_read() -> None:
    body = "a TXT x".ljust(MAX_LINE_OCTETS - 1) + "\n"
    assert len(added(body)) == 1
    assert errors(" " + body)[0].startswith(f"1:0 the line is {MAX_LINE_OCTETS + 1} octets long")


def test_owners_of_a_hundred_labels_each_are_an_error_before_they_fill_the_memory() -> None:
    """Each of them brings a hundred empty non-terminals."""
    body = "".join(f"{'.'.join(['a'] * 100)}.n{i} A 10.0.0.1\n" for i in range(1000))
    (problem,) = said(read(body))
    assert "names exist between them and the apex" in problem.message


def test_repeated_records_and_differing_ttls_are_one_warning_for_each_rrset() -> None:
    warnings = said(read("x 60 A 10.0.0.1\n" * 3 + "x 61 A 10.0.0.2\nx 62 A 10.0.0.3\n"), Severity.WARNING)
    assert [each.message.partition("; ")[0] for each in warnings if each.place.line > 5] == [
        "x.example.com. A: the same record was given before, and 1 more",
        "x.example.com. A: TTL 61 differs from 60 in the same RRset (RFC 2181 §5.2)",
    ]
