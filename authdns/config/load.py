"""Reading a configuration: bytes to a Config, or to every problem that they have, at once.

Four steps: text to a tree with places (`document`), the tree checked by the models (`models`, worded by `wording`),
the models resolved (`resolve`). A value that the models refuse is reported and taken out of the tree, and what is left
goes on to be resolved: so one run finds a mistyped key as well as the unknown secondary three lines below it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from authdns.config.document import NOT_NAMED_CONF, Document, Node, looks_like_named_conf, read_document
from authdns.config.models import FileModel
from authdns.config.problem import ConfigError, ConfigProblem, Where
from authdns.config.resolve import resolve
from authdns.config.settings import Config
from authdns.config.wording import describe, unexpected, unknown_key

IGNORED_PREFIX = "x-"  # top-level keys with it are a place for anchors
BUILT_IN = "built-in configuration"


def load_config(path: Path, *, environ: Mapping[str, str], read: Callable[[Path], bytes] = Path.read_bytes) -> Config:
    """The configuration in the file at `path`. Raises ConfigError with all its problems."""
    try:
        text = read(path)
    except OSError as error:
        problem = ConfigProblem(Where(str(path)), f"cannot read the configuration: {error.strerror or error}")
        raise ConfigError([problem]) from error
    return parse_config(text, path=path, environ=environ)


def parse_config(text: bytes, *, path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in `text`, as if it stood in the file at `path`. Raises ConfigError with all its problems."""
    document = read_document(text, str(path))
    _keep_known_shape(document)
    config = resolve(document, _validated(document), path=path, environ=environ)
    if document.problems:
        raise ConfigError(document.problems)
    return config


def default_config(zones: Path, *, environ: Mapping[str, str]) -> Config:
    """What runs without a configuration file: the zone files of one folder, unprivileged ports, loopback only, and not
    a packet to anybody: no NOTIFY either.

    Raises ConfigError if the environment names no place for the state.
    """
    places: dict[str | int, Node] = {
        "listen": _built_in([_built_in("127.0.0.1:5353"), _built_in("[::1]:5353")]),
        "zones": _built_in([_built_in({"folder": _built_in(str(zones)), "notify-ns": _built_in(False)})]),
    }
    document = Document(BUILT_IN, [], _built_in({str(key): node for key, node in places.items()}))
    config = resolve(document, _validated(document), path=Path(BUILT_IN), environ=environ)
    if document.problems:
        raise ConfigError(document.problems)
    return replace(config, path=None)


def _built_in(value: str | bool | list[Node] | dict[str, Node]) -> Node:
    return Node("", value, 0, 0)


def _keep_known_shape(document: Document) -> None:
    """An empty file is an empty mapping; `x-` keys are nobody's business."""
    root = document.root
    if root.value is None:
        root.value = {}
    if not isinstance(root.value, dict):
        message = f"expected a mapping of keys such as `listen` and `zones`, found {describe(root)}"
        if isinstance(root.value, str) and looks_like_named_conf(root.source):
            message += f"; {NOT_NAMED_CONF}"
        document.report(root, message)
        raise ConfigError(document.problems)
    root.value = {key: node for key, node in root.value.items() if not key.startswith(IGNORED_PREFIX)}


def _validated(document: Document) -> FileModel:
    """The models. Each round takes out at least one value, so it ends, as a rule with the second."""
    while True:
        try:
            return FileModel.model_validate(document.root.plain())
        except ValidationError as error:
            broken = set()
            for detail in error.errors(include_url=False, include_input=False):
                location = detail["loc"]
                node = document.root.find(location)
                broken.add(node)
                if detail["type"] == "extra_forbidden":
                    document.report(node, unknown_key(location), at_key=True)
                else:
                    what = detail.get("ctx", {}).get("what", detail["msg"])
                    document.report(node, unexpected(what, node, location))
            document.root.without(broken)
