"""Make a bundle from a 28x28 Keras file that someone already has, whichever Keras wrote it.

    python -m train.adopt old_model.h5 bundles/old --version 0.1.0 --data FASHION_MNIST

How the network is fed and what it gives is found out on Fashion-MNIST's validation images, shown in one line, and can be said
with --input and --output. What becomes of it must name these images as Keras does with the file itself. Nothing that a file
holds is executed. Needs Keras on TensorFlow; files of Keras 2 are compared where tf_keras is installed.
"""

from pathlib import Path

from train.commands import add_data, command_parser, quiet
from train.networks.encodings import INPUTS, OUTPUTS
from train.networks.keras_files import UnusableFileError, read

WEAK = 0.5  # accuracy below which it is said that a network is a poor one


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("model", type=Path, help="a .keras or .h5 file that model.save wrote")
    parser.add_argument("out", type=Path, help="folder of the bundle")
    parser.add_argument("--version", required=True, help='of the model, such as "0.1.0"')
    add_data(parser)
    parser.add_argument("--input", choices=INPUTS, help="how the network is fed pixels (default: as it answers best)")
    parser.add_argument("--output", choices=OUTPUTS, help="what it gives (default: as its outputs look)")
    arguments = parser.parse_args(options)
    try:
        read(arguments.model)  # so that most of what cannot be adopted is told at once
        print(f"Adopting {arguments.model}; this takes a minute or two.", flush=True)
        with quiet():
            from train.networks.adoption import adopt
            from train.networks.exporting import export
            from train.networks.runs import versions
            from train.pictures.fashion_mnist import load_fashion_mnist

            data = load_fashion_mnist(arguments.data)
            adopted = adopt(arguments.model, data.validation, fed=arguments.input, output=arguments.output)
            training = {"source": arguments.model.name, "adopted": str(adopted), "versions": versions()}
            bundle = export(adopted.network, arguments.out, version=arguments.version, data=data, training=training)
    except UnusableFileError as error:
        parser.exit(1, f"{error}\n")
    except Exception as error:  # noqa: BLE001 - Keras and LiteRT raise many kinds
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        parser.exit(1, f"No bundle was made of {arguments.model}: {reason}\n")
    print(adopted)
    if adopted.accuracy < WEAK:
        print("That is few: it is published as it is, and a longer training would help.")
    measured = bundle.manifest.metrics["fashion-mnist test"]
    print(
        f"{arguments.out} is its bundle, {measured['accuracy']:.2%} right on {measured['n']:,} test images. See it in the page:"
    )
    print(f"FASHION_CLASSIFIER_MODEL={arguments.out} python app.py")


if __name__ == "__main__":
    main()
