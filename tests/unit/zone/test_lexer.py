"""Lines to tokens: parentheses, quotes, comments, escapes, and files that are not well."""

import pytest

from authdns.zone.lexer import MAX_ENTRY_OCTETS, MAX_ENTRY_TOKENS, MAX_LINE_OCTETS, Entry, Source


def begins_record(line: bytes) -> bool:
    return line[:1].isalpha() and b" A " in line


def entries(content: bytes) -> list[Entry]:
    source = Source(content, begins_record)
    found = []
    for line in source.stream:
        source.number += 1
        found.append(source.entry(line))
    return found


def texts(content: bytes) -> list[list[bytes]]:
    return [[token.text for token in entry.tokens] for entry in entries(content)]


def only_fault(content: bytes) -> tuple[int, int, str]:
    (fault,) = [entry.fault for entry in entries(content) if entry.fault]
    return fault.token.line, fault.token.column, fault.message


def test_words_are_separated_by_blanks_and_tabs() -> None:
    assert texts(b"a  b\tc\n") == [[b"a", b"b", b"c"]]


def test_a_carriage_return_before_the_line_feed_is_no_part_of_the_line() -> None:
    assert texts(b"a b\r\nc\r\n") == [[b"a", b"b"], [b"c"]]


def test_a_missing_final_newline_is_fine() -> None:
    assert texts(b"a b\nc d") == [[b"a", b"b"], [b"c", b"d"]]


def test_a_byte_order_mark_is_skipped() -> None:
    (entry,) = entries(b"\xef\xbb\xbfa b")
    assert [(token.text, token.column) for token in entry.tokens] == [(b"a", 1), (b"b", 3)]
    assert not entry.blank_owner


@pytest.mark.parametrize("line", [b"a ; b c", b"a;b c", b'a ;"b', b"a ;(", b"a ; b\rc"])
def test_a_comment_goes_to_the_end_of_the_line(line: bytes) -> None:
    assert texts(line + b"\nd") == [[b"a"], [b"d"]]


def test_quotes_hold_blanks_semicolons_and_parentheses() -> None:
    (entry,) = entries(b'a "b ; (c" "" d')
    assert [(token.text, token.quoted) for token in entry.tokens] == [
        (b"a", False),
        (b"b ; (c", True),
        (b"", True),
        (b"d", False),
    ]


def test_escapes_stay_in_the_text_and_protect_the_next_character() -> None:
    assert texts(rb'a\;b\"c\(d\ e "f\"g\\"') == [[rb"a\;b\"c\(d\ e", rb"f\"g\\"]]


def test_a_token_knows_where_it_stands_and_whether_it_is_glued_to_the_one_before() -> None:
    (entry,) = entries(b'key="v" (x\n y)')
    assert [(t.text, t.line, t.column, t.glued) for t in entry.tokens] == [
        (b"key=", 1, 1, False),
        (b"v", 1, 5, True),
        (b"x", 1, 10, False),
        (b"y", 2, 2, False),
    ]


def test_parentheses_join_lines_and_nest() -> None:
    assert texts(b"a ( b ; x )\n\n  (c)\nd) e\nf\n") == [[b"a", b"b", b"c", b"d", b"e"], [b"f"]]


def test_a_blank_at_the_beginning_is_reported_only_for_the_first_line() -> None:
    first, second = entries(b"a (\n b)\n c\n")
    assert not first.blank_owner
    assert second.blank_owner


def test_an_open_parenthesis_is_reported_where_it_was_opened_and_hides_nothing_after_it() -> None:
    content = b"x (\n 1\n 2\ny A 1\nz A 2\n"
    assert only_fault(content) == (1, 3, "this parenthesis is never closed; expected a )")
    assert texts(content)[1:] == [[b"y", b"A", b"1"], [b"z", b"A", b"2"]]


def test_each_open_parenthesis_is_reported() -> None:
    content = b"x A (\n 1\nok A 1\ny A (\n 2\nz A (\n 3\nok A 2\n"
    faults = [entry.fault.token[2:4] for entry in entries(content) if entry.fault]
    assert faults == [(1, 5), (4, 5), (6, 5)]
    assert [t for t in texts(content) if t[:1] == [b"ok"]] == [[b"ok", b"A", b"1"], [b"ok", b"A", b"2"]]


def test_line_numbers_are_right_after_an_open_parenthesis() -> None:
    assert [entry.line for entry in entries(b"x (\n 1\n\n 2\ny A 1\n\nz A 2\n")] == [1, 5, 6, 7]


def test_an_open_quote_inside_parentheses_is_one_error() -> None:
    content = b'x ( "a )\ny A 1\n'
    assert only_fault(content) == (1, 5, 'this string is not closed on its line; expected another "')
    assert texts(content)[-1] == [b"y", b"A", b"1"]


def test_a_closing_parenthesis_alone_is_an_error() -> None:
    assert only_fault(b"a\nb )\n") == (2, 3, "a ) without a ( before it")


@pytest.mark.parametrize("line", [b"a\\", b"a\\\n", b"a \\\r\n", b'a "b\\\n'])
def test_a_backslash_at_the_end_of_a_line_is_an_error(line: bytes) -> None:
    assert only_fault(line)[0] == 1


def test_a_million_parentheses_are_read_in_linear_time() -> None:
    line = b"(" * 500_000
    assert only_fault(line + b"\na A 1\n")[:2] == (1, 1)
    (entry,) = entries(b"a " + line + b"\n" + b")" * 500_000 + b" b")
    assert [token.text for token in entry.tokens] == [b"a", b"b"]


def test_a_line_of_many_megabytes_is_an_error_and_the_next_line_is_read() -> None:
    content = b"a " + b"x" * (8 * MAX_LINE_OCTETS) + b"\nb c\n"
    assert only_fault(content)[0] == 1
    assert texts(content)[1] == [b"b", b"c"]


def test_an_endless_entry_is_an_error_and_keeps_no_tokens() -> None:
    content = b"a (\n" + b" x\n" * (MAX_ENTRY_TOKENS + 10) + b")\nb A c\n"
    assert only_fault(content)[0] == 1
    long, after = entries(content)
    assert (long.tokens, [t.text for t in after.tokens]) == ([], [b"b", b"A", b"c"])
    content = b"a (\n" + (b"x" * 1000 + b"\n") * (MAX_ENTRY_OCTETS // 1000 + 10) + b")\nb c\n"
    assert only_fault(content)[0] == 1


def test_a_parenthesis_that_swallows_megabytes_is_reported_and_what_it_swallowed_is_read_again() -> None:
    content = b"x A (\n 1\n" + b"y A 1\n" * 400_000 + b"z (\n)\n"
    assert only_fault(content) == (
        1,
        5,
        "this parenthesis is not closed within a megabyte or 70000 words; expected a )",
    )
    found = entries(content)
    assert [entry.line for entry in found] == [1, *range(3, 400_004)]


def test_one_line_of_too_many_words_is_an_error() -> None:
    content = b"a " * (MAX_ENTRY_TOKENS + 1) + b"\nb\n"
    assert only_fault(content)[0] == 1
    assert texts(content)[1] == [b"b"]


def test_text_from_one_line_keeps_its_number() -> None:
    source = Source(b"a\nb\n", begins_record, number=7, counted=False)
    assert [source.entry(line).line for line in source.stream] == [7, 7]
