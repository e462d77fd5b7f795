"""Getting the engine ready for a version of a zone: at once if it is small, in the background if it is large.

Until a large zone has its image, the engine goes on with one of an earlier version. If it is known what changed since,
the new version is published at once: the engine declines the names that changed, and Python answers for them
(`follow`). Else it is not published before its image is made. Edits may come faster than images: when the image of one
version is made, it is the one to go on with for the version that is served by then, and the next one is begun.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from authdns.answer.changes import Changes, changed_names
from authdns.answer.executor import ServedZone
from authdns.server.background import in_background
from authdns.server.files import FileSet
from authdns.server.images import Images, is_large
from authdns.server.log import log
from authdns.wire import name as names
from authdns.zone.delta import Delta
from authdns.zone.problem import Problems


class _Wanted(NamedTuple):
    """A version that is to have an image, and who is told."""

    served: ServedZone
    made: Callable[[ServedZone], None]
    files: FileSet | None
    problems: Problems | None


class Imaging:
    """`images` is None where Python answers. Images of large zones are made in the background, one after the other: the
    worker, which makes the versions, does not wait for them, nor does the end of the process."""

    def __init__(self, images: Images | None, worker: ThreadPoolExecutor) -> None:
        self.images = images
        self._worker = worker
        self._one = asyncio.Lock()
        self._wanted: dict[bytes, _Wanted | None] = {}  # by apex, while there is a task; None: nothing any more
        self._tasks: set[asyncio.Task[None]] = set()

    def made(
        self, served: ServedZone, files: FileSet | None = None, problems: Problems | None = None, *, large: bool = False
    ) -> ServedZone:
        """In the worker: compiled, and with an image if the zone is small, or `large` zones are to have one too."""
        if self.images is None:
            served.compile_all()
        elif large or not is_large(served.zone):
            return self.images.make(served, files or FileSet(), problems or Problems())
        elif served.changes is None:
            served.changes = Changes(object())
        return served

    def follow(self, before: ServedZone, served: ServedZone, deltas: Sequence[Delta]) -> bool:
        """In the worker: whether `served` can be published as it is in the place of `before`, with the image of that
        one. `deltas` lead from `before` to `served`; if there are none, it is not known what changed. If it cannot,
        `made` is to be called. In both cases, `later` when it is published."""
        if self.images is None or not deltas or not is_large(served.zone):
            return False
        changes = before.changes or Changes(object())
        image = before.image  # behind its changes: `_go_on` sets these behind the image, so they are never too few
        changed = changed_names(before.zone, served.zone, deltas)
        served.changes = None if changed is None else changes.then(changed)
        if served.changes is None or image is None:
            return False
        served.image = image.with_changes(served.changes.names)
        return True

    def later(
        self,
        served: ServedZone,
        made: Callable[[ServedZone], None],
        files: FileSet | None = None,
        problems: Problems | None = None,
    ) -> None:
        """On the event loop, for each version when it is published. Calls `made` with it when it has got its image, or
        a later one than it had; never if there is nothing to be made."""
        apex = served.zone.apex
        outdated = served.image is None or (served.changes is not None and served.changes.names)
        wanted = None
        if self.images is not None and outdated and is_large(served.zone):
            wanted = _Wanted(served, made, files, problems)
        if apex in self._wanted:
            self._wanted[apex] = wanted
        elif wanted is not None:
            self._wanted[apex] = wanted
            self._tasks.add(task := asyncio.get_running_loop().create_task(self._make_all(apex)))
            task.add_done_callback(self._tasks.discard)

    async def _make_all(self, apex: bytes) -> None:
        """Images of a zone, until the version that is served has its own, or none can be made of it."""
        try:
            while (wanted := self._wanted[apex]) is not None:
                imaged = await self._make(wanted)
                newest = self._wanted[apex]
                if newest is not None and newest.served is wanted.served:
                    if imaged is not None:
                        newest.made(imaged)
                    return
                if newest is not None and imaged is not None and _go_on(newest.served, wanted.served, imaged):
                    newest.made(newest.served)
        finally:
            del self._wanted[apex]

    async def _make(self, wanted: _Wanted) -> ServedZone | None:
        """The version on its image; None if there can be none."""
        images, served = self.images, wanted.served
        assert images is not None, "or nothing would be wanted"

        def make() -> ServedZone:
            with without_collection():
                return images.make(served, wanted.files or FileSet(), wanted.problems or Problems())

        loop = asyncio.get_running_loop()
        try:
            # Whatever the worker still has to do with this version, and all else that waits there, comes first.
            await loop.run_in_executor(self._worker, _nothing)
            async with self._one:
                imaged = await in_background(make, "image")
        except Exception:
            log.exception(
                "zone %s/IN: no image could be made, Python answers for it", names.zone_text(served.zone.apex)
            )
            return None
        if imaged is served:
            return None
        imaged.changes = None if served.changes is None else served.changes.since(served.changes)
        return imaged

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


def _go_on(served: ServedZone, before: ServedZone, imaged: ServedZone) -> bool:
    """`served` goes on with the image of `before`, which is `imaged`, if what changed since is known."""
    if served.changes is None or before.changes is None or imaged.image is None:
        return False
    changes = served.changes.since(before.changes)
    if changes is None:
        return False
    served.image = imaged.image.with_changes(changes.names)
    served.changes = changes
    return True


def _nothing() -> None:
    pass


@contextmanager
def without_collection() -> Iterator[None]:
    """Millions of new objects, none of them garbage: the collector would walk them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
