"""Getting the engine ready for a version of a zone: at once if it is small, in the background if it is large."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from authdns.answer.executor import ServedZone
from authdns.server.files import FileSet
from authdns.server.images import Images, is_large
from authdns.server.log import log
from authdns.wire import name as names
from authdns.zone.problem import Problems


class Imaging:
    """`images` is None where Python answers."""

    def __init__(self, images: Images | None, worker: ThreadPoolExecutor) -> None:
        self.images = images
        self._worker = worker
        self._tasks: set[asyncio.Task[None]] = set()

    def made(
        self, served: ServedZone, files: FileSet | None = None, problems: Problems | None = None, *, large: bool = False
    ) -> ServedZone:
        """In the worker: compiled, and with an image if the zone is small, or `large` zones are to have one too."""
        if self.images is None:
            served.compile_all()
        elif large or not is_large(served.zone):
            return self.images.make(served, files or FileSet(), problems or Problems())
        return served

    def later(
        self,
        served: ServedZone,
        made: Callable[[ServedZone], None],
        files: FileSet | None = None,
        problems: Problems | None = None,
    ) -> None:
        """Calls `made` with the version and its image, when there is one; not at all if there is one already."""
        if self.images is None or served.image is not None or not is_large(served.zone):
            return
        self._tasks.add(task := asyncio.get_running_loop().create_task(self._make(served, made, files, problems)))
        task.add_done_callback(self._tasks.discard)

    async def _make(
        self,
        served: ServedZone,
        made: Callable[[ServedZone], None],
        files: FileSet | None,
        problems: Problems | None,
    ) -> None:
        def make() -> ServedZone:
            with without_collection():
                return self.made(served, files, problems, large=True)

        try:
            made(await asyncio.get_running_loop().run_in_executor(self._worker, make))
        except Exception:
            log.exception(
                "zone %s/IN: no image could be made, Python answers for it", names.zone_text(served.zone.apex)
            )

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


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
