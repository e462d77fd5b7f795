"""Which folders are watched, and when somebody is told to look."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.api import ObservedWatch

from authdns.server import watch
from authdns.server.watch import Watcher

SECONDS = 10.0


class Told:
    """How often, and a way to wait for it."""

    def __init__(self) -> None:
        self.times = 0
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self._event.set()

    async def wait(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self._event.wait()
        self._event.clear()


@pytest.mark.parametrize("when", ["found", "watched"])
def test_a_folder_that_goes_away_while_it_is_to_be_watched_is_looked_for_again(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would tell of its return otherwise: neither it nor its parent is watched."""
    path = tmp_path / "zones"
    path.mkdir()

    async def run() -> None:
        told = Told()
        watcher = Watcher(told)
        try:
            with monkeypatch.context() as patch:
                existing, schedule = watch._existing, watcher._observer.schedule

                def found(folder: str) -> str:
                    answer = existing(folder)
                    path.rmdir()
                    return answer

                def watched(*given: Any) -> ObservedWatch:
                    path.rmdir()
                    return schedule(*given)

                if when == "found":
                    patch.setattr(watch, "_existing", found)
                else:
                    patch.setattr(watcher._observer, "schedule", watched)
                watcher.watch([str(path)])
            await told.wait()
            watcher.watch([str(path)])  # what the look does: now its parent is watched
            await told.wait()
            path.mkdir()
            await told.wait()
        finally:
            watcher.stop()

    asyncio.run(run())


def test_without_watches_the_poll_has_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking again at once would help nothing, for ever."""

    def full(*arguments: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    async def run() -> None:
        told = Told()
        watcher = Watcher(told)
        try:
            monkeypatch.setattr(watcher._observer, "schedule", full)
            watcher.watch([str(tmp_path)])
            await asyncio.sleep(0)
            assert told.times == 0
        finally:
            watcher.stop()

    asyncio.run(run())
