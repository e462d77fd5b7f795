"""Reading zone files so that a change is noticed, and nothing but a regular file of bearable size is read.

A FileSet is what one zone was made from: every file of its `$INCLUDE` tree with the stat signature and the content hash
at the time. A changed signature only makes it worth reading again; a changed hash makes it a change.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from authdns.zone.text_index import TextIndex

MAX_FILE_OCTETS = 1 << 30
_CHUNK = 1 << 20

# mtime and ctime in ns, size, inode; None: it is not there. `cp -p` sets the mtime back, but nothing can set the ctime.
Signature = tuple[int, int, int, int] | None


def signature(path: str) -> Signature:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


Text = Callable[[], TextIndex | None]  # which may have to be fetched, and cannot always be


@dataclass(slots=True)
class FileSet:
    """`load` is given to the zone-file reader; what it was asked for is remembered. `text` is what the file said from
    which the zone was read, if it is one large file, so that an edit of it can be read in parts."""

    signatures: dict[str, Signature] = field(default_factory=dict)
    hashes: dict[str, bytes] = field(default_factory=dict)
    text: Text | None = None

    def load(self, path: str) -> bytes:
        """The content of a regular file. Raises OSError."""
        self.signatures[path] = signature(path)
        self.hashes.pop(path, None)
        content = read_regular(path)
        self.hashes[path] = _digest(content)
        return content

    def are_still(self, files: Iterable[tuple[str, Signature, bytes]]) -> bool:
        """Whether these files, each with its signature and content hash, are as they were; then they count as loaded.
        Reads what was touched."""
        for path, before, digest in files:
            now = signature(path)
            if now is not None and now == before:
                self.signatures[path], self.hashes[path] = now, digest
                continue
            try:
                self.load(path)
            except OSError:
                return False
            if self.hashes[path] != digest:
                return False
        return True

    def touched(self) -> bool:
        """True if some file's signature is another than when it was read, or it is there but could not be read."""
        return any(self._is_touched(path, signature(path)) for path in self.signatures)

    def _is_touched(self, path: str, now: Signature) -> bool:
        # No signature tells when a permission was given, or file descriptors are to be had again: that takes a try.
        return now != self.signatures[path] or (now is not None and path not in self.hashes)

    def changed(self) -> bool:
        """True if some file's content is another, is gone, or is there now. Reads what was touched."""
        for path, before in list(self.signatures.items()):
            now = signature(path)
            if not self._is_touched(path, now):
                continue
            try:
                content = read_regular(path)
            except (OSError, MemoryError):
                if now != before:
                    return True
                continue
            if _digest(content) != self.hashes.get(path):
                return True
            self.signatures[path] = now
        return False


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]  # processors have instructions for it


def read_regular(path: str) -> bytes:
    """Raises OSError also for a FIFO, a device or a folder (without blocking on it), and for a file over the limit."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "not a regular file", path)
        if found.st_size > MAX_FILE_OCTETS:
            raise OSError(0, f"{found.st_size} octets, at most {MAX_FILE_OCTETS} are read", path)
        return file.read(MAX_FILE_OCTETS)


def list_folder(folder: str) -> list[str]:
    """Names of the files in a folder (links to files included). Raises OSError."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if not entry.is_dir()]
