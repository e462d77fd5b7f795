"""The words for typical mistakes. Most are typed by people who ran BIND, NSD or Knot until yesterday."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from authdns.config import ConfigError
from authdns.config.problem import MAX_TEXT
from tests.unit.config.examples import parse, problems

MISTAKES = Path(__file__).with_name("mistakes.txt")


def mistakes() -> Iterator[tuple[str, list[str]]]:
    """Blocks of the file, divided by empty lines, that have an answer; the others are headings."""
    for block in MISTAKES.read_text(encoding="utf-8").split("\n\n"):
        text, *answers = block.strip("\n").split("\n=> ")
        if answers:
            yield text, answers


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case, id=case[0]) for case in mistakes()])
def test_a_typical_mistake(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_the_file_of_mistakes_was_read() -> None:
    assert len(list(mistakes())) > 50


def test_every_problem_of_a_file_is_found_at_once_and_each_only_once() -> None:
    text = (
        "edns-size: big\n"
        "addresses: {office: [192.0.2.1, 5]}\n"
        "secondaries: {mine: 198.51.100.53}\n"
        "defaults: {allow-transfer: [office, ofice]}\n"
        "zones:\n"
        "  - {zone: a.example, fil: a, secondaries: mine}\n"
        "  - just text\n"
        "  - {zone: b..example, file: b, secondaries: [mien]}\n"
        "  - {folder: a}\n"
        "  - {folder: b}\n"
    )
    assert problems(text) == [
        "1:12 edns-size: expected a whole number from 512 to 4096, found the text `big`",
        "2:33 addresses.office[1]: expected an address, a prefix or the name of a list, found the number 5; if the "
        'text is meant, quote it: "5"',
        "3:21 secondaries.mine: expected a mapping with `preset`, `name`, `transfer-from`, `notify-to`, `key`, `tls`, "
        "found the text `198.51.100.53`",
        "4:37 defaults.allow-transfer[1]: no list `ofice` in `addresses`; did you mean `office`?",
        "6:23 zones[0].fil: unknown key `fil`; did you mean `file`?",
        "7:5 zones[1]: expected a mapping with `zone` and `file`, or `folder`, or `glob`, or `zone` and `primaries`, "
        "found the text `just text`",
        "8:12 zones[2].zone: expected a domain name, found `b..example`: two dots follow each other (an empty label)",
        "8:47 zones[2].secondaries[0]: no secondary `mien`; did you mean `mine`?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "addresses: [office]\nzones: [{folder: z, allow-transfer: office, notify: [office]}]",
        "secondaries: [mine]\nzones: [{folder: z, secondaries: mine}]",
        "secondaries: {mine: [192.0.2.1]}\ndefaults: {secondaries: mine}",
        "secondaries: {mine: {tranfer-from: 192.0.2.1}}\ndefaults: {secondaries: mine}",
        "listen: [1]",
        "zones: [{zone: 7, file: a}]",
    ],
)
def test_one_mistake_has_one_problem(text: str) -> None:
    assert len(problems(text)) == 1


def test_lists_may_name_lists_but_not_forever() -> None:
    chain = ", ".join(f"l{n}: [l{n + 1}]" for n in range(40))
    [problem] = problems(f"addresses: {{{chain}, l40: 192.0.2.1}}")
    assert problem.endswith("addresses.l31[0]: lists name lists more than 32 deep")


def test_the_home_folder_has_to_be_known_where_it_is_used() -> None:
    with pytest.raises(ConfigError, match="HOME is not set"):
        parse("state: /s\nzones: [{folder: ~/z}]", {})


def test_an_undeclared_name_is_not_looked_for_among_the_keys_of_the_file() -> None:
    assert problems("listen: '::1'\ndefaults: {allow-transfer: lisen}") == [
        "2:28 defaults.allow-transfer: no list `lisen` in `addresses`"
    ]


def test_a_problem_shows_the_line_and_marks_the_place() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(
            "zones:\n  - zone: example.com\n    file: example.com.zone\n    allow_transfer: [192.0.2.1]\n"
            "log: {level: loud}\n"
        )
    assert str(caught.value) == (
        "/etc/authdns/authdns.yaml:4:5: zones[0].allow_transfer: unknown key `allow_transfer`; did you mean "
        "`allow-transfer`?\n"
        "        allow_transfer: [192.0.2.1]\n"
        "        ^\n"
        "/etc/authdns/authdns.yaml:5:14: log.level: expected debug, info, warning or error, found the text `loud`\n"
        "    log: {level: loud}\n"
        "                 ^"
    )
    first = caught.value.problems[0]
    assert (first.place, first.path) == ("/etc/authdns/authdns.yaml:4:5", "zones[0].allow_transfer")
    assert first.text == "    allow_transfer: [192.0.2.1]"


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("listen: [" + "'192.0.2.1:1', " * 5 + "x, " + "'::1', " * 5000 + "]")
    for shown in str(caught.value.problems[0]), str(caught.value.problems[99]):
        _, line, mark = shown.split("\n")
        assert len(line) <= MAX_TEXT + 4
        assert line[mark.index("^")] in "'x"


def test_a_message_cannot_move_the_cursor_of_a_terminal() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('log: {level: "\\e[2J\\n"}')
    assert all(character.isprintable() or character == "\n" for character in str(caught.value))
    assert len(str(caught.value).split("\n")) == 3
