"""Average the weights of a finished run with those of another run, or a bundle, of the same network.

    python -m train.networks.average --run runs/resnet --of runs/third --with runs/second --share 0.5

The run is one of train.thumbnails or train.photos. A network fine-tuned and the one that it started from, averaged, keep what
either knows (Wortsman et al. 2022, arXiv 2109.01903, equation 1). The folder that is written is a finished run like any other:
an average can be averaged again.
"""

import json
import shutil
from pathlib import Path

from fashion_classifier.manifest import ExpertName
from train.commands import command_parser
from train.networks.lineage import descent
from train.networks.recipes import PhotoRecipe
from train.networks.runs import CONFIG, HISTORY, WEIGHTS, load_config, load_weights, typed_command, versions


def average(run: Path, of: Path, other: Path, share: float, *, command: str = "") -> None:
    """Write the run folder `run`: weights (1 - share) * of + share * other, normalization statistics as well.

    The recipe is that of `of`, without epochs, as is history.csv; what both networks were is in config.json.

    Args:
        run: The folder to write.
        of: A finished run of `train.thumbnails`, `train.photos` or of this.
        other: Another one, or a bundle, of the same architecture.
        share: Of the weights of `other`, in (0, 1).
        command: What was typed, for the record.

    Raises:
        ValueError: The share is none, or `run` holds something else already.
        FileNotFoundError: A folder holds no weights.
    """
    if not 0 < share < 1:
        raise ValueError(f"The share must be above 0 and below 1, received {share}.")
    from train.networks import photo_training  # here: they load Keras
    from train.networks.architectures import ARCHITECTURES

    recipe = load_config(of)["recipe"]
    expert: ExpertName = "photo" if recipe["architecture"] == PhotoRecipe.architecture else "thumbnail"
    network = photo_training.network() if expert == "photo" else ARCHITECTURES[recipe["architecture"]]()
    config = {
        "recipe": recipe | {"epochs": 0},
        "data": {},
        "command": command,
        "versions": versions(),
    } | descent([(of, 1 - share), (other, share)], expert)
    if (run / CONFIG).is_file():
        if load_config(run).get("parents") != config["parents"]:
            raise ValueError(f"{run} holds another run; choose another folder.")
        print(f"{run} is finished already.")
        return
    load_weights(network, other, expert)
    others = network.get_weights()
    load_weights(network, of, expert)
    pairs = zip(network.get_weights(), others, strict=True)
    network.set_weights([(1 - share) * one + share * another for one, another in pairs])
    run.mkdir(parents=True, exist_ok=True)
    network.save_weights(run / WEIGHTS)
    shutil.copy(of / HISTORY, run)
    (run / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder to write")
    parser.add_argument("--of", type=Path, required=True, help="a finished run")
    parser.add_argument("--with", type=Path, required=True, help="another one, or a bundle, of the same network")
    parser.add_argument("--share", type=float, required=True, help="of the weights of --with, above 0 and below 1")
    arguments = parser.parse_args(options)
    other = vars(arguments)["with"]  # a keyword is no attribute
    command = typed_command("train.networks.average", parser, arguments)
    average(arguments.run, arguments.of, other, arguments.share, command=command)


if __name__ == "__main__":
    main()
