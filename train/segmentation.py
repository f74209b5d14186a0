"""Train the network that finds the garment that is meant in a photo, and write it for LiteRT.

    python -m train.segmentation --run runs/segmentation --photos PHOTOS --street STREET [--shop SHOP]

The same command continues a run that was interrupted. The run folder gets segmentation.tflite, which `train.photos` and
`train.export` take.

A garment is meant by a point on it (a peak in the fourth channel), or by the frame: who means one garment of several
crops to it. Where a whole person is in view and nothing else is said, it is what is worn outermost above the waist; in other
views the largest, most central garment (area weighted by a Gaussian on the view's centre). The network learns it from the
true masks of the street photos, from GrabCut's masks of the phone photos, where GrabCut did well, and from a shop's bags and
shoes on white; all of them also cut out and put on other surfaces. A second map marks all garments in view.
"""

import dataclasses
from pathlib import Path

from fashion_classifier.bundle import SEGMENTATION_MODEL
from train.commands import add_folders, command_parser, load_keras, told
from train.networks.recipes import SegmentationRecipe
from train.networks.runs import is_finished, typed_command


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    add_folders(parser, "photos", "street", required=True)
    add_folders(parser, "shop")
    parser.add_argument("--epochs", type=int, default=SegmentationRecipe.epochs, help="to train")
    parser.add_argument("--batches", type=int, default=SegmentationRecipe.batches, help="to an epoch")
    parser.add_argument("--seed", type=int, default=SegmentationRecipe.seed, help="of all that is random")
    arguments = parser.parse_args(options)
    recipe = SegmentationRecipe(epochs=arguments.epochs, batches=arguments.batches, seed=arguments.seed)
    if is_finished(arguments.run, dataclasses.asdict(recipe), SEGMENTATION_MODEL):
        return
    with told(parser):
        load_keras()
        from train.networks.segmentation_training import fit, pictures_of

        pictures = pictures_of(arguments.photos, arguments.street, arguments.shop, recipe)
        fit(recipe, *pictures, arguments.run, command=typed_command("train.segmentation", parser, arguments))


if __name__ == "__main__":
    main()
