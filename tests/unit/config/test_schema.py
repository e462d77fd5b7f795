"""The JSON Schema for editors: it describes every key, and accepts and refuses what the loader does."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from authdns.config import json_schema
from tests.unit.config.examples import ALL, problems

ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


# A keyword says nothing about values of another type.
APPLIES_TO: dict[str, tuple[type, ...]] = {
    "minimum": (int, float),
    "maximum": (int, float),
    "exclusiveMinimum": (int, float),
    "items": (list,),
    "required": (dict,),
    "properties": (dict,),
    "patternProperties": (dict,),
    "additionalProperties": (dict,),
}


def accepts(schema: Any, value: Any) -> bool:
    """A JSON Schema validator for the keywords that ours uses; one that it does not know is an error."""
    if schema is True or schema is False:
        return bool(schema)
    return all(_holds(schema, keyword, wanted, value) for keyword, wanted in schema.items())


def _holds(schema: dict[str, Any], keyword: str, wanted: Any, value: Any) -> bool:
    if keyword in APPLIES_TO and not isinstance(value, APPLIES_TO[keyword]):
        return True
    match keyword:
        case "$ref":
            return accepts(json_schema()["$defs"][wanted.removeprefix("#/$defs/")], value)
        case "anyOf":
            return any(accepts(part, value) for part in wanted)
        case "oneOf":
            return sum(accepts(part, value) for part in wanted) == 1
        case "not":
            return not accepts(wanted, value)
        case "type":
            return isinstance(value, TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
        case "enum":
            return value in wanted
        case "minimum":
            return bool(value >= wanted)
        case "maximum":
            return bool(value <= wanted)
        case "exclusiveMinimum":
            return bool(value > wanted)
        case "items":
            return all(accepts(wanted, item) for item in value)
        case "required":
            return all(key in value for key in wanted)
        case "properties" | "patternProperties" | "additionalProperties":
            return all(accepts(part, value[key]) for key, part in _applying(schema, keyword, value))
        case _:
            assert keyword in ANNOTATIONS, keyword
            return True


def _applying(schema: dict[str, Any], keyword: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    named = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for key in value:
        if key in named:
            if keyword == "properties":
                yield key, named[key]
        elif found := next((part for pattern, part in patterns.items() if re.search(pattern, key)), None):
            if keyword == "patternProperties":
                yield key, found
        elif keyword == "additionalProperties":
            yield key, schema[keyword]


@pytest.mark.parametrize("text", ALL.values(), ids=ALL.keys())
def test_the_examples_fit_the_schema(text: str) -> None:
    assert accepts(json_schema(), yaml.safe_load(text) or {})


@pytest.mark.parametrize(
    "text",
    [
        "allow_transfer: []",
        "listen: 53",
        "edns-size: 100",
        "zones: [{zone: example.com}]",
        "zones: [{folder: a, glob: b}]",
        "zones: [{folder: a, file: b}]",
        "zones: [{folder: a, allow-transfer: }]",
        "zones: [{folder: a, notify-ns: 'yes'}]",
        "log: {level: loud}",
        "tcp: {idle-seconds: 0}",
        "history: {days: 0}",
        "history: {versions: -1}",
        "rate-limit: {per-second: 0}",
        "rate-limit: {log-only: 1}",
        "rate-limit: [50]",
        "cookies: {secret-file: 5}",
        "secondaries: {a: puck}",
        "addresses: {a: [1]}",
        "catalogs: {a.example: }",
        "catalogs: {a.example: {secondaries: 5}}",
        "catalogs: {a.example: {allow-transfer: [], notify-ns: true}}",
        "zones: [{folder: a, catalog: }]",
        "defaults: {group: [1]}",
        "defaults: {coo: a.example}",
        "tls: {listen: 127.0.0.1}",
        "tls: {certificate: c, private-key: 5}",
        "tls: {certificate: c, private-key: k, key: x}",
        "zones: [{folder: a, allow-transfer: [{address: 192.0.2.1, tls: 13}]}]",
        "identity: no",
    ],
)
def test_what_the_loader_refuses_for_its_shape_the_schema_refuses(text: str) -> None:
    assert problems(text)
    assert not accepts(json_schema(), yaml.safe_load(text))


def test_every_key_has_a_description() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    mappings = [schema, *schema["$defs"].values()]
    assert len(mappings) == 19
    for mapping in mappings:
        assert mapping["description"]
        for key, described in mapping["properties"].items():
            assert described.get("description"), key
            assert "title" not in described
            assert described.get("default", ...) is not None
