"""What a network says of training images that it was not trained on, for all 60,000 of them.

    python -m train.reports.cross_validation resnet --out runs/cross --epochs 3

Trains one network for each fold, with its own seed, on the images of the other folds; the same command continues a run that
was interrupted. OUT/answers.npz holds `logits` (60000, 10) and `labels` (60000,), the training images first and the validation
images after them, as `train.pictures.fashion_mnist` divides them.

OUT/summary.json says how right the networks are on the training and on the validation images, each asked of the network that
never saw it, how right each of them is on the test images, which is the spread over seeds, and how many labels cleanlab doubts
(Northcutt, Jiang, Chuang 2021, arXiv 1911.00068); OUT/doubted.png shows those that it doubts most.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashion_classifier import LABELS
from train.commands import add_data, command_parser
from train.networks.recipes import RECIPES, Recipe
from train.networks.runs import load_network
from train.pictures.fashion_mnist import FashionMNIST, Pictures, load_fashion_mnist
from train.reports.contact_sheet import contact_sheet

FOLDS = 3
SHOWN = 60  # of the doubted labels


def cross_validate(recipe: Recipe, data: FashionMNIST, out: Path) -> dict[str, Any]:
    """Train on all folds but one, ask about that one, and sum up."""
    from cleanlab.filter import find_label_issues  # here: all of these take seconds to load
    from scipy.special import softmax
    from sklearn.model_selection import StratifiedKFold

    from train.networks.thumbnail_training import as_input, fit

    everything = Pictures.joined([data.training, data.validation])
    labels = everything.targets.argmax(axis=1)
    logits, tested = np.zeros(everything.targets.shape, np.float32), []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(everything.images, labels)
    for number, (others, fold) in enumerate(folds):
        run, kept_out = out / f"fold-{number}", everything.take(fold)
        part = dataclasses.replace(data, training=everything.take(others), validation=kept_out)
        fit(dataclasses.replace(recipe, seed=number), part, run)
        network = load_network(run)
        logits[fold] = network.predict(as_input(kept_out.images), batch_size=500, verbose=0)
        answers = network.predict(as_input(data.test.images), batch_size=500, verbose=0).argmax(axis=1)
        tested.append(float(np.mean(answers == data.test.targets.argmax(axis=1))))
    np.savez_compressed(out / "answers.npz", logits=logits, labels=labels)

    right = logits.argmax(axis=1) == labels
    doubted = find_label_issues(labels, softmax(logits, axis=1), return_indices_ranked_by="self_confidence", n_jobs=1)
    sheet = [
        (Image.fromarray(~everything.images[i]).resize((112, 112)), f"{LABELS[labels[i]]}\n{LABELS[logits[i].argmax()]}")
        for i in doubted[:SHOWN]
    ]
    contact_sheet("The labels that are doubted most, and what the network says instead", sheet).save(out / "doubted.png")
    validation = np.arange(len(labels)) >= len(data.training)
    return {
        "accuracy on the training images": float(right[~validation].mean()),
        "accuracy on the validation images": float(right[validation].mean()),
        "accuracy on the test images": tested,
        "doubted labels": len(doubted),
        "doubted labels of validation images": int(validation[doubted].sum()),
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("recipe", choices=[name for name, recipe in RECIPES.items() if recipe.easy_share == 1])
    parser.add_argument("--out", type=Path, required=True)
    add_data(parser)
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.recipe]
    recipe = dataclasses.replace(recipe, epochs=arguments.epochs or recipe.epochs)
    summary = cross_validate(recipe, load_fashion_mnist(arguments.data), arguments.out)
    (arguments.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
