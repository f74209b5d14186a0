"""The folder where Gradio puts what visitors upload and what it shows them: bounded, and swept by age, whoever wrote there."""

import asyncio
import math
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from fashion_classifier.memory import give_back
from page.limits import BusyError

QUOTA = 2**31  # bytes of the folder
LEFT = QUOTA * 3 // 4  # bytes, of the folder once it was too much
SHARE = QUOTA // 4  # that one visitor may upload in `AGE`
AGE = 3600  # seconds that a file stays
EVERY = 30  # seconds between two sweeps


class Uploads:
    """Gradio's folder. Its own list of files does not know those of uploads that broke off, nor those of a former run."""

    def __init__(self, folder: Path, kept: Iterable[str] = ()) -> None:
        """Watch over a folder; the files of `kept` belong to the page itself and stay."""
        self.folder, self._kept = folder, list(kept)
        self._received: Counter[str] = Counter()
        self._since = time.monotonic()
        self._used = 0  # bytes, as far as is known
        self._lock = Lock()

    def take(self, visitor: str, size: int) -> None:
        """Count what arrives; who has too much there is refused, and what is too much for the folder displaces the oldest.

        Raises:
            BusyError: This visitor has uploaded a share that must do for a while.
        """
        with self._lock:
            if time.monotonic() - self._since > AGE:
                self._received.clear()
                self._since = time.monotonic()
            if self._received[visitor] + size > SHARE:
                left = math.ceil(AGE - (time.monotonic() - self._since))
                raise BusyError(f"You have uploaded {SHARE:,} bytes within an hour; more is taken in {left} seconds.", left)
            self._received[visitor] += size
            self._used += size
            full = self._used > QUOTA
        if full:
            self.sweep()

    def sweep(self) -> None:
        """Delete what is old, and of the rest the oldest as long as there is too much."""
        for name in filter(os.path.exists, self._kept):  # another page with the same folder sees that these are in use
            os.utime(name)
        files = sorted(self._files(), key=lambda file: file[0])
        used = sum(size for _, size, _ in files)
        most = LEFT if used > QUOTA else QUOTA
        for changed, size, path in files:
            if (changed < time.time() - AGE or used > most) and str(path) not in self._kept:
                path.unlink(missing_ok=True)
                used -= size
        self._remove_empty_folders()
        with self._lock:
            self._used = used

    @asynccontextmanager
    async def swept(self, app: Any) -> AsyncIterator[None]:
        """Sweep now and then for as long as a server runs, as its lifespan."""

        async def sweep() -> None:
            while True:
                await asyncio.to_thread(self.sweep)
                await asyncio.to_thread(give_back)  # what large requests took
                await asyncio.sleep(EVERY)

        task = asyncio.create_task(sweep())
        yield
        task.cancel()

    def _files(self) -> Iterable[tuple[float, int, Path]]:
        """When each file was changed, how many bytes it has, and its path."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                try:
                    status = path.lstat()
                except OSError:  # gone meanwhile
                    continue
                yield status.st_mtime, status.st_size, path

    def _remove_empty_folders(self) -> None:
        old = time.time() - AGE
        for folder, _, _ in os.walk(self.folder, topdown=False):
            path = Path(folder)
            try:
                if path != self.folder and path.stat().st_mtime < old:
                    path.rmdir()
            except OSError:  # it holds something
                continue
