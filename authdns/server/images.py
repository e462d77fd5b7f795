"""Images of zones for the engine: made here, and those of large zones kept in the state folder, so that a restart need
neither read nor compile a zone whose files are the same.

A kept image is a file of its own: a head, the image, what else the Zone holds, and the index of the text that it was
read from, if there is one. It is taken only if this very program made it, no octet of it is damaged (of the index, when
it is needed), and no file that the zone was read from has changed (server/files). In all other cases the zone is read:
a kept image is never needed.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from mmap import MAP_POPULATE, MAP_PRIVATE, PROT_READ, mmap
from pathlib import Path
from struct import Struct
from threading import Lock

import authdns
from authdns.answer.executor import COMPILE_WHOLE_NAMES, ServedZone
from authdns.answer.image import Image, ImageNames, write_image
from authdns.server.engine import NativeEngine
from authdns.server.files import FileSet, Text
from authdns.server.log import log
from authdns.wire import name as names
from authdns.zone import packed
from authdns.zone.digest import content_digest
from authdns.zone.problem import Problems
from authdns.zone.text_index import TextIndex
from authdns.zone.zone import Zone

_SUFFIX = ".image"
_HEAD = Struct("<8s16sQQQQQQ")  # magic, who made it; of the image, the rest and the text: octets, checksum
_MAGIC = b"authdns\2"
_CODE = ("wire", "zone", "answer", "answer/native")  # decides what is in an image


class Images:
    """What is kept is in `folder`. Used by the worker thread and the one that makes images of large zones."""

    def __init__(self, engine: NativeEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._maker = _maker()
        self._writing = Lock()

    def make(self, served: ServedZone, files: FileSet, problems: Problems) -> ServedZone:
        """The zone with an image; as it is, with the reason in the log, if there can be none. A large zone is kept for
        the next start if it was read from files, and is not held twice: its names are then read from the image."""
        zone = served.zone
        try:
            octets = write_image(zone)
            image = self._engine.load(octets)
        except (OverflowError, ValueError, MemoryError) as error:
            log.error("zone %s/IN: Python answers for it, not the engine: %s", names.zone_text(zone.apex), error)
            return served
        if not is_large(zone):
            self._path(zone.apex).unlink(missing_ok=True)  # of when it was larger
            served.image = image
            return served
        digest = served.digest
        try:
            if files.hashes:
                digest = digest or content_digest(zone)
                with self._writing:
                    self._keep(zone, octets, digest, files, problems)
        except OSError as error:
            log.warning(
                "zone %s/IN: its image cannot be kept in %s: %s; the next start will take longer",
                names.zone_text(zone.apex),
                self._folder,
                error.strerror or error,
            )
        return _on_image(zone, image, digest)

    def find(self, apex: bytes, path: str) -> tuple[FileSet, ServedZone, Problems] | None:
        """What was kept of a zone, if the zone file at `path` and all that it includes are the same."""
        files = FileSet()
        found = self._kept(apex, lambda plain: plain["path"] == path and files.are_still(plain["files"]))
        if found is None:
            return None
        served, plain, files.text = found
        return files, served, packed.unpack_problems(plain["problems"])

    def last(self, apex: bytes) -> ServedZone | None:
        """What was kept of a zone, whatever its files say now."""
        found = self._kept(apex, lambda plain: True)
        return None if found is None else found[0]

    def _kept(
        self, apex: bytes, wanted: Callable[[packed.Plain], bool]
    ) -> tuple[ServedZone, packed.Plain, Text | None] | None:
        """What was kept, and said beside it, if that is `wanted`; damage is told in the log."""
        kept = self._path(apex)
        try:
            content = _mapped(kept)
            head = _HEAD.unpack_from(content)
            if head[:2] != (_MAGIC, self._maker):
                return None
            _, _, image_octets, image_sum, rest_octets, rest_sum, text_octets, text_sum = head
            image = content[_HEAD.size :][:image_octets]
            rest = content[_HEAD.size + image_octets :][:rest_octets]
            text = content[_HEAD.size + image_octets + rest_octets :]
            is_whole = (len(rest), len(text)) == (rest_octets, text_octets)
            if not is_whole or self._engine.checksum(rest) != rest_sum:
                raise ValueError("the end is not what was written")
            if not text and self._engine.checksum(text) != text_sum:
                raise ValueError("the head is not what was written")
            plain = packed.unpack(rest)
            if plain["zone"]["apex"] != apex or not wanted(plain):
                return None
            if self._engine.checksum(image) != image_sum:
                raise ValueError("the image is not what was written")
            loaded = self._engine.load(image)
            served = _on_image(packed.unpack_zone(plain["zone"], ImageNames(loaded)), loaded, plain["digest"])
            return served, plain, partial(self._text, apex, text, text_sum) if text_octets else None
        except FileNotFoundError:
            return None
        except Exception as error:
            log.warning("zone %s/IN: the image in %s is damaged: %s", names.zone_text(apex), kept, error)
            return None

    def _text(self, apex: bytes, octets: memoryview, checksum: int) -> TextIndex | None:
        """Looked at only when it is needed, so that it does not make a start slower."""
        try:
            if self._engine.checksum(octets) != checksum:
                raise ValueError("it is not what was written")
            return packed.unpack_text(packed.unpack(octets))
        except Exception as error:
            path = self._path(apex)
            log.warning("zone %s/IN: the text kept in %s is damaged: %s", names.zone_text(apex), path, error)
            return None

    def keep_only(self, apexes: set[bytes]) -> None:
        """Removes what belongs to other zones, or was not finished."""
        wanted = {self._path(apex).name for apex in apexes}
        with self._writing, suppress(OSError):
            for entry in os.scandir(self._folder):
                if entry.name not in wanted:
                    with suppress(OSError):
                        os.unlink(entry.path)

    def _keep(self, zone: Zone, octets: memoryview, digest: bytes, files: FileSet, problems: Problems) -> None:
        plain = {
            "path": next(iter(files.signatures)),
            "files": [(path, files.signatures[path], digest) for path, digest in files.hashes.items()],
            "zone": packed.pack_zone(zone),
            "digest": digest,
            "problems": packed.pack_problems(problems),
        }
        rest = packed.pack(plain)
        index = None if files.text is None else files.text()
        text = b"" if index is None else packed.pack(packed.pack_text(index))
        sums = chain.from_iterable((len(part), self._engine.checksum(part)) for part in (octets, rest, text))
        self._folder.mkdir(exist_ok=True, mode=0o700)
        path = self._path(zone.apex)
        new = path.with_suffix(".new")
        try:
            with open(new, "wb") as file:
                file.writelines((_HEAD.pack(_MAGIC, self._maker, *sums), octets, rest, text))
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, apex: bytes) -> Path:
        """A name of a zone may be longer than one of a file, and strange."""
        return self._folder / f"{hashlib.blake2b(apex, digest_size=16).hexdigest()}{_SUFFIX}"


def is_large(zone: Zone) -> bool:
    """Whether Python should answer for it until its image is made, and the image be kept."""
    return len(zone.names) > COMPILE_WHOLE_NAMES


def _mapped(path: Path) -> memoryview:
    """The content of a file that nobody changes, only replaces. Not read: to copy it takes as long as to check it."""
    with open(path, "rb") as file:
        return memoryview(mmap(file.fileno(), 0, flags=MAP_PRIVATE | MAP_POPULATE, prot=PROT_READ))


def _on_image(zone: Zone, image: Image, digest: bytes | None) -> ServedZone:
    served = ServedZone(replace(zone, names=ImageNames(image)))
    served.image = image
    served.digest = digest
    return served


def _maker() -> bytes:
    """Another program may lay an image out in another way, or answer otherwise."""
    digest = hashlib.blake2b(f"{authdns.__version__} {sys.version}".encode(), digest_size=16)
    folder = Path(authdns.__file__).parent
    for package in _CODE:
        for path in sorted((folder / package).iterdir()):
            if path.suffix in (".py", ".so"):
                found = path.stat()
                digest.update(f"{path.name} {found.st_size} {found.st_mtime_ns} ".encode())
    return digest.digest()
