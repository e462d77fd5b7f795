"""YAML itself: what is no YAML, what YAML allows too much of, and that no input at all makes the reader fail."""

import json
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from authdns.config import Config, ConfigError, parse_config
from authdns.config.document import MAX_DEPTH, MAX_NODES, read_document
from tests.unit.config.examples import ENVIRON, FULL, PATH, problems


def bomb() -> str:
    """Eleven lines that stand for 9 ** 11 values."""
    lines = ["x-0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 11)]
    return "\n".join(lines)


def test_an_alias_bomb_is_an_error_and_not_a_long_wait() -> None:
    started = time.process_time()
    [problem] = problems(bomb())
    assert problem.endswith(f"more than {MAX_NODES} values once aliases are expanded")
    assert time.process_time() - started < 20  # a guard against minutes, not a benchmark


@pytest.mark.parametrize(
    "text",
    ["x-a: &a [*a]", "x-a: &a {b: *a}", "x-a: &a {<<: *a}", "zones: " + "[" * 500, "x-a: " + "[" * 99 + "]" * 99],
)
def test_nesting_has_an_end(text: str) -> None:
    [problem] = problems(text)
    assert f"nested more than {MAX_DEPTH} deep" in problem


def test_ten_thousand_zones_stay_below_the_limits() -> None:
    zone = (
        "- {zone: a.example, file: a, secondaries: [puck], allow-transfer: ['::1'], notify: ['::1'], notify-ns: on}\n"
    )
    assert read_document(("zones:\n" + zone * 10).encode(), "f").root.find(("zones", 9, "zone")).value == "a.example"
    values_of_a_zone = 2 * 6 + 3 + 1
    assert values_of_a_zone * 10_000 < MAX_NODES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen: *", "1:10 : not valid YAML: expected alphabetic or numeric character, but found the end of the file; "
         'a text that begins with `*` or `&` needs quotes; for every address write "0.0.0.0:53" and "[::]:53"'),
        ("listen: [::1]:53", "1:10 : not valid YAML: expected the node content, but found ':'; an IPv6 address needs "
         'quotes here: "::1", "[::1]:5353"'),
        ("zones:\n\t- folder: a", "2:1 : not valid YAML: found character '\\t' that cannot start any token; YAML is "
         "indented with spaces, not with tabs"),
        ("zones:\n- zone: a: b", "2:10 : not valid YAML: mapping values are not allowed here; a `: ` inside a text "
         "needs quotes around it, or the line above is indented differently"),
        ("state: @x", "1:8 : not valid YAML: found character '@' that cannot start any token; a text that begins with "
         "a special character needs quotes"),
        ("a: {", "1:5 : not valid YAML: expected the node content, but found the end of the file"),
        ("options {\n  directory \"/etc/bind\";\n};\nzone \"a\" {", "1:1 : expected a mapping of keys such as `listen` "
         "and `zones`, found the text `options { directory \"/etc/bind\"; }; zone \"a\" {`; this looks like BIND's "
         "named.conf; the configuration of authdns is YAML (`key: value`)"),
        ("a: 1\n---\nb: 2", "2:1 : not valid YAML: but found another document"),
        ("log: {level: info}\nlog: {level: debug}", "2:1 log: the key stands here twice; the first one is in line 1"),
        ("[1]", "1:1 : expected a mapping of keys such as `listen` and `zones`, found a list"),
        ("? [a]\n: b", "1:3 : a key has to be a single word"),
        ("<<: 3", "1:5 : expected the alias of a mapping behind `<<`"),
        ("state: !path x", "1:8 state: the tag `!path` means nothing here; leave it out"),
        ('"\\UFFFFFFFF": 1', "1:4 : not valid YAML: an escape that stands for no character, or a number that "
         "is too long"),
        ('state: "\\ud800"', r"1:8 state: half of a surrogate pair (`\ud800` to `\udfff`) is not a character"),
        ('"x-\\ud800": 1', r"1:1 : half of a surrogate pair (`\ud800` to `\udfff`) is not a character"),
        ("a: b\nc: d\x01", "2:5 : not valid YAML: the character U+0001 is not allowed"),
    ],
)  # fmt: skip
def test_what_yaml_refuses_is_a_problem_like_any_other(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_text_that_is_no_utf8_says_where() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("# gr\xfcn\nlog: \xfc\n".encode("latin-1"), path=PATH, environ=ENVIRON)
    assert str(caught.value) == "/etc/authdns/authdns.yaml:1:5: expected UTF-8 text, found the octet 0xfc"


def test_keys_that_only_python_takes_for_line_ends_do_not_shift_the_lines() -> None:
    assert problems("state: a\x85log: {level: loud}\r\nmetrics: 1\rlog2: 1") == [
        "2:14 log.level: expected debug, info, warning or error, found the text `loud`",
        "3:10 metrics: expected a mapping with `listen`, or off, found the number 1",
        "4:1 log2: unknown key `log2`; did you mean `log`?",
    ]


def read(text: bytes) -> Config | None:
    """The one thing that may be raised is a ConfigError with at least one problem, and it can be printed."""
    try:
        return parse_config(text, path=PATH, environ=ENVIRON)
    except ConfigError as error:
        if not (error.problems and str(error)):
            raise
        return None


@given(st.binary())
@settings(deadline=None)
def test_no_bytes_make_it_fail(text: bytes) -> None:
    read(text)


@given(st.text(st.sampled_from(list("ab01:-[]{}*&!|>'\"#%@,?\\ \n\t\x85\ud7ffü<~.+_=xUu")), max_size=60))
@settings(deadline=None)
@example("a: 0x_")
@example("a: !!bool maybe")
@example("a: !!int")
@example("a: !!int x")
@example("a: !!binary x")
@example("%YAML " + "9" * 5000 + ".1\n---\na")
@example("edns-size: " + "9" * 5000)
@example("edns-size: 0x" + "f" * 5000)
@example("tcp: {idle-seconds: .nan}")
@example("tcp: {idle-seconds: 1e999}")
@example('"\\U00110000"')
def test_no_text_makes_it_fail(text: str) -> None:
    read(text.encode())


words = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        ["a", "office", "freedns", "192.0.2.1", "::1", "192.0.2.0/24", "*", "", "@", "ü", "~", "a\0b", "[::1]:1"]
    ),
)
keys = st.sampled_from(
    [
        "listen",
        "state",
        "addresses",
        "secondaries",
        "defaults",
        "zones",
        "zone",
        "file",
        "folder",
        "glob",
        "notify",
        "allow-transfer",
        "transfer-from",
        "notify-to",
        "preset",
        "name",
        "metrics",
        "log",
        "tcp",
        "a",
        "office",
        "0",
    ]
)
trees = st.recursive(
    words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=25
)


@given(st.dictionaries(keys, trees, max_size=6))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_tree_of_known_keys_makes_it_fail(tree: dict[str, object]) -> None:
    read(json.dumps(tree).encode())  # JSON is YAML


@given(st.integers(0, len(FULL)), st.integers(0, 12), st.text(st.sampled_from(list(" \n:-[]{}a1*&")), max_size=3))
@settings(deadline=None)
def test_no_edit_of_a_good_file_makes_it_fail(at: int, removed: int, inserted: str) -> None:
    read((FULL[:at] + inserted + FULL[at + removed :]).encode())
