"""From the data to the bundle and its reports in one command.

    python -m train.reproduce --out runs/1.2.0 --version 1.2.0 --data DATA --photos PHOTOS --street STREET
    python -m train.reproduce ... --initial fashion_classifier/default_model

Trains every network, exports the bundles, measures them on test data and writes the reports to OUT/report. The bundle to ship
is OUT/resnet/bundle. Started again after an interruption it goes on where it stopped. With --initial the networks start from
those of a bundle, whose segmentation network is kept; without it the networks for photos start from ImageNet's weights (the
extra "imagenet"). What each finished step took, in hours of the clock and of processor cores, is in OUT/steps.json. --smoke
trains one network of each kind for a moment only, to see whether the chain holds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

SEEDS = ("0", "1", "2")  # of the networks that take minutes


@dataclass(frozen=True)
class Step:
    """One command: what is run with `python -m`, and its arguments."""

    module: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Taken:
    """What a step took of the wall clock, and of all processor cores together."""

    hours: float
    core_hours: float


@dataclass(frozen=True)
class Sources:
    """Folders of the data, and the bundle to start from, if any."""

    data: Path
    photos: Path
    street: Path
    initial: Path | None


def steps(out: Path, version: str, sources: Sources, *, smoke: bool = False) -> list[Step]:
    """All commands, in order."""
    data, photos, street = ("--data", f"{sources.data}"), ("--photos", f"{sources.photos}"), ("--street", f"{sources.street}")
    report, numbered = ("--out", f"{out / 'report'}"), ("--version", version)
    moment = ("--epochs", "1") if smoke else ()  # the last of two equal options counts
    batches = ("--batches", "2") if smoke else ()

    def fit(recipe: str, run: str, *options: str) -> Step:
        return Step("train.thumbnails", (recipe, "--run", f"{out / run}", *data, *options, *moment))

    def train_photos(run: str, *options: str) -> Step:
        segmentation = f"{sources.initial or out / 'segmentation'}"
        given = ("--run", f"{out / run}", "--segmentation", segmentation, *photos, *street, *data)
        return Step("train.photos", (*given, *options, *moment, *batches))

    def average(run: str, of: str, other: Path, share: str) -> Step:
        mixed = ("--of", f"{out / of}", "--with", f"{other}", "--share", share)
        return Step("train.networks.average", ("--run", f"{out / run}", *mixed))

    def export(run: str, *options: str) -> Step:
        return Step("train.export", (f"{out / run}", f"{out / run / 'bundle'}", *numbered, *data, *options))

    baselines = {f"{name}-{seed}": (name, seed) for name in ("ann", "cnn") for seed in (SEEDS[:1] if smoke else SEEDS)}
    listed = [fit(name, run, "--seed", seed) for run, (name, seed) in baselines.items()]
    listed += [export(run) for run in baselines]
    if sources.initial is None:
        listed += [
            fit("resnet", "resnet-first"),
            Step("train.segmentation", ("--run", f"{out / 'segmentation'}", *photos, *street, *moment, *batches)),
            train_photos("photos-first"),
            train_photos("faded-first", "--look", "faded", "--epochs", "26", "--learning-rate", "0.0006", "--seed", "21"),
        ]
    of_thumbnails = sources.initial or out / "resnet-first"
    of_photos, of_faded = sources.initial or out / "photos-first", sources.initial or out / "faded-first"
    again = ("--epochs", "18", "--seed", "5")
    refit = ("--epochs", "10", "--learning-rate", "0.00025", "--seed", "6", "--refit")
    refit_faded = ("--look", "faded", "--epochs", "16", "--learning-rate", "0.00035", "--seed", "22", "--refit")
    dyed = ("--epochs", "6", "--learning-rate", "0.0003", "--seed", "32", "--refit")
    dyed_faded = ("--look", "faded", "--epochs", "24", "--seed", "31", "--refit")
    second, photos_second, faded_third = out / "resnet-second", out / "photos-second", out / "faded-third"
    bundle = f"{out / 'resnet' / 'bundle'}"
    return [
        *listed,
        fit("resnet-continued", second.name, "--initial", f"{of_thumbnails}"),
        fit("resnet-continued", "resnet-third", "--initial", f"{second}", "--epochs", "18"),
        average("resnet", "resnet-third", second, "0.5"),
        train_photos(photos_second.name, "--initial", f"{of_photos}", *again),
        train_photos("photos-third", "--initial", f"{photos_second}", *refit),
        average("photos-fourth", "photos-third", photos_second, "0.5"),
        average("photos-fifth", "photos-fourth", of_photos, "0.4"),
        train_photos("photos", "--initial", f"{out / 'photos-fifth'}", *dyed),
        train_photos("faded-second", "--initial", f"{of_faded}", *refit_faded),
        average(faded_third.name, "faded-second", of_faded, "0.5"),
        train_photos("faded-fourth", "--initial", f"{faded_third}", *dyed_faded),
        average("faded", "faded-fourth", faded_third, "0.5"),
        export(
            "resnet",
            *("--segmentation", f"{sources.initial or out / 'segmentation'}"),
            *("--photo-run", f"{out / 'photos'}", "--photo-run", f"{out / 'faded'}", *photos),
        ),
        Step("train.reports.thumbnails", (bundle, *data, *report)),
        Step("train.reports.photos", (bundle, *photos, *street, *report)),
        Step("train.reports.typicality", (bundle, *photos, *data, *report)),
        Step("train.reports.compare", (*(f"{out / run}" for run in baselines), f"{out / 'resnet'}", *data, *report)),
    ]


def run(step: Step) -> Taken:
    """Run a command from this project's root.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    print(f"== python -m {step.module} {' '.join(step.arguments)}", flush=True)
    start, before = time.perf_counter(), _core_seconds()
    subprocess.run([sys.executable, "-m", step.module, *step.arguments], check=True, cwd=Path(__file__).parent.parent)
    return Taken((time.perf_counter() - start) / 3600, (_core_seconds() - before) / 3600)


def _core_seconds() -> float:
    """Processor time of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def main(options: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs and reports")
    parser.add_argument("--version", required=True, help='of the model, such as "1.2.0"')
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the phone photos (photos.csv, images/)")
    parser.add_argument("--street", type=Path, required=True, help="folder of the street photos (labels.json, photos/, masks/)")
    parser.add_argument("--initial", type=Path, help="a bundle whose networks to start from")
    parser.add_argument("--smoke", action="store_true", help="train every network for a moment only")
    arguments = parser.parse_args(options)
    initial = arguments.initial and arguments.initial.resolve()
    sources = Sources(arguments.data.resolve(), arguments.photos.resolve(), arguments.street.resolve(), initial)
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    record = out / "steps.json"
    taken = json.loads(record.read_text()) if record.is_file() else {}
    for step in steps(out, arguments.version, sources, smoke=arguments.smoke):
        name, took = " ".join([step.module, *step.arguments]), run(step)
        before = taken.get(name, {"hours": 0.0, "core_hours": 0.0})  # a step that is found finished adds a moment
        taken[name] = {part: value + before[part] for part, value in asdict(took).items()}
        record.write_text(json.dumps(taken, indent=1) + "\n")
    print(f"{out / 'resnet' / 'bundle'}: {sum(one['core_hours'] for one in taken.values()):.2f} core-hours")


if __name__ == "__main__":
    main()
