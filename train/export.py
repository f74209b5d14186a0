"""Make a bundle from finished runs. A Keras file that someone already has becomes one with `python -m train.adopt`.

    python -m train.export runs/resnet runs/resnet/bundle --version 1.2.0 --segmentation runs/segmentation \
        --photo-run runs/photos --photos PHOTOS

Calibrates on validation data (networks for photos on those of --photos, --street, --shop and --people), serves networks in
int8 where validation pictures are named as well, checks that the Keras and the LiteRT networks agree, and writes what it
measured into the manifest. Without --segmentation or --orientation the bundle gets the embedded bundle's network for it;
without --photo-run the network for thumbnails answers photos alone. Needs Keras on TensorFlow.
"""

from pathlib import Path

from fashion_classifier.bundle import DEFAULT_MODEL, HDF5_MODEL, SEGMENTATION_MODEL
from fashion_classifier.segmentation import Segmenter
from train.commands import add_data, add_folders, command_parser, given_data, quiet, told


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("source", type=Path, help="a finished run folder, or a bundle")
    parser.add_argument("out", type=Path, help="folder of the bundle")
    parser.add_argument("--version", required=True, help='of the model, such as "1.0.0"')
    add_data(parser)
    add_folders(parser, "segmentation", "orientation")
    parser.add_argument(
        "--photo-run", type=Path, action="append", default=[], help="a finished run of train.photos; for each form one"
    )
    add_folders(parser, "photos", "street", "shop", "people")
    parser.add_argument("--h5", action="store_true", help=f"add {HDF5_MODEL}")
    arguments = parser.parse_args(options)
    if bool(arguments.photo_run) != bool(arguments.photos):
        parser.error("--photo-run and --photos go together: networks for photos are calibrated on photos")
    print(f"Exporting {arguments.source}; this takes a minute or two.", flush=True)
    with told(parser), quiet():
        from train.networks.exporting import export, validation_pictures  # here: it loads TensorFlow
        from train.pictures.fashion_mnist import load_fashion_mnist

        segmenter = Segmenter((arguments.segmentation or DEFAULT_MODEL) / SEGMENTATION_MODEL)
        pictures = {}
        if arguments.photos:
            others = {"street": arguments.street, "shop_folder": arguments.shop, "people_folder": arguments.people}
            pictures = validation_pictures(segmenter, photos=arguments.photos, **others)
        bundle = export(
            arguments.source,
            arguments.out,
            version=arguments.version,
            data=load_fashion_mnist(arguments.data),
            segmentation=arguments.segmentation,
            orientation=arguments.orientation,
            photo_runs=arguments.photo_run,
            pictures=pictures,
            hdf5=arguments.h5,
        )
    measured = bundle.manifest.metrics["fashion-mnist test"]
    print(f"{arguments.out} is its bundle, {measured['accuracy']:.2%} right on {measured['n']:,} test images.")
    print("Compare it with the network that the package carries:")
    report = arguments.out.with_name("report")
    print(f"python -m train.reports.compare {DEFAULT_MODEL} {arguments.out} --out {report}{given_data(arguments)}")


if __name__ == "__main__":
    main()
