"""A network of somebody else's, from a Keras file, as one of ours.

What it takes and gives is found out on validation images, and it must name them as Keras names them with the file itself.
"""

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from fashion_classifier.labels import LABELS
from fashion_classifier.preprocessing import SIZE
from train.networks.architectures import FEATURES
from train.networks.encodings import INPUTS, Encoding
from train.networks.keras_files import KerasFile, UnusableFileError, finalize, load, read, readable
from train.pictures.fashion_mnist import Pictures

Float32Array = npt.NDArray[np.float32]
Shape = tuple[int | None, ...]  # of one picture; None for any size
Tensor = Any  # Keras has no types

NEEDED = "28x28 images, as (28, 28), (28, 28, 1), (784,), (28, 28, 3), (1, 28, 28) and the like"
LEAST = 0.25  # accuracy on validation images below which a network is refused, unless it was said how it is fed
DISAGREEMENT = 0.001  # share of validation images that may be named otherwise than by the file
BATCH = 500
SMALLEST = 1e-7  # probability that can be told from none in single precision
# A network that is fed in its own way names more images rightly, and is about as sure as it is right. [0, 1] and [0, 255] often
# differ in the second alone: fed too much it is far too sure, fed too little hardly at all. This is what the logarithm of the
# temperature that it needs costs, and twice that where it is not sure enough, which trained networks seldom are. With the
# rarities it finds the way in which each of 70 networks of known training was fed.
DOUBT = 0.03
UNROLLED = 64  # steps up to which recurrent layers are written out one by one: LiteRT has no loops over them

ENDINGS = ("softmax", "log_softmax", "sigmoid")  # none of them changes which output is the largest
OPERATIONS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}  # layers and operations of their own
PASSED = (layers.Dropout, layers.Flatten, layers.Identity, layers.Reshape)  # may stand behind an ending
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose)


@dataclass(frozen=True)
class Adopted:
    """A network of somebody else's.

    Attributes:
        network: Takes (n, 28, 28, 1) float32 in [0, 1] and gives (n, 10) logits. No model stands inside it, and its last
            convolution, where it has one, is called "features".
        keras_version: Of the Keras that wrote the file.
        shape: Of one picture, as the file takes it.
        input: How the file wants its pixels, a name of `INPUTS`.
        output: What the file gives: "softmax", "log_softmax" or "sigmoid", which was taken off, or one of `OUTPUTS`.
        accuracy: On the validation images.
        compared: Of how many of them Keras itself gave the file's answer; 0 where no Keras here opens it.
    """

    network: keras.Model
    keras_version: str
    shape: Shape
    input: str
    output: str
    accuracy: float
    compared: int

    def __str__(self) -> str:
        compared = f"as the file itself does (n = {self.compared:,})" if self.compared else "not compared with the file itself"
        return (
            f"Keras {self.keras_version}, takes {self.shape} with pixels {self.input}, gives {self.output}: "
            f"{self.accuracy:.2%} of the validation images are named rightly, {compared}."
        )


@dataclass(frozen=True)
class _Trial:
    """What a network says when it is fed in one way.

    Attributes:
        output: What it gives.
        accuracy: Share of right answers.
        cost: How badly its words fit the truth; the less, the likelier it was trained like that.
    """

    output: str
    accuracy: float
    cost: float


def adopt(path: Path, validation: Pictures, *, fed: str | None = None, output: str | None = None) -> Adopted:
    """Rewire the network of a Keras file to take and give what ours do.

    Args:
        path: A .keras or .h5 file whose network takes 28x28 images and gives ten outputs in the order of the labels.
        validation: Images that show how it is fed, and that it still answers as it did.
        fed: How pixels are fed to it, a name of `INPUTS`; None to find it out.
        output: What it gives, one of `OUTPUTS`; None to find it out. A softmax or sigmoid that ends it is seen anyway.

    Raises:
        UnusableFileError: The file cannot be read, its network has another form or does not know Fashion-MNIST, or what it
            became answers otherwise.
    """
    file = read(path)
    stored = load(file)
    shape = _shape(path, stored)
    network = _rewired(stored, before=partial(_as_taken, shape=shape), after=_as_row)
    ending, dropped = _ending(network)
    network = _rewired(network, dropped=dropped)

    pixels = validation.images[..., np.newaxis] / np.float32(255)
    truth = validation.targets.argmax(axis=1)
    names = [fed] if fed else list(INPUTS)
    ways = np.concatenate([_scaled(pixels, INPUTS[name]) for name in names])
    given = np.split(network.predict(ways, batch_size=BATCH, verbose=0), len(names))
    tried = {name: _try(values, truth, ending or output) for name, values in zip(names, given, strict=True)}
    best = min(tried, key=lambda name: tried[name].cost + INPUTS[name].rarity)
    if tried[best].accuracy < LEAST and fed is None:
        shares = ", ".join(f"{name} {trial.accuracy:.0%}" for name, trial in tried.items())
        raise UnusableFileError(
            f"{path} does not know Fashion-MNIST, whichever way it is fed; right answers: {shares}. "
            f"Its outputs must be in the order of Fashion-MNIST's labels; if it was fed in another way, say --input."
        )
    found = tried[best].output
    network = _rewired(network, before=partial(_scaled, encoding=INPUTS[best]), after=_AS_LOGITS.get(found))
    _name_features(network)
    answers = network.predict(pixels, batch_size=BATCH, verbose=0)
    expected = _stored_answers(file, _scaled(pixels, INPUTS[best]))
    if expected is not None:
        _compare(path, answers[: len(expected)], expected)
    accuracy = float(np.mean(answers.argmax(axis=1) == truth))
    return Adopted(network, file.keras_version, shape, best, found, accuracy, 0 if expected is None else len(expected))


def _shape(path: Path, network: keras.Model) -> Shape:
    """Of one picture that a network with one input and ten outputs takes."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise UnusableFileError(
            f"{path} has {len(network.inputs)} inputs and {len(network.outputs)} outputs; needed is one of each."
        )
    taken, given = tuple(network.inputs[0].shape[1:]), tuple(network.outputs[0].shape[1:])
    if np.prod([side or 0 for side in given]) != len(LABELS):
        raise UnusableFileError(f"{path} gives {given}; needed are (10,), one output for each of Fashion-MNIST's labels.")
    sides = sorted(side for side in _filled(taken) if side != 1)
    if sides not in ([SIZE * SIZE], [SIZE, SIZE], [3, SIZE, SIZE], [3, SIZE * SIZE]):
        raise UnusableFileError(f"{path} takes {taken}; needed are {NEEDED}.")
    return taken


def _filled(shape: Shape) -> tuple[int, ...]:
    """A picture's shape with the sides that the file leaves open."""
    return (SIZE * SIZE,) if shape == (None,) else tuple(SIZE if side is None else side for side in shape)


def _as_taken(x: Tensor, shape: Shape) -> Tensor:
    """(n, 28, 28, 1) as a file takes it; its three channels are equal."""
    filled = _filled(shape)
    if filled == (SIZE, SIZE, 1):
        return x
    if 3 not in filled:
        return layers.Reshape(filled)(x)
    plain = layers.Reshape(tuple(1 if side == 3 else side for side in filled))(x)
    return layers.Concatenate(axis=filled.index(3) + 1)([plain, plain, plain])


def _as_row(x: Tensor) -> Tensor:
    return x if len(x.shape) == 2 else layers.Reshape((len(LABELS),))(x)


def _scaled(x: Tensor, encoding: Encoding) -> Tensor:
    """Pixels in [0, 1] as a network wants them."""
    return x if (encoding.scale, encoding.offset) == (1, 0) else layers.Rescaling(encoding.scale, encoding.offset)(x)


def _log(x: Tensor) -> Tensor:
    return ops.log(ops.maximum(x, SMALLEST))


# by what a network gives whose ending could not be taken off
_AS_LOGITS: dict[str, Callable[[Tensor], Tensor]] = {
    "probabilities": _log,
    "sigmoids": lambda x: ops.subtract(_log(x), _log(ops.subtract(1.0, x))),
}


def _rewired(
    network: keras.Model,
    *,
    before: Callable[[Tensor], Tensor] | None = None,
    after: Callable[[Tensor], Tensor] | None = None,
    dropped: Collection[keras.Operation] = (),
) -> keras.Model:
    """The layers of a network and of the models inside it, on (n, 28, 28, 1), as they are read back from a file.

    Args:
        network: Its layers are used up: what comes back is another network.
        before: What to do with the inputs first.
        after: What to do with its output.
        dropped: Of its layers, those to leave out.
    """
    inputs = keras.Input((SIZE, SIZE, 1))
    names, used = {inputs.name}, set()

    def call(operation: keras.Operation, *arguments: Any, **options: Any) -> Tensor:
        if isinstance(operation, keras.Model):
            return through(operation, arguments[0])
        if operation in dropped:
            return arguments[0]
        if operation not in used:
            used.add(operation)
            if operation.name in names:
                operation.name = next(name for i in range(1, len(names) + 1) if (name := f"{operation.name}_{i}") not in names)
            names.add(operation.name)
        return _called(operation, *arguments, **options)

    def through(model: keras.Model, x: Tensor) -> Tensor:
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                x = call(layer, x)
            return x
        (output,) = keras.tree.flatten(model._run_through_graph(x, operation_fn=lambda operation: partial(call, operation)))
        return output

    outputs = through(network, before(inputs) if before else inputs)
    with tempfile.TemporaryDirectory() as folder:
        keras.Model(inputs, after(outputs) if after else outputs).save(Path(folder) / "network.keras")
        return keras.models.load_model(Path(folder) / "network.keras", compile=False, safe_mode=True)


def _called(operation: keras.Operation, x: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """Call a layer such that it stays itself when it is copied with its weights, and as processors and LiteRT know it."""
    if isinstance(operation, layers.Normalization) and operation.input_mean is None:
        mean, variance = (np.asarray(statistic).tolist() for statistic in (operation.adapt_mean, operation.adapt_variance))
        return layers.Normalization(operation.axis, mean, variance, operation.invert, name=operation.name)(x)
    if getattr(operation, "data_format", None) == "channels_first" and len(x.shape) > 3:
        last = type(operation).from_config(operation.get_config() | {"data_format": "channels_last"})
        y = last(layers.Permute((2, 3, 1))(x))
        last.set_weights(operation.get_weights())
        return layers.Permute((3, 1, 2))(y) if len(y.shape) > 3 else y
    parts = (operation.forward_layer, operation.backward_layer) if isinstance(operation, layers.Bidirectional) else (operation,)
    for part in parts:
        if isinstance(part, layers.RNN) and (x.shape[1] or UNROLLED + 1) <= UNROLLED:
            part.unroll = True
    return operation(x, *arguments, **options)


def _ending(network: keras.Model) -> tuple[str | None, list[keras.Operation]]:
    """What ends a network without changing which output is the largest, and the layers to leave out for it.

    An activation that is part of a layer is taken off at once.
    """
    found, dropped = None, []
    operation = _producer(network, network.outputs[0])
    while operation is not None:
        activation = getattr(getattr(operation, "activation", None), "__name__", None)
        name = activation or OPERATIONS.get(type(operation).__name__)
        apart = activation is None or isinstance(operation, layers.Activation)
        if name in ENDINGS:
            found = found or name
            if apart:
                dropped.append(operation)
            else:
                operation.activation = keras.activations.linear
        if not apart or not (name in ENDINGS or name == "linear" or isinstance(operation, PASSED)):
            break
        operation = _producer(network, operation.input)
    return found, dropped


def _producer(network: keras.Model, tensor: Tensor) -> keras.Operation | None:
    """The layer that gives a tensor and is called nowhere else; None for an input."""
    once = [operation for operation in network.operations if len(operation._inbound_nodes) == 1]
    found = [operation for operation in once if operation.output is tensor and not isinstance(operation, layers.InputLayer)]
    return found[0] if found else None


def _try(values: Float32Array, truth: npt.NDArray[np.integer], output: str | None) -> _Trial:
    """Read (n, 10) outputs of a network that was fed in one way."""
    if not np.isfinite(values).all():
        return _Trial(output or "logits", 0.0, np.inf)
    if output is None:
        within = values.min() >= 0 and values.max() <= 1
        sums = np.abs(values.sum(axis=1) - 1).max() < 1e-2
        output = "probabilities" if within and sums else "sigmoids" if within else "logits"
    logits = values.astype(np.float64)
    if output in _AS_LOGITS:
        logits = np.log(np.maximum(logits, SMALLEST))
    if output == "sigmoids":
        logits -= np.log(np.maximum(1 - values, SMALLEST))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

    best = minimize_scalar(loss, bounds=(-8, 8), method="bounded")
    doubt = DOUBT * (best.x if best.x > 0 else -2 * best.x)
    accuracy = float(np.mean(values.argmax(axis=1) == truth))
    return _Trial(output, accuracy, best.fun - accuracy + doubt)


def _name_features(network: keras.Model) -> None:
    """Call the last convolution whose maps are more than one pixel what the layer for heat maps is called."""
    maps = [layer for layer in network.layers if isinstance(layer, CONVOLUTIONS) and max(layer.output.shape[1:3]) > 1]
    if maps:
        for layer in network.operations:
            if layer.name == FEATURES:
                layer.name = f"{FEATURES}_of_the_file"
        maps[-1].name = FEATURES


def _stored_answers(file: KerasFile, fed: Float32Array) -> Float32Array | None:
    """(m, 10): what Keras says with the file itself, of the first m of (n, 28, 28, 1); None where no Keras here opens it."""
    try:
        if file.old:
            import tf_keras  # Keras 2, kept as it was

            with readable(file) as path:
                stored = tf_keras.models.load_model(path, compile=False, safe_mode=True)
        else:
            stored = keras.models.load_model(file.path, compile=False, safe_mode=True)
        finalize(stored)
        batch, *taken = stored.input_shape
        images = np.asarray(_as_taken(fed, tuple(taken)))[: len(fed) // (batch or 1) * (batch or 1)]
        answers: Float32Array = stored.predict(images, batch_size=batch or BATCH, verbose=0).reshape(-1, len(LABELS))
    except Exception:  # noqa: BLE001 - nothing is compared then, and that is said
        return None
    return answers


def _compare(path: Path, answers: Float32Array, expected: Float32Array) -> None:
    """Refuse a network that names images otherwise than its file does; of equal outputs of the file either may be named."""
    named = answers.argmax(axis=1)
    different = np.mean(expected[np.arange(len(named)), named] < expected.max(axis=1))
    if different > DISAGREEMENT:
        raise UnusableFileError(
            f"{path} could not be taken over: {different:.2%} of {len(named):,} validation images are named otherwise than by "
            f"the file itself. Save it with today's Keras, or make it of simpler layers."
        )
