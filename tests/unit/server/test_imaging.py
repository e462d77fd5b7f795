"""Which version the engine answers from while images are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore

import pytest

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
from authdns.answer import changes as changes_module
from authdns.answer.executor import ServedZone
from authdns.answer.image import write_image
from authdns.answer.native import _native as native
from authdns.server import images as images_module
from authdns.server import imaging as imaging_module
from authdns.server.engine import NativeEngine
from authdns.server.images import Images
from authdns.server.imaging import Imaging
from authdns.wire import name as names
from authdns.zone.delta import Delta, difference
from authdns.zone.zone import Zone
from tests.unit.answer.packets import query
from tests.unit.answer.zones import zone_from_text

SECONDS = 20.0


class Bench:
    """Imaging of "large" zones, as many images as `allowed` are; what became of them is in `told`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed = Semaphore(0)
        self.begun = 0
        self.fails = False
        self.told: list[ServedZone] = []
        self.engine = NativeEngine(native)
        self._worker = ThreadPoolExecutor(1)
        self.imaging = Imaging(Images(self.engine, folder), self._worker)
        for module in (images_module, imaging_module):
            monkeypatch.setattr(module, "is_large", lambda zone: True)
        monkeypatch.setattr(images_module, "write_image", self._write_image)

    def _write_image(self, zone: Zone) -> memoryview:
        self.begun += 1
        assert self.allowed.acquire(timeout=SECONDS)
        if self.fails:
            raise OverflowError("too large")
        return write_image(zone)

    def publish(self, served: ServedZone) -> None:
        self.imaging.later(served, self.told.append)

    async def imaged(self) -> ServedZone:
        """The one image more that is allowed is taken."""
        before = len(self.told)
        self.allowed.release()
        await until(lambda: len(self.told) > before)
        return self.told[-1]

    async def begins(self, image: int) -> None:
        """With that image, counted from 1."""
        await until(lambda: self.begun == image)

    def declines(self, served: ServedZone, label: str) -> bool:
        engine = self.engine._engine
        engine.publish(served.zone.apex, served.image)
        packet = query(names.from_text(f"{label}.example.com."))
        return bool(engine.respond(packet) == native.DECLINED)

    def close(self) -> None:
        self.allowed.release(1000)
        self.imaging.stop()
        self._worker.shutdown()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    found = Bench(tmp_path, monkeypatch)
    yield found
    found.close()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - it becomes true in threads
            await asyncio.sleep(0.005)


def version(**addresses: int) -> ServedZone:
    """With these names, each with an address that ends in that number."""
    lines = [f"{label}.example.com. 60 A 192.0.2.{number}" for label, number in addresses.items()]
    return ServedZone(zone_from_text("ns1.example.com. 60 A 192.0.2.1\n" + "\n".join(lines)))


def deltas(before: ServedZone, after: ServedZone) -> tuple[Delta]:
    found = difference(before.zone, after.zone, 1000)
    assert found is not None
    return (found,)


def changed(served: ServedZone) -> set[str]:
    assert served.changes is not None
    return {names.to_text(name).removesuffix("example.com.").rstrip(".") for name in served.changes.names} - {""}


def test_a_version_goes_on_with_the_image_before_it(bench: Bench) -> None:
    async def run() -> None:
        first = bench.imaging.made(version(a=1, b=1))
        assert first.image is None
        bench.publish(first)
        first = await bench.imaged()
        assert not changed(first)
        second = version(a=2, b=1)
        assert bench.imaging.follow(first, second, deltas(first, second))
        third = version(a=2, b=1, c=3)
        assert bench.imaging.follow(second, third, deltas(second, third))
        assert changed(second) == {"a"}
        assert changed(third) == {"a", "c"}
        assert bench.declines(third, "c")
        assert not bench.declines(third, "b")
        bench.publish(third)
        assert not changed(await bench.imaged())
        assert not bench.declines(bench.told[-1], "a")
        assert bench.told[-1] is not third

    asyncio.run(run())


def test_each_image_is_the_one_to_go_on_with(bench: Bench) -> None:
    """However long edits come faster than images."""

    async def run() -> None:
        newest = bench.imaging.made(version(n=0))
        bench.publish(newest)
        for number in range(1, 10):
            await bench.begins(number)
            for half in (2 * number, 2 * number + 1):
                before, newest = newest, version(n=half, **{f"x{half}": 1})
                bench.imaging.follow(before, newest, deltas(before, newest))
                bench.publish(bench.imaging.made(newest) if before.image is None else newest)
            assert await bench.imaged() is newest
            assert changed(newest) - {"n"} <= {f"x{each}" for each in range(2 * number - 1, 2 * number + 2)}
            assert bench.declines(newest, "n")
            assert not bench.declines(newest, "other")
        await bench.begins(10)
        last = await bench.imaged()
        assert last is not newest
        assert not changed(last)
        assert not bench.declines(last, "n")
        assert not bench.imaging._wanted

    asyncio.run(run())


def test_an_image_is_not_for_versions_that_do_not_follow_from_it(bench: Bench) -> None:
    async def run() -> None:
        bench.publish(bench.imaging.made(version(a=1)))
        await bench.begins(1)
        other = bench.imaging.made(version(b=1))
        bench.publish(other)
        bench.allowed.release()
        await bench.begins(2)
        assert not bench.told
        made = await bench.imaged()
        assert made.zone.names == other.zone.names

    asyncio.run(run())


def test_an_image_that_nobody_wants_any_more(bench: Bench) -> None:
    async def run() -> None:
        bench.publish(bench.imaging.made(version(a=1)))
        await bench.begins(1)
        other = version(b=1)
        other.image = bench.engine.load(write_image(other.zone))
        bench.publish(other)
        bench.allowed.release()
        await until(lambda: not bench.imaging._wanted)
        assert not bench.told
        assert bench.begun == 1

    asyncio.run(run())


def test_of_what_there_can_be_no_image_none_is_made_again(bench: Bench) -> None:
    async def run() -> None:
        bench.fails = True
        first = bench.imaging.made(version(a=1))
        bench.publish(first)
        await bench.begins(1)
        second = version(a=2)
        bench.imaging.follow(first, second, deltas(first, second))
        bench.publish(bench.imaging.made(second))
        bench.allowed.release(2)
        await until(lambda: not bench.imaging._wanted)
        assert bench.begun == 2
        assert not bench.told

    asyncio.run(run())


def test_what_cannot_follow(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.allowed.release(1)
    first = bench.imaging.made(version(a=1), large=True)
    second = version(a=2, b=2)
    assert not bench.imaging.follow(first, second, ())
    assert not Imaging(None, ThreadPoolExecutor(1)).follow(first, second, deltas(first, second))
    wild = ServedZone(zone_from_text("*.example.com. 60 A 192.0.2.1"))
    assert not bench.imaging.follow(first, wild, deltas(first, wild))
    assert wild.image is None
    assert bench.imaging.follow(first, second, deltas(first, second))
    monkeypatch.setattr(changes_module, "MAX_CHANGED_NAMES", 3)
    third = version(a=2, b=2, c=2)
    assert not bench.imaging.follow(second, third, deltas(second, third)), "the apex, a, b and c"
    assert third.image is None
    monkeypatch.setattr(imaging_module, "is_large", lambda zone: False)
    assert not bench.imaging.follow(first, second, deltas(first, second))
