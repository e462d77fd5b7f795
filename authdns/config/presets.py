"""The services that people use as their secondary, from `authdns/data/secondaries.yaml`: dated data, not code.

The file is read on first use and checked as strictly as a configuration; a mistake in it is ours and raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict

from authdns.config.values import Endpoint, Network, parse_endpoint, parse_network


@dataclass(frozen=True, slots=True)
class Preset:
    """One service as of `as_of` (ISO date). No `transfer_from`: it differs per account, the user has to say it.

    `page` is where the service says which addresses it uses today, `source` where ours come from.
    """

    key: str
    title: str
    as_of: str
    public_names: tuple[str, ...]
    transfer_from: tuple[Network, ...]
    notify_to: tuple[Endpoint, ...]
    page: str
    source: str
    notes: str


@cache
def presets() -> Mapping[str, Preset]:
    """Every preset by its key."""
    text = (files("authdns") / "data" / "secondaries.yaml").read_text(encoding="utf-8")
    made = _PresetFile.model_validate(yaml.load(text, Loader=yaml.BaseLoader))  # BaseLoader: dates stay text
    return MappingProxyType({key: _preset(key, made, entry) for key, entry in made.presets.items()})


class _PresetEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))

    title: str
    names: tuple[str, ...] = ()
    transfer_from: tuple[str, ...] = ()
    notify_to: tuple[str, ...] = ()
    page: str
    source: str | None = None
    notes: str = ""


class _PresetFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))

    as_of: str
    source: str
    presets: dict[str, _PresetEntry]


def _preset(key: str, made: _PresetFile, entry: _PresetEntry) -> Preset:
    return Preset(
        key=key,
        title=entry.title,
        as_of=made.as_of,
        public_names=entry.names,
        transfer_from=tuple(map(parse_network, entry.transfer_from)),
        notify_to=tuple(map(parse_endpoint, entry.notify_to)),
        page=entry.page,
        source=entry.source or made.source,
        notes=" ".join(entry.notes.split()),
    )
