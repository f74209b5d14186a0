"""From the data to the bundle and its reports in one command.

    python -m train.reproduce --out runs/1.2.0 --version 1.2.0 --data DATA --photos PHOTOS --street STREET \\
        [--shop SHOP] [--people PEOPLE] [--things THINGS] [--pictures FOLDER] [--thumbnails BUNDLE]

Trains every network, the two for photos from ImageNet's weights (the extra "imagenet"), exports the bundle, measures it on
test data and writes the reports to OUT/report. The bundle to ship is OUT/bundle. Started again after an interruption it goes on
where it stopped. With --thumbnails the network for thumbnails is a bundle's, as it is, and neither it nor those that it is
compared with are trained. What each finished step took, in hours of the clock and of processor cores, is in OUT/steps.json.
--smoke trains every network for a moment only, to see whether the chain holds.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from train.commands import add_folders, command_parser

SEEDS = ("0", "1", "2")  # of the networks that take minutes
CONTINUED = ("--epochs", "64", "--learning-rate", "4e-4", "--seed", "1")  # of the network for photos, trained once more


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
    """Folders of the data, and the bundle whose network for thumbnails to keep; None where there is none."""

    data: Path
    photos: Path
    street: Path
    shop: Path | None = None
    people: Path | None = None
    things: Path | None = None
    pictures: Path | None = None
    thumbnails: Path | None = None

    def options(self, *names: str) -> tuple[str, ...]:
        """The named folders as options of a command, without those that there are not."""
        folders = [(name, getattr(self, name)) for name in names]
        return tuple(word for name, folder in folders if folder is not None for word in (f"--{name}", f"{folder}"))


def steps(out: Path, version: str, sources: Sources, *, smoke: bool = False) -> list[Step]:
    """All commands, in order."""
    data, report = sources.options("data"), ("--out", f"{out / 'report'}")
    moment = ("--epochs", "1") if smoke else ()  # the last of two equal options counts
    batches = (*moment, "--batches", "2") if smoke else ()
    few = ("--thumbnails", "2") if smoke else ()
    bundle, photos = f"{out / 'bundle'}", f"{out / 'photos'}"
    first_photos, second_photos = f"{photos}-1", f"{photos}-2"
    segmentation, orientation = f"{out / 'segmentation'}", f"{out / 'orientation'}"

    def fit(recipe: str, run: str, *options: str) -> Step:
        return Step("train.thumbnails", (recipe, "--run", f"{out / run}", *data, *options, *moment))

    def export(source: str, place: str, *options: str) -> Step:
        return Step("train.export", (source, place, "--version", version, *data, *options))

    seeds = SEEDS[:1] if smoke else SEEDS
    baselines = {f"{name}-{seed}": (name, seed) for name in ("ann", "cnn") for seed in seeds}
    thumbnails, compared = f"{sources.thumbnails}", []
    listed = []
    if sources.thumbnails is None:
        first, second, third, thumbnails = (f"{out / name}" for name in ("resnet-1", "resnet-2", "resnet-3", "resnet"))
        averaged = ("--run", thumbnails, "--of", third, "--with", second, "--share", "0.5")
        listed = [
            *(fit(name, run, "--seed", seed) for run, (name, seed) in baselines.items()),
            *(export(f"{out / run}", f"{out / run / 'bundle'}") for run in baselines),
            fit("resnet", "resnet-1"),
            fit("resnet-continued", "resnet-2", "--initial", first),
            fit("resnet-continued", "resnet-3", "--initial", second, "--epochs", "18"),
            Step("train.networks.average", averaged),
            export(thumbnails, f"{thumbnails}/bundle"),  # which train.reports.compare looks at
        ]
        compared = [
            Step("train.reports.compare", (*(f"{out / run}" for run in baselines), thumbnails, *data, *report, "--networks"))
        ]
    pictures = sources.options("photos", "street", "shop", "people", "things", "pictures")
    calibrating = sources.options("photos", "street", "shop", "people")
    measured = sources.options("photos", "street", "shop", "people", "things")
    seen = ("--segmentation", segmentation, *pictures, *data)
    finding = ("--segmentation", segmentation, "--orientation", orientation)
    return [
        *listed,
        Step("train.orientation", ("--run", orientation, *data, *moment)),
        Step("train.segmentation", ("--run", segmentation, *sources.options("photos", "street", "shop"), *batches)),
        Step("train.photos", ("--run", first_photos, *seen, *batches)),
        Step("train.photos", ("--run", second_photos, *seen, "--initial", first_photos, *CONTINUED, *batches)),
        Step("train.networks.average", ("--run", photos, "--of", second_photos, "--with", first_photos, "--share", "0.5")),
        export(thumbnails, bundle, *finding, "--photo-run", photos, *calibrating),
        Step("train.reports.thumbnails", (bundle, *data, *report)),
        Step("train.reports.photos", (bundle, *measured, *report)),
        Step("train.reports.outfits", (bundle, *sources.options("street", "people"), *report)),
        Step("train.reports.typicality", (bundle, *sources.options("photos", "shop", "things"), *data, *report)),
        Step("train.reports.explanations", (bundle, *sources.options("photos", "street"), *data, *report, *few)),
        *compared,
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
    parser = command_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs and reports")
    parser.add_argument("--version", required=True, help='of the model, such as "1.2.0"')
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's IDX files")
    add_folders(parser, "photos", "street", required=True)
    add_folders(parser, "shop", "people", "things", "pictures")
    parser.add_argument("--thumbnails", type=Path, help="a bundle whose network for thumbnails to keep")
    parser.add_argument("--smoke", action="store_true", help="train every network for a moment only")
    arguments = parser.parse_args(options)
    given = {field.name: getattr(arguments, field.name) for field in fields(Sources)}
    sources = Sources(**{name: folder.resolve() for name, folder in given.items() if folder})
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    record = out / "steps.json"
    taken = json.loads(record.read_text()) if record.is_file() else {}
    for step in steps(out, arguments.version, sources, smoke=arguments.smoke):
        name, took = " ".join([step.module, *step.arguments]), run(step)
        before = taken.get(name, {"hours": 0.0, "core_hours": 0.0})  # a step that is found finished adds a moment
        taken[name] = {part: value + before[part] for part, value in asdict(took).items()}
        record.write_text(json.dumps(taken, indent=1) + "\n")
    print(f"{out / 'bundle'}: {sum(one['core_hours'] for one in taken.values()):.2f} core-hours")


if __name__ == "__main__":
    main()
