"""Cold start to the first answer: this library against Keras, on the same photo and the same networks.

    python benchmarks/cold_start.py [--runs 5] [--picture examples/coat.jpg]

Each run is a fresh interpreter; the two take turns, so that both meet the same machine. Prints medians, ranges and the ratio.
"""

import argparse
import statistics
import subprocess
import sys
import time

LIBRARY = "from fashion_classifier import predict; predict({picture!r})"
KERAS = """
import keras
from fashion_classifier import canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, Bundle
from fashion_classifier.forms import FORMS
image = canonicalize({picture!r})
for member in Bundle(DEFAULT_MODEL).manifest.experts["photo"].members:
    inputs = FORMS[member.form].render([image])
    keras.models.load_model(DEFAULT_MODEL / member.keras, compile=False).predict(inputs, verbose=0)
"""


def seconds(code: str) -> float:
    """Wall-clock time of a fresh interpreter that runs the code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--picture", default="examples/coat.jpg")
    arguments = parser.parse_args()
    codes = {name: code.format(picture=arguments.picture) for name, code in (("library", LIBRARY), ("Keras", KERAS))}
    for code in codes.values():
        seconds(code)  # fills the disk cache and compiles bytecode
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(arguments.runs):
        for name, code in codes.items():
            times[name].append(seconds(code))
    for name, values in times.items():
        print(f"{name}: median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f} s, n = {len(values)}")
    print(f"ratio library / Keras: {statistics.median(times['library']) / statistics.median(times['Keras']):.3f}")


if __name__ == "__main__":
    main()
