"""authdns itself, behind the same interface as its peers: `python -m authdns serve --config FILE`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.peers.process import NameServer, Zone

PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class Authdns(NameServer):
    """The server under test. A zone is a `Zone`, or a mapping that goes into the configuration as it is."""

    name: ClassVar[str] = "authdns"
    engine: ClassVar[str] = os.environ.get("AUTHDNS_ENGINE", "auto")
    watches_files: ClassVar[bool] = True

    def __init__(
        self, folder: Path, zones: Sequence[Zone | Mapping[str, Any]] = (), *, more: Mapping[str, Any] = {}, **rest: Any
    ) -> None:
        """`more` is merged into the configuration's top level; `rest` is what `NameServer` takes."""
        super().__init__(folder, [zone for zone in zones if isinstance(zone, Zone)], **rest)
        self.more = more
        self.zone_settings = [zone_settings(zone) if isinstance(zone, Zone) else dict(zone) for zone in zones]

    @property
    def _named(self) -> dict[str, Any]:
        """What the settings of zones with keys refer to by name."""
        if not self.keys:
            return {}
        signed = [zone for zone in self.zones if zone.key]
        return {
            "keys": {key.name: {"algorithm": key.algorithm, "secret": key.secret} for key in self.keys},
            "primaries": {
                f"primary-of-{zone.name}": {"address": str(zone.primary), "key": key.name}
                for zone in signed
                if zone.primary and (key := zone.key)
            },
            "secondaries": {
                f"secondaries-of-{zone.name}": {
                    "transfer-from": ["127.0.0.1"],
                    "notify-to": [str(each) for each in zone.notify],
                    "key": key.name,
                }
                for zone in signed
                if (key := zone.key_of_secondaries)
            },
        }

    @property
    def configuration(self) -> dict[str, Any]:
        return {
            "listen": [str(self.endpoint)],
            "state": str(self.folder / "state"),
            "metrics": None,
            "engine": self.engine,
            "zones": self.zone_settings,
            **self._named,
            **self.more,
        }

    def write_configuration(self) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        (self.folder / "authdns.yaml").write_text(yaml.safe_dump(self.configuration, sort_keys=False))

    def command(self) -> list[str]:
        return [sys.executable, "-m", "authdns", "serve", "--config", str(self.folder / "authdns.yaml")]

    def environment(self) -> dict[str, str]:
        """The server runs in a folder of its own, so a checkout that is not installed must be told to it."""
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(PACKAGE_ROOT), *([inherited] if inherited else [])])
        return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def zone_settings(zone: Zone) -> dict[str, Any]:
    """A `Zone` in the configuration's own words; one with a key refers to what `Authdns` writes beside it."""
    if zone.primary is not None:
        primary = str(zone.primary) if zone.key is None else f"primary-of-{zone.name}"
        settings: dict[str, Any] = {"zone": zone.name, "primaries": [primary]}
    else:
        settings = {"zone": zone.name, "file": str(zone.file)}
    settings["notify-ns"] = False
    if zone.key_of_secondaries:
        return settings | {"secondaries": [f"secondaries-of-{zone.name}"]}
    return settings | {"allow-transfer": ["127.0.0.1"], "notify": [str(each) for each in zone.notify]}
