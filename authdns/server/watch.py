"""File events by watchdog, turned into one question: is anything worth looking at now?

Events are hints and nothing more: what changed is found out by signatures and hashes (files.py), and a slow poll finds
what the events missed. A file that somebody has open for writing is *unsettled*: it is left alone until it is closed,
renamed into place, or has been quiet for a while, so that half a file is not taken for a zone.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

QUIET_SECONDS = 0.02  # after the last event: one save is several events
QUIET_AT_MOST_SECONDS = 0.2  # a folder under constant change is looked at all the same
UNSETTLED_SECONDS = 1.0  # written to but never closed: by then whoever writes is done, or is a log

_SETTLED_BY = frozenset({"closed", "moved", "deleted"})
_UNSETTLED_BY = frozenset({"modified", "created"})
_TOUCHED_BY = frozenset({"attrib"})  # a permission, perhaps; older versions of watchdog say "modified"


class Watcher(FileSystemEventHandler):
    """Watches folders (not below them) and calls `wake` on the event loop when it has been quiet."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._observer = _observer()
        self._watches: dict[str, tuple[ObservedWatch, int]] = {}  # folder -> watch, inode
        self._gone: set[str] = set()  # watched folders that were deleted; their watches are dead
        self._unsettled: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._first_event_at = 0.0
        self._observer.start()

    def watch(self, folders: Iterable[str]) -> None:
        """Watches exactly these folders; one that is missing is waited for at its nearest existing parent.

        Blocking but quick. A folder that was deleted and made again is watched again; it may even have the inode that
        it had before. A new watch asks for another look, since what came just before it made no event; and so does a
        folder that goes away in this very moment, since nothing is watched then that would tell of its return.
        """
        gone, self._gone = self._gone, set()
        wanted = {}
        for folder in folders:
            found = os.path.realpath(_existing(folder))  # watchdog does not follow a link to a folder
            try:
                wanted[found] = os.stat(found).st_ino
            except OSError:  # deleted this moment: the next look watches its parent
                self._loop.call_soon_threadsafe(self._wake)
        for folder, (watch, inode) in list(self._watches.items()):
            if wanted.get(folder) != inode or folder in gone:
                del self._watches[folder]
                try:
                    self._observer.unschedule(watch)
                except (KeyError, OSError):
                    pass  # its emitter died with the folder
        for folder, inode in wanted.items():
            if folder not in self._watches:
                try:
                    self._watches[folder] = (self._observer.schedule(self, folder), inode)
                except OSError:
                    if os.path.isdir(folder):
                        continue  # no inotify watches left: the poll will do
                self._loop.call_soon_threadsafe(self._wake)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog's thread."""
        kind = event.event_type
        if kind in _SETTLED_BY or kind in _UNSETTLED_BY or kind in _TOUCHED_BY:
            paths = [os.path.normpath(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path]
            try:
                self._loop.call_soon_threadsafe(self._note, kind, paths, event.is_directory)
            except RuntimeError:
                pass  # the loop has just been closed

    def _note(self, kind: str, paths: list[str], is_directory: bool) -> None:
        now = self._loop.time()
        if kind == "deleted" and is_directory:
            self._gone.update(paths)
        if kind in _UNSETTLED_BY and not is_directory and not any(map(os.path.islink, paths)):
            for path in paths:
                self._unsettled[path] = time.monotonic()
        elif kind in _SETTLED_BY:
            for path in paths:
                self._unsettled.pop(path, None)
        if self._timer is None:
            self._first_event_at = now
        else:
            self._timer.cancel()
        due = min(now + QUIET_SECONDS, self._first_event_at + QUIET_AT_MOST_SECONDS)
        self._timer = self._loop.call_at(due, self._quiet)

    def _quiet(self) -> None:
        self._timer = None
        self._wake()

    def unsettled(self, paths: Iterable[str]) -> bool:
        """True if somebody seems to be writing one of these files; then `wake` comes again."""
        if not self._unsettled:
            return False
        now = time.monotonic()
        for path, since in list(self._unsettled.items()):
            if now - since > UNSETTLED_SECONDS:
                self._unsettled.pop(path, None)  # the event loop may have been faster
        if any(
            os.path.normpath(path) in self._unsettled or os.path.realpath(path) in self._unsettled for path in paths
        ):
            self._loop.call_soon_threadsafe(self._loop.call_later, UNSETTLED_SECONDS / 4, self._wake)
            return True
        return False

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._observer.stop()
        self._observer.join()


def _observer() -> BaseObserver:
    """On Linux with "full" events: else a file moved here from another folder looks like one that is being written."""
    if sys.platform == "linux":
        from watchdog.observers.inotify import InotifyObserver

        return InotifyObserver(generate_full_events=True)
    return Observer()


def _existing(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder) or "."
    return folder
