"""YAML text to a tree of values that know their place. What YAML itself gets wrong or allows too much of ends here.

PyYAML's composer gives nodes with line and column; the constructor, which would lose them, is used for single scalars
only. `read_document` walks the nodes once and expands aliases on the way, so every limit is checked while the tree
grows: a file of ten lines can otherwise stand for a thousand million nodes. It collects duplicate keys and odd tags as
problems and goes on; text that is no YAML at all has one problem and no tree.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from authdns.config.problem import ConfigError, ConfigProblem, Where

MAX_NODES = 300_000  # after aliases were expanded; ten thousand zones with all their keys need half of it
MAX_DEPTH = 32  # the grammar needs six; the walk and the composer recurse
MAX_NUMBER_CHARACTERS = 64  # longer ones stay text: Python refuses to print integers of thousands of digits

_SECRET = re.compile(r"secret[\"']?\s*:")
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"

Scalar = str | int | float | bool | None


@dataclass(slots=True, eq=False)
class Node:
    """One value of the file. `source` is a scalar as it was written, `key` the place of the key in front of it.

    `broken` names the keys (or indexes, as text) that were taken out because they were reported already, so that
    nobody reports them again as missing.
    """

    path: str
    value: "Scalar | list[Node] | dict[str, Node]"
    line: int
    column: int
    source: str = ""
    key: tuple[int, int] | None = None
    broken: set[str] = field(default_factory=set)

    def children(self) -> "Iterator[tuple[str | int, Node]]":
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def find(self, location: tuple[str | int, ...]) -> "Node":
        """The node at `location`, or the deepest one above it: a single text that stood for a list has no `[0]`."""
        node = self
        for step in location:
            match node.value, step:
                case dict() as mapping, str() if step in mapping:
                    node = mapping[step]
                case list() as items, int() if step < len(items):
                    node = items[step]
                case _:
                    break
        return node

    def plain(self) -> Any:
        """The value without places: dicts, lists, scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def without(self, broken: "set[Node]") -> None:
        """Takes these nodes out of the tree, wherever they are, and notes their keys in `broken`."""
        for step, child in list(self.children()):
            if child in broken:
                self.broken.add(str(step))
            else:
                child.without(broken)
        if isinstance(self.value, dict):
            self.value = {key: child for key, child in self.value.items() if child not in broken}
        elif isinstance(self.value, list):
            self.value = [child for child in self.value if child not in broken]


@dataclass(slots=True)
class Document:
    """The tree of one file, its lines, and the problems found so far. Those who come later add theirs."""

    file: str
    lines: list[str]
    root: Node
    problems: list[ConfigProblem] = field(default_factory=list)

    def where(self, node: Node, *, at_key: bool = False) -> Where:
        line, column = node.key if at_key and node.key else (node.line, node.column)
        return _where(self.file, self.lines, line, column, node.path)

    def report(self, node: Node, message: str, *, at_key: bool = False) -> None:
        self.problems.append(ConfigProblem(self.where(node, at_key=at_key), message))


def read_document(text: bytes, file: str) -> Document:
    """Raises ConfigError, with one problem, if `text` is not UTF-8, not YAML, or goes over a limit."""
    decoded = _decode(text, file)
    # The same line ends as YAML's, so that its numbers fit; str.splitlines knows more than those.
    lines = decoded.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n")
    document = Document(file, lines.replace("\u2028", "\n").replace("\u2029", "\n").split("\n"), Node("", {}, 1, 1))
    loader: _Loader | None = None
    try:
        loader = _Loader(decoded)
        top = loader.get_single_node()
        if top is not None:
            document.root = _Walk(loader, document).node(top, "", 0, None)
    except yaml.reader.ReaderError as error:
        line = decoded.count("\n", 0, error.position) + 1
        column = error.position - decoded.rfind("\n", 0, error.position)
        message = f"not valid YAML: the character U+{_code_point(error):04X} is not allowed"
        raise _refusal(document, line, column, message) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _refusal(document, line, column, _syntax_message(error, document, line)) from None
    except (ValueError, OverflowError):  # the scanner hands "\UFFFFFFFF" to chr(), and the digits of %YAML to int()
        mark = loader.get_mark() if loader else None
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _refusal(
            document,
            line,
            column,
            "not valid YAML: an escape that stands for no character, or a number that is too long",
        ) from None
    return document


def _code_point(error: yaml.reader.ReaderError) -> int:
    character = error.character
    return ord(character) if isinstance(character, str) else int(character)


def _decode(text: bytes, file: str) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start]
        line = before.count(b"\n") + 1
        where = Where(file, line, error.start - before.rfind(b"\n"), "", "")
        message = f"expected UTF-8 text, found the octet 0x{text[error.start]:02x}"
        raise ConfigError([ConfigProblem(where, message)]) from None


def _where(file: str, lines: list[str], line: int, column: int, path: str) -> Where:
    """A line that may hold a secret is not shown."""
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    hidden = path.startswith("keys.") or _SECRET.search(text)
    return Where(file, line, column, path, "" if hidden else text)


def _refusal(document: Document, line: int, column: int, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(_where(document.file, document.lines, line, column, ""), message)])


def _syntax_message(error: yaml.MarkedYAMLError, document: Document, line: int) -> str:
    if isinstance(error, _OverLimit):
        return str(error.problem)
    text = document.lines[line - 1].strip() if 0 < line <= len(document.lines) else ""
    problem = re.sub(r"'\\x00'|'<stream end>'", "the end of the file", error.problem or error.context or "")
    hint = _syntax_hint(text, problem)
    return f"not valid YAML: {problem}; {hint}" if hint else f"not valid YAML: {problem}"


def _syntax_hint(text: str, problem: str) -> str:
    if looks_like_named_conf(text):
        return NOT_NAMED_CONF
    if "\\t" in problem:
        return "YAML is indented with spaces, not with tabs"
    if "alias" in problem or "alphabetic or numeric" in problem:
        return 'a text that begins with `*` or `&` needs quotes; for every address write "0.0.0.0:53" and "[::]:53"'
    if "found ':'" in problem or "]:" in text:
        return 'an IPv6 address needs quotes here: "::1", "[::1]:5353"'
    if "cannot start any token" in problem:
        return "a text that begins with a special character needs quotes"
    if "mapping values are not allowed" in problem:
        return "a `: ` inside a text needs quotes around it, or the line above is indented differently"
    return ""


NOT_NAMED_CONF = "this looks like BIND's named.conf; the configuration of authdns is YAML (`key: value`)"


def looks_like_named_conf(text: str) -> bool:
    return text.endswith(";") or re.match(r"[a-z-]+\s*(\"[^\"]*\"\s*)?\{", text) is not None


class _OverLimit(yaml.MarkedYAMLError):
    """More than the named limits allow; the message is for a person already."""


class _Loader(yaml.SafeLoader):
    """Dates stay text (`version: 2026-11-20`), and nesting ends before Python's recursion does."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _OverLimit(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=self.get_mark())
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != _TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Walk:
    """yaml.Node to Node. One object a file: it counts."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self.loader = loader
        self.document = document
        self.count = 0

    def node(self, source: yaml.Node, path: str, depth: int, key: tuple[int, int] | None) -> Node:
        self.count += 1
        mark = source.start_mark
        if self.count > MAX_NODES:
            raise _OverLimit(problem=f"more than {MAX_NODES} values once aliases are expanded", problem_mark=mark)
        if depth > MAX_DEPTH:
            raise _OverLimit(problem=f"nested more than {MAX_DEPTH} deep; does an alias stand inside itself?",
                             problem_mark=mark)  # fmt: skip
        made = Node(path, None, mark.line + 1, mark.column + 1, key=key)
        if isinstance(source, yaml.ScalarNode):
            made.source = source.value
            made.value = self.scalar(source, made)
        elif isinstance(source, yaml.SequenceNode):
            self.expect_tag(source, made, "seq")
            made.value = [self.node(item, f"{path}[{at}]", depth + 1, None) for at, item in enumerate(source.value)]
        else:
            self.expect_tag(source, made, "map")
            made.value = self.mapping(cast(yaml.MappingNode, source), path, depth)
        return made

    def expect_tag(self, source: yaml.Node, made: Node, known: str) -> None:
        if source.tag != _TAG + known:
            self.document.report(made, f"the tag `{source.tag}` means nothing here; leave it out")

    def scalar(self, source: yaml.ScalarNode, made: Node) -> Scalar:
        kind = source.tag.removeprefix(_TAG)
        text: str = source.value
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return bool(self.loader.construct_yaml_bool(source))
            if kind in ("int", "float") and len(text) <= MAX_NUMBER_CHARACTERS:
                construct = self.loader.construct_yaml_int if kind == "int" else self.loader.construct_yaml_float
                return cast(Scalar, construct(source))
        except (ValueError, LookupError):  # `0x_` looks like a number to YAML; `!!bool maybe`; `!!int` and nothing
            return text
        if kind not in ("str", "int", "float", "merge", "value"):
            self.expect_tag(source, made, "str")
        return self.without_surrogates(text, made)

    def without_surrogates(self, text: str, made: Node) -> str:
        """YAML's escapes can make a string that cannot be encoded."""
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        self.document.report(made, r"half of a surrogate pair (`\ud800` to `\udfff`) is not a character")
        return text.encode("utf-8", "replace").decode()

    def mapping(self, source: yaml.MappingNode, path: str, depth: int) -> dict[str, Node]:
        """Keys are the text that was written. What `<<` merges in gives way to what the mapping itself says."""
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key_source, value in source.value:
            self.count += 1
            mark = key_source.start_mark
            place = (mark.line + 1, mark.column + 1)
            here = Node(path, None, *place)
            if not isinstance(key_source, yaml.ScalarNode):
                self.document.report(here, "a key has to be a single word")
                continue
            if key_source.tag == _MERGE:
                merged = {**self.merge(value, path, depth + 1), **merged}
                continue
            key = self.without_surrogates(key_source.value, here)
            if key in own:
                first = cast("tuple[int, int]", own[key].key)[0]
                here.path = _below(path, key)
                self.document.report(here, f"the key stands here twice; the first one is in line {first}")
            else:
                own[key] = self.node(value, _below(path, key), depth + 1, place)
        return {**merged, **own}

    def merge(self, source: yaml.Node, path: str, depth: int) -> dict[str, Node]:
        """The value of `<<`: one mapping or a list of them, of which the first to have a key wins."""
        parts = source.value if isinstance(source, yaml.SequenceNode) else [source]
        merged: dict[str, Node] = {}
        for part in parts:
            made = self.node(part, path, depth, None)
            if isinstance(made.value, dict):
                merged = {**made.value, **merged}
            else:
                self.document.report(made, "expected the alias of a mapping behind `<<`")
        return merged


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
