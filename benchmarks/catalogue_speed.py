"""What a catalogue costs beside `predict` on lists, on the same cores, and how much memory it takes on the way.

    python -m benchmarks.catalogue_speed [--data FASHION_MNIST] [--photos FOLDER] [--thumbnails 100000] [--pictures 5000]

Fashion-MNIST's images as PNG in Parquet, repeated, and a folder's photos, repeated as a list. `predict` names lists of the same
pictures before and after each job, in as many processes at once as the job has workers. Rates are of the time between the first
and the last answer: starting Ray is told apart. There are two: by the clock, and by the processor time of this process and all
that it started, which is the one to trust where other programs run. What of it is not the workers' goes by the clock, not by
the picture, and is told as a share of a core. Memory is their proportional set size. All takes 15 minutes on two idle cores.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.processes import family, memory
from fashion_classifier.catalogue import name_catalogue
from fashion_classifier.catalogue.progress import Progress
from fashion_classifier.catalogue.sources import ROWS
from train.commands import add_data
from train.pictures.fashion_mnist import load_fashion_mnist

MARKS = (0.1, 0.4, 0.7, 1.0)  # of the pictures, at which memory is looked at
ON_LISTS = """
import itertools, sys, time
import cv2
cv2.setNumThreads(1)
from fashion_classifier import predict
from fashion_classifier.catalogue.sources import plan
every = (picture for part in plan(sys.argv[1]) for batch in part.read() for picture in batch.pictures)
pictures = list(itertools.islice(every, int(sys.argv[2])))
predict(pictures[:3])
print(flush=True)
input()
start, used = time.perf_counter(), time.process_time()
predict(pictures)
print(len(pictures) / (time.perf_counter() - start), len(pictures) / (time.process_time() - used))
"""


class Rates(NamedTuple):
    """Pictures a second and core: of the clock, and of processor time."""

    clock: float
    processor: float


class Mark(NamedTuple):
    """Where a job was at a moment: bytes of memory, and seconds of processor time, of all and of all but the workers."""

    progress: Progress
    memory: int
    processor: float
    others: float


def rates_on_lists(source: Path, n: int, processes: int) -> Rates:
    """Of `predict` on lists of n, in each of some processes that begin together."""
    command = [sys.executable, "-W", "ignore", "-c", ON_LISTS, str(source), str(n)]
    one_core = os.environ | {"OMP_NUM_THREADS": "1"}  # each, as a worker
    pipes = {"env": one_core, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    children = [subprocess.Popen(command, text=True, **pipes) for _ in range(processes)]  # type: ignore[call-overload]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    return _mean([Rates(*map(float, child.communicate()[0].split())) for child in children])


def _mean(rates: list[Rates]) -> Rates:
    return Rates(*map(statistics.mean, zip(*rates, strict=True)))


def mark(progress: Progress) -> Mark:
    """What this process and all that it started have and took; memory that they share is counted once."""
    took, processes = {True: 0.0, False: 0.0}, family(os.getpid())
    for process in processes:
        try:
            with process.oneshot():
                worker = "".join(process.cmdline()).startswith("ray::MapWorker")  # Ray calls them by what they do
                took[worker] += sum(process.cpu_times()[:4])  # its own, and of those that it waited for
        except psutil.Error:  # it has ended meanwhile
            continue
    return Mark(progress, sum(map(memory, processes)), sum(took.values()), took[False])


def race(name: str, source: Path, n: int, workers: int, listed: int) -> Rates:
    """Name a source between two runs on lists."""
    seen: list[Mark] = []

    def look(progress: Progress) -> None:
        if not seen or progress.pictures >= MARKS[min(len(seen) - 1, len(MARKS) - 1)] * n:
            seen.append(mark(progress))

    before = rates_on_lists(source, listed, workers)
    with tempfile.TemporaryDirectory() as out:
        start = time.monotonic()
        name_catalogue(source, Path(out) / "out", workers=workers, rows=max(20, min(ROWS, n // 50)), report=look)
        whole = time.monotonic() - start
    after = rates_on_lists(source, listed, workers)
    first, last = seen[0], seen[-1]
    pictures = last.progress.pictures - first.progress.pictures
    seconds = (last.progress.seconds - first.progress.seconds) * workers
    working = seen[-2]  # at the last one, workers may have ended, and with them what they took
    named = working.progress.pictures - first.progress.pictures
    rates = Rates(pictures / seconds, named / (working.processor - first.processor))
    print(f"{name}, n = {n:,}, {workers} workers, {whole:.0f} s with all their start:")
    for kind, job, *lists in zip(Rates._fields, rates, before, after, strict=True):
        ratio = job / statistics.mean(lists)
        print(
            f"  by the {kind}: {job:.1f} a second and core; on lists {lists[0]:.1f} before and {lists[1]:.1f} after, "
            f"n = {listed} in each of {workers} processes; ratio {ratio:.2f}"
        )
    share = (working.others - first.others) / (working.progress.seconds - first.progress.seconds)
    print(f"  Ray and this process took {share:.1%} of a core beside the workers")
    print("  memory:", ", ".join(f"{at.memory / 2**20:.0f} MiB after {at.progress.pictures:,}" for at in seen), flush=True)
    return rates


def write_thumbnails(data: Path | None, n: int, path: Path) -> None:
    """Fashion-MNIST's images, repeated, as PNG in a Parquet file."""
    dataset = load_fashion_mnist(data)
    images = [image for pictures in (dataset.test, dataset.training) for image in pictures.images]
    schema = pa.schema([("image", pa.binary()), ("number", pa.int64())])
    with pq.ParquetWriter(path, schema) as file:
        for first in range(0, n, 1000):
            numbers = range(first, min(first + 1000, n))
            pictures = [_png(images[number % len(images)]) for number in numbers]
            file.write_table(pa.table({"image": pictures, "number": list(numbers)}, schema))


def _png(image: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")  # type: ignore[arg-type]
    return content.getvalue()


def write_list(pictures: Iterable[Path], n: int, path: Path) -> None:
    path.write_text("\n".join(str(picture.absolute()) for picture in islice(cycle(sorted(pictures)), n)))


def races(name: str, source: Path, n: int, workers: list[int], listed: int) -> None:
    """A race for each number of workers, and what the most of them gain over the fewest."""
    rates = {number: race(name, source, n, number, listed) for number in workers}
    few, many = min(rates), max(rates)
    gain = many * rates[many].clock / (few * rates[few].clock)
    if few < many:
        print(f"{name}: {many} workers to {few}: {gain:.2f} times the rate by the clock", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data(parser)
    parser.add_argument("--photos", type=Path, default=Path("examples"))
    parser.add_argument("--thumbnails", type=int, default=100_000, help="0 for none")
    parser.add_argument("--pictures", type=int, default=5_000, help="0 for none")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    os.environ |= {"RAY_worker_niceness": "0"}  # as `predict` has it; by itself Ray's workers wait for other programs
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.thumbnails:
            thumbnails = Path(folder) / "thumbnails.parquet"
            write_thumbnails(arguments.data, arguments.thumbnails, thumbnails)
            races("thumbnails", thumbnails, arguments.thumbnails, arguments.workers, 5000)
        if arguments.pictures:
            photos = Path(folder) / "photos.txt"
            write_list(arguments.photos.glob("*.jpg"), arguments.pictures, photos)
            races("photos", photos, arguments.pictures, arguments.workers, 200)
    print(f"All took {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
