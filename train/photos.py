"""Train the network that names the garment in a photo, from the view in colour around it and the garment's mask.

    python -m train.photos --run runs/photos --segmentation runs/segmentation --photos PHOTOS --street STREET \\
        [--shop SHOP] [--people PEOPLE] [--things THINGS] [--pictures FOLDER] [--feedback JOURNAL] [--initial runs/first]

--segmentation is a finished run of train.segmentation, or a bundle. The network starts from ImageNet's weights, or with
--initial from those of a finished run or a bundle. The same command continues a run that was interrupted.

Garments come from phone photos, from a shop's products, from people in the street with true masks (PEOPLE: without masks,
named by their upper garment), from Fashion-MNIST, enlarged, dark on white, and from anybody's own folder. Masks are those that
the segmentation finds, as they will be. What is no garment at all, and garments that are none of the ten, train the network to
give them no high answer. Pictures of all sources are cut out, shrunk, dyed and relit alike, so that neither size nor
background nor light gives a class away.
"""

import dataclasses
from pathlib import Path

from fashion_classifier.bundle import SEGMENTATION_MODEL
from train.commands import add_data, add_folders, command_parser, load_keras, told
from train.networks.recipes import PhotoRecipe
from train.networks.runs import is_finished, typed_command


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    add_folders(parser, "segmentation", "photos", "street", required=True)
    add_folders(parser, "shop", "people", "things", "pictures", "feedback")
    add_data(parser)
    parser.add_argument("--initial", type=Path, help="a finished run of this command, or a bundle, whose network to start from")
    parser.add_argument("--epochs", type=int, default=PhotoRecipe.epochs, help="to train")
    parser.add_argument("--batches", type=int, default=PhotoRecipe.batches, help="to an epoch")
    parser.add_argument("--learning-rate", type=float, default=PhotoRecipe.learning_rate, help="its peak")
    parser.add_argument("--seed", type=int, default=PhotoRecipe.seed, help="of all that is random")
    arguments = parser.parse_args(options)
    names = ("epochs", "batches", "learning_rate", "seed")
    recipe = PhotoRecipe(**{name: getattr(arguments, name) for name in names})
    if is_finished(arguments.run, dataclasses.asdict(recipe)):
        return
    with told(parser):
        load_keras()
        from fashion_classifier.segmentation import Segmenter
        from train.networks.lineage import lineage_of_serving
        from train.networks.photo_training import fit, folders_of, garments_of
        from train.pictures.fashion_mnist import load_fashion_mnist

        segmenter = Segmenter(arguments.segmentation / SEGMENTATION_MODEL)
        thumbnails = load_fashion_mnist(arguments.data).training
        garments = garments_of(folders_of(arguments), thumbnails, segmenter, recipe)
        masks = lineage_of_serving(arguments.segmentation, SEGMENTATION_MODEL).key
        command = typed_command("train.photos", parser, arguments)
        fit(recipe, garments, arguments.run, initial=arguments.initial, masks=masks, command=command)


if __name__ == "__main__":
    main()
