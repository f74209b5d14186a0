"""A Keras file of any age -> the same network in today's Keras.

Keras 3 reads what Keras 3 wrote. From 2017 on Keras 2, alone and inside TensorFlow, wrote layers that were renamed, arguments
that are no more, and left out some that came later: `updated` brings a stored configuration up to date, and what changed when
is told here and nowhere else. Building the layers and reading their weights stays Keras's own work.

Nothing stored is executed: whatever is no layer, operation or function of Keras itself is refused before Keras is loaded.
"""

import hashlib
import inspect
import io
import json
import re
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

Config = dict[str, Any]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"  # of a .keras file
LAYERS = "_layer_checkpoint_dependencies"  # what TensorFlow 2.12 to 2.14 called the group of a model's layers
HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"  # how files start
OPTIMIZER = re.compile(r"/(?!model_weights/)(.*/)?optimizer/")  # its state in a .keras file; a layer may have that name in .h5
SAVE = 'model.save("model.keras")'

MODELS = ("Sequential", "Functional", "Model")  # Model is what Keras called Functional before TensorFlow 2.2
CODE = ("Lambda", "__lambda__", "LambdaLayer")
OWN = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins")  # modules of Keras

# What changed between Keras 2 and Keras 3, by layer ("*": any) and argument.
RENAMED_LAYERS = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}
RENAMED_ARGUMENTS = {
    ("LeakyReLU", "alpha"): "negative_slope",
    ("ThresholdedReLU", "theta"): "threshold",
    ("InputLayer", "batch_input_shape"): "batch_shape",
}
RENAMED_FUNCTIONS = {  # tf.nn's, by the names that Python knows them by
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "relu_v2": "relu",
    "leaky_relu_v2": "leaky_relu",
    "gelu_v2": "gelu",
    "swish": "silu",
}
ADDED_ARGUMENTS = {("GRU", "reset_after"): False}  # what Keras did before it had a choice
RETIRED_ARGUMENTS: dict[str, tuple[Any, ...]] = {  # with the values that mean what Keras does without, as None does; () for any
    "batch_input_shape": (),  # an input layer says it
    "build_input_shape": (),
    "dtype": (),  # of initializers, and of layers without variables
    "dynamic": (False,),
    "expects_training_arg": (),
    "fused": (),
    "groups": (1,),
    "implementation": (),
    "input_dim": (),
    "input_dtype": (),
    "input_length": (),
    "key_shape": (),
    "num_constants": (0,),
    "query_shape": (),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (),
    "renorm_momentum": (),
    "rng_type": (),
    "softmax_robust_masking": (False,),
    "sparse": (False,),
    "time_major": (False,),
    "trainable": (),  # nothing is trained here
    "value_shape": (),
}
TRAINING = ("_initializer", "_regularizer", "_constraint")  # separable convolutions had those of their base class as well
POLICIES = ("Policy", "PolicyV1", "DTypePolicy", "FloatDTypePolicy")
FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16", "float32")
RETIRED_LAYERS = ("CuDNNGRU", "CuDNNLSTM", "DenseFeatures", "LocallyConnected1D", "LocallyConnected2D")
# TensorFlow's functions on tensors, which TensorFlow 2.4 to 2.15 stored as TFOpLambda, as Keras 3's operations: module, class,
# and what the arguments that are no tensors are called there
OPERATIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    "__operators__.add": ("numpy", "Add", {}),
    "add": ("numpy", "Add", {}),
    "cast": ("core", "Cast", {"dtype": "dtype"}),
    "concat": ("numpy", "Concatenate", {"axis": "axis"}),
    "divide": ("numpy", "Divide", {}),
    "expand_dims": ("numpy", "ExpandDims", {"axis": "axis"}),
    "math.add": ("numpy", "Add", {}),
    "math.divide": ("numpy", "Divide", {}),
    "math.log_softmax": ("nn", "LogSoftmax", {"axis": "axis"}),
    "math.multiply": ("numpy", "Multiply", {}),
    "math.reduce_max": ("numpy", "Max", {"axis": "axis", "keepdims": "keepdims"}),
    "math.reduce_mean": ("numpy", "Mean", {"axis": "axis", "keepdims": "keepdims"}),
    "math.sigmoid": ("nn", "Sigmoid", {}),
    "math.softmax": ("nn", "Softmax", {"axis": "axis"}),
    "math.subtract": ("numpy", "Subtract", {}),
    "math.tanh": ("numpy", "Tanh", {}),
    "math.truediv": ("numpy", "TrueDivide", {}),
    "multiply": ("numpy", "Multiply", {}),
    "nn.elu": ("nn", "Elu", {}),
    "nn.gelu": ("nn", "Gelu", {"approximate": "approximate"}),
    "nn.leaky_relu": ("nn", "LeakyRelu", {"alpha": "negative_slope"}),
    "nn.log_softmax": ("nn", "LogSoftmax", {"axis": "axis"}),
    "nn.relu": ("nn", "Relu", {}),
    "nn.relu6": ("nn", "Relu6", {}),
    "nn.selu": ("nn", "Selu", {}),
    "nn.sigmoid": ("nn", "Sigmoid", {}),
    "nn.silu": ("nn", "Silu", {}),
    "nn.softmax": ("nn", "Softmax", {"axis": "axis"}),
    "reshape": ("numpy", "Reshape", {"shape": "newshape"}),
    "squeeze": ("numpy", "Squeeze", {"axis": "axis"}),
    "subtract": ("numpy", "Subtract", {}),
    "tanh": ("numpy", "Tanh", {}),
    "transpose": ("numpy", "Transpose", {"perm": "axes"}),
    "truediv": ("numpy", "TrueDivide", {}),
}
# TensorFlow 2.0 to 2.3 stored its nodes instead, as TensorFlowOpLayer: the function, and the names of its arguments in order
NODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Add": ("math.add", ("x", "y")),
    "AddV2": ("math.add", ("x", "y")),
    "ExpandDims": ("expand_dims", ("input", "axis")),
    "LogSoftmax": ("nn.log_softmax", ("x",)),
    "Max": ("math.reduce_max", ("x", "axis")),
    "Mean": ("math.reduce_mean", ("x", "axis")),
    "Mul": ("math.multiply", ("x", "y")),
    "RealDiv": ("math.truediv", ("x", "y")),
    "Relu": ("nn.relu", ("x",)),
    "Reshape": ("reshape", ("x", "shape")),
    "Sigmoid": ("nn.sigmoid", ("x",)),
    "Softmax": ("nn.softmax", ("x",)),
    "Sub": ("math.subtract", ("x", "y")),
    "Tanh": ("math.tanh", ("x",)),
    "Transpose": ("transpose", ("x", "perm")),
}
HARD = 1.2  # hard_sigmoid was clip(0.2 x + 0.5, 0, 1); since Keras 3 it is clip(x / 6 + 0.5, 0, 1)


class UnusableFileError(ValueError):
    """A file cannot be adopted; the message is one sentence on what it is, and one on what to do."""


@dataclass(frozen=True)
class KerasFile:
    """What a Keras file holds, checked to be Keras's own alone, and not yet built.

    Attributes:
        path: The file.
        keras_version: Of the Keras that wrote it, such as "2.1.6", "2.2.4-tf" or "3.15.1".
        config: The configuration as it is stored.
        weights: Digests of all stored arrays of floats, but for scalars.
    """

    path: Path
    keras_version: str
    config: Config
    weights: frozenset[str]

    @property
    def old(self) -> bool:
        """Whether a Keras before Keras 3 wrote it."""
        return int(self.keras_version.partition(".")[0]) < 3


def read(path: Path) -> KerasFile:
    """Read a .keras or .h5 file, whatever its name ends in; nothing is built, and Keras is not loaded.

    Raises:
        UnusableFileError: It is missing, damaged, no Keras file, holds weights alone, or code.
    """
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            raise UnusableFileError(
                f"{path} is a SavedModel folder, which holds no layers. Where it was made, save the model as one file: {SAVE}."
            )
        raise UnusableFileError(f"{path} is a folder. Give the .keras or .h5 file that {SAVE} wrote; runs go to train.export.")
    if not path.is_file():
        raise UnusableFileError(f"{path} does not exist. Give the .keras or .h5 file that {SAVE} wrote.")
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    try:
        if start == HDF5:
            with h5py.File(path) as stored:
                return _read_hdf5(path, stored)
        if start.startswith(ZIP):
            with zipfile.ZipFile(path) as archive:
                return _read_archive(path, archive)
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnusableFileError(f"{path} is damaged ({reason}). Copy or save it again.") from error
    if start.lstrip()[:1] == b"{":
        raise UnusableFileError(f"{path} is text, at most a network without weights. Save the model whole: {SAVE}.")
    raise UnusableFileError(f"{path} is no Keras file: it starts with {start!r}. Give the file that {SAVE} wrote.")


def _read_hdf5(path: Path, stored: h5py.File) -> KerasFile:
    config = stored.attrs.get("model_config")
    if config is None:
        if "layer_names" in stored.attrs or {"layers", "_layer_checkpoint_dependencies", "vars"} & set(stored):
            raise UnusableFileError(
                f"{path} holds weights alone, without the network that they belong to. "
                f"Build the network, call load_weights on it and save it whole: {SAVE}."
            )
        raise UnusableFileError(f"{path} is an HDF5 file, but none of Keras. Give the file that {SAVE} wrote.")
    version = stored.attrs.get("keras_version", stored["model_weights"].attrs.get("keras_version", "2.0.0"))
    return _checked(path, _text(version), json.loads(_text(config)), _digests(path, stored["model_weights"]))


def _read_archive(path: Path, archive: zipfile.ZipFile) -> KerasFile:
    if not {CONFIG, METADATA} <= set(archive.namelist()):
        raise UnusableFileError(f"{path} is a ZIP file, but none of Keras. Give the file that {SAVE} wrote.")
    with archive.open(WEIGHTS) as file, h5py.File(file) as weights:
        digests = _digests(path, weights)
    version = json.loads(archive.read(METADATA)).get("keras_version", "2.12.0")
    return _checked(path, version, json.loads(archive.read(CONFIG)), digests)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _digests(path: Path, group: h5py.Group) -> frozenset[str]:
    """Of what a network holds, not of the state of its optimizer, nor of those of models inside it."""
    found: list[str] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not OPTIMIZER.match(item.name):
            if item.external or item.is_virtual:
                raise UnusableFileError(f"{path} takes weights from other files ({name}). Save the model whole: {SAVE}.")
            found.extend(_digest(item[()]))

    group.visititems(visit)
    return frozenset(found)


def _digest(array: npt.NDArray[Any]) -> Iterator[str]:
    """Of an array of floats; scalars and integers count and draw, they weigh nothing."""
    if np.ndim(array) and array.dtype.kind not in "iub":
        single = np.ascontiguousarray(array, np.float32)
        yield f"{single.shape}{hashlib.sha256(single.tobytes()).hexdigest()}"


def _checked(path: Path, version: str, config: Config, weights: frozenset[str]) -> KerasFile:
    _refuse_code(path, config)
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        raise UnusableFileError(
            f"{path} holds the class {config.get('class_name')!r} of somebody's own code, and nothing stored is executed. "
            f"Build it as a Sequential or functional model, take over the weights with set_weights and save it: {SAVE}."
        )
    return KerasFile(path, version, config, weights)


def _refuse_code(path: Path, config: Any) -> None:
    """Refuse whatever is not of Keras itself, wherever it stands."""
    if isinstance(config, list):
        for item in config:
            _refuse_code(path, item)
    if not isinstance(config, dict):
        return
    name, module, registered = (config.get(key) for key in ("class_name", "module", "registered_name"))
    if name in CODE:
        raise UnusableFileError(
            f"{path} holds a {'Lambda layer' if name == 'Lambda' else 'lambda'}, and code that is stored is not executed. "
            f"Build the network with a layer of Keras in its place, such as Rescaling(1 / 255) for x / 255, "
            f"take over the weights with set_weights and save it: {SAVE}."
        )
    foreign = isinstance(module, str) and not any(module == own or module.startswith(f"{own}.") for own in OWN)
    if name is not None and (foreign or (isinstance(registered, str) and ">" in registered)):
        raise UnusableFileError(
            f"{path} holds {name!r} of {module or registered}, which is not of Keras itself, and nothing else is executed. "
            f"Build the network with layers of Keras alone, take over the weights with set_weights and save it: {SAVE}."
        )
    for key, value in config.items():
        if key != "compile_config":  # never read
            _refuse_code(path, value)


def load(file: KerasFile) -> "keras.Model":
    """The network, in float32, every stored weight in its place.

    Raises:
        UnusableFileError: Today's Keras has no such layer or argument, or weights are missing or left over.
    """
    import keras  # takes seconds

    config = updated(file)
    with readable(file) as path:
        try:
            network = keras.saving.deserialize_keras_object(config, safe_mode=True)
            network.load_weights(path)
        except Exception as error:  # Keras raises many kinds
            reason = str(error).strip().splitlines()[-1][:200] if str(error) else type(error).__name__
            raise UnusableFileError(
                f"{file.path}, of Keras {file.keras_version}, cannot be read by Keras {keras.__version__}: {reason}"
            ) from error
    finalize(network)
    found = {digest for variable in network.variables for digest in _digest(np.asarray(variable))}
    if found != file.weights:
        raise UnusableFileError(
            f"{file.path}: of the stored weights {len(file.weights - found)} were left over, and of the network's "
            f"{len(found - file.weights)} were not stored. Save it again with its own Keras, {file.keras_version}: {SAVE}."
        )
    if file.old:
        for layer in network._flatten_layers(include_self=False):
            _keep_hard_sigmoid(layer)
    return network


@contextmanager
def readable(file: KerasFile) -> Iterator[Path]:
    """The file under a name by which Keras knows its kind, with its layers where TensorFlow 2.15 and Keras 3 look for them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"stored{'.keras' if zipfile.is_zipfile(file.path) else '.h5'}"
        if path.suffix == ".keras" and file.old:
            _renumber(file.path, path)
        else:
            path.symlink_to(file.path.resolve())
        yield path


def _renumber(stored: Path, copy: Path) -> None:
    """Copy a .keras file of Keras 2, its layers numbered one by one in their order.

    TensorFlow 2.12 to 2.14 kept them under LAYERS, and counted most layers with weights twice: dense, dense_2, dense_4.
    """

    def number(name: str) -> tuple[str, int]:
        kind, _, count = name.rpartition("_")
        return (kind, int(count)) if kind and count.isdecimal() else (name, 0)

    def visit(group: h5py.Group) -> None:
        seen: Counter[str] = Counter()
        for kind, count in sorted(map(number, group)) if group.name.endswith(f"/{LAYERS}") else ():
            old, new = (f"{kind}_{n}" if n else kind for n in (count, seen[kind]))
            if old != new:
                group.move(old, new)
            seen[kind] += 1
        for child in list(group):
            if isinstance(group[child], h5py.Group):
                visit(group[child])
                if child == LAYERS:
                    group.move(child, "layers")

    with zipfile.ZipFile(stored) as archive, zipfile.ZipFile(copy, "w") as mended:
        for name in archive.namelist():
            content = archive.read(name)
            if name == WEIGHTS:
                weights = io.BytesIO(content)
                with h5py.File(weights, "r+") as opened:
                    visit(opened)
                content = weights.getvalue()
            mended.writestr(name, content)


def finalize(network: Any) -> None:
    """Have the adapted layers of a network use what they adapted to; Keras forgets it of those in models inside."""
    for layer in network._flatten_layers(include_self=False):
        if hasattr(layer, "finalize_state") and layer.variables:
            layer.finalize_state()


def _keep_hard_sigmoid(layer: "keras.layers.Layer") -> None:
    """Have today's hard_sigmoid compute what Keras 2's did, by scaling what goes into it."""
    import keras

    hard = keras.activations.hard_sigmoid
    if getattr(layer, "recurrent_activation", None) is hard:
        gates = {"LSTMCell": (1, 1, 0, 1), "ConvLSTMCell": (1, 1, 0, 1), "GRUCell": (1, 1, 0)}
        pattern = gates.get(type(layer).__name__)
        if pattern is not None:  # the cells hold the weights
            factors = np.where(pattern, HARD, 1).astype(np.float32)
            layer.set_weights(
                [weights * np.repeat(factors, weights.shape[-1] // len(pattern)) for weights in layer.get_weights()]
            )
    if getattr(layer, "activation", None) is hard and type(layer) is not keras.layers.Activation:
        if layer.get_weights() and isinstance(layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D):
            layer.set_weights([HARD * weights for weights in layer.get_weights()])
        else:
            raise UnusableFileError(f"{type(layer).__name__} with Keras 2's hard_sigmoid is not what it was in Keras 3.")


def updated(file: KerasFile) -> Config:
    """The configuration as today's Keras would write it, of float32 throughout.

    Raises:
        UnusableFileError: Something that Keras 3 has no more, or never had.
    """
    return _Update(file).model(file.config)


@dataclass(frozen=True)
class _Update:
    """What brings the configuration of one file up to date, kind by kind."""

    file: KerasFile

    def model(self, entry: Config) -> Config:
        """A Sequential or functional model."""
        config = entry["config"]
        if entry["class_name"] == "Sequential":
            listed = isinstance(config, list)  # until Keras 2.2.2
            layers = config if listed else config["layers"]
            kept = {} if listed else {key: config[key] for key in ("name", "build_input_shape") if config.get(key)}
            return self._entry("keras", "Sequential", {"name": "sequential"} | kept | {"layers": self._chain(layers)}, entry)
        graph = self._graph(config) if self.file.old else config
        layers = [self.layer(layer) | {key: layer[key] for key in ("name", "inbound_nodes")} for layer in graph["layers"]]
        content = {key: graph[key] for key in ("name", "input_layers", "output_layers")} | {"layers": layers}
        return self._entry("keras.src.models.functional", "Functional", content, entry)

    def _chain(self, layers: list[Config]) -> list[Config]:
        """The layers of a Sequential model, an input layer first where any of them says what it takes."""
        found = [self.layer(layer) for layer in layers]
        taken = _batch_shape(layers[0])
        if found and found[0]["class_name"] != "InputLayer" and taken is not None:
            found.insert(0, self._entry("keras.layers", "InputLayer", {"batch_shape": taken, "dtype": "float32"}, {}))
        return found

    def layer(self, entry: Config) -> Config:
        name: str = entry["class_name"]
        if name in MODELS:
            return self.model(entry)
        import keras

        module = entry.get("module") or self._home(entry)
        if module.startswith("keras.src.ops."):
            self._known(sys.modules.get(module), name, entry)
            return entry | {"module": module, "registered_name": name}
        name = RENAMED_LAYERS.get(name, name)
        cls = self._known(keras.layers, name, entry)
        config = self._arguments(cls, entry["class_name"], entry["config"])
        if self.file.old and config.get("activation") == "hard_sigmoid" and name == "Activation":
            inner = [
                self._entry("keras.layers", "Rescaling", {"scale": HARD, "offset": 0.0}, {}),
                self._entry("keras.layers", "Activation", {"activation": "hard_sigmoid"}, {}),
            ]
            return self._entry("keras", "Sequential", {"name": config["name"], "layers": inner}, {})
        return self._entry("keras.layers", name, config, entry)

    def _entry(self, module: str, name: str, config: Config, stored: Config) -> Config:
        built = {"build_config": stored["build_config"]} if not self.file.old and stored.get("build_config") else {}
        return {"module": module, "class_name": name, "config": config, "registered_name": None} | built

    def _home(self, entry: Config) -> str:
        """The module of an operation, which Keras 3 leaves out of .h5 files; "" for a layer: these have a dtype."""
        if self.file.old or "dtype" in entry["config"]:
            return ""
        names = [f"keras.src.ops.{module}" for module in ("numpy", "nn", "math", "core", "linalg", "image")]
        return next((name for name in names if hasattr(sys.modules.get(name), entry["class_name"])), "")

    def _known(self, module: Any, name: str, entry: Config) -> type:
        import keras

        cls = getattr(module, name, None)
        if isinstance(cls, type) and issubclass(cls, keras.Operation):
            return cls
        unknown = "has no more" if name in RETIRED_LAYERS else "does not know"
        raise UnusableFileError(
            f"{self.file.path} holds a layer {name!r}, which Keras {keras.__version__} {unknown}. "
            f"Build the network with other layers of Keras, train it again or take over the weights, and save it: {SAVE}."
        )

    def _arguments(self, cls: type, name: str, stored: Config) -> Config:
        """A layer's arguments by today's names, without those that are no more."""
        accepted, result = _accepted(cls), {}
        added = {
            argument: value for (layer, argument), value in ADDED_ARGUMENTS.items() if layer == cls.__name__ and self.file.old
        }
        for argument, value in (added | stored).items():
            argument = RENAMED_ARGUMENTS.get((name, argument), argument)
            if argument in accepted or not self.file.old:
                result[argument] = self._value(argument, value)
            elif value is not None and not _meaningless(argument, value):
                raise UnusableFileError(
                    f"{self.file.path}: layer {stored.get('name')!r}, {name}, has {argument}={value!r}, "
                    f"which today's Keras does not know. Build it without, take over the weights and save it: {SAVE}."
                )
        if name.startswith("BatchNormalization") and isinstance(result.get("axis"), list):
            (result["axis"],) = result["axis"]
        return result

    def _value(self, argument: str, value: Any) -> Any:
        """An argument's value: most stay as they are."""
        if argument == "dtype":
            policy = value["config"].get("name") if isinstance(value, dict) and value["class_name"] in POLICIES else value
            return "float32" if policy in FLOATS else value
        if argument == "cells":
            return [self.layer(cell) for cell in value]
        if isinstance(value, str) and argument.endswith("activation"):
            return RENAMED_FUNCTIONS.get(value, value)
        if not isinstance(value, dict) or "class_name" not in value:
            return value
        if value["class_name"] == "function":
            return RENAMED_FUNCTIONS.get(value["config"], value["config"])
        if argument in ("layer", "backward_layer", "forward_layer", "cell"):
            return self.layer(value)
        import keras

        for ending in ("initializer", "regularizer", "constraint"):
            if argument.endswith(ending):
                kind = getattr(keras, f"{ending}s")
                cls = getattr(kind, value["class_name"], None)
                if isinstance(cls, type):
                    config = self._arguments(cls, value["class_name"], value["config"])
                    return self._entry(f"keras.{ending}s", value["class_name"], config, {})
                return None if ending != "initializer" else "zeros"  # they matter in training alone
        return value

    def _graph(self, config: Config) -> Config:
        """A functional model of Keras 2, its calls written as Keras 3 writes them."""
        inner = {layer["name"]: layer["class_name"] for layer in config["layers"] if layer["class_name"] in MODELS}
        references = [
            *_references([layer["inbound_nodes"] for layer in config["layers"]]),
            *_references(config["output_layers"]),
        ]
        # Keras 2 counted the making of a model as its first call
        first = {name: min((node for known, node, _ in references if known == name), default=0) for name in inner}

        def counted(reference: list[Any], start: int = 0) -> list[Any]:
            name, node, index = reference[:3]
            return [name, node - first.get(name, 0) + start, index]

        def tensor(reference: list[Any]) -> Config:
            config = {"shape": [None], "dtype": "float32", "keras_history": counted(reference)}
            return {"class_name": "__keras_tensor__", "config": config}

        def argument(value: Any) -> Any:
            if isinstance(value, list) and value and value[0] == "_CONSTANT_VALUE":
                return value[2]
            return tensor(value) if _is_reference(value) else value

        layers = []
        for layer in config["layers"]:
            nodes = []
            for node in layer["inbound_nodes"]:
                calls = [node] if isinstance(node[0], str) else node
                tensors = [argument(call[:3]) for call in calls]
                options = {key: argument(value) for call in calls if len(call) > 3 for key, value in call[3].items()}
                nodes.append((tensors, {key: value for key, value in options.items() if value is not None}))
            layers.append(self._called(layer, nodes))

        def output(reference: list[Any]) -> list[Any]:
            return counted(reference, 0 if inner.get(reference[0], "Sequential") == "Sequential" else 1)  # still counted here

        return {
            "name": config.get("name", "model"),
            "layers": layers,
            "input_layers": config["input_layers"],
            "output_layers": [output(reference) for reference in _listed(config["output_layers"])],
        }

    def _called(self, layer: Config, nodes: list[tuple[list[Any], Config]]) -> Config:
        if layer["class_name"] not in ("TFOpLambda", "TensorFlowOpLayer"):
            known = [
                {
                    "args": [tensors[0] if len(tensors) == 1 else tensors],
                    "kwargs": {key: value for key, value in options.items() if key not in ("training", "mask")},
                }
                for tensors, options in nodes
            ]
            return layer | {"inbound_nodes": known}
        config = layer["config"]
        if len(nodes) != 1:
            raise UnusableFileError(f"{self.file.path} calls {config['name']} {len(nodes)} times, which is not taken over.")
        ((tensors, options),) = nodes
        function = config.get("function", "").removeprefix("compat.v1.")
        if layer["class_name"] == "TensorFlowOpLayer":
            function, names = NODES.get(config["node_def"]["op"], (config["node_def"]["op"], ()))
            constants, given = config["constants"], iter(tensors)
            values = [constants[str(i)] if str(i) in constants else next(given, None) for i in range(len(names))]
            renamed = OPERATIONS[function][2] if names else {}
            tensors = [value for name, value in zip(names, values, strict=True) if name not in renamed]
            options = {name: value for name, value in zip(names, values, strict=True) if name in renamed}
            options |= {"keepdims": True} if config["node_def"]["attr"].get("keep_dims", {}).get("b") else {}
        if function not in OPERATIONS:
            raise UnusableFileError(
                f"{self.file.path} calls TensorFlow's {function}, which is not taken over. "
                f"Build the network with a layer of Keras in its place, take over the weights and save it: {SAVE}."
            )
        module, name, renamed = OPERATIONS[function]
        further = [value for key, value in options.items() if key not in renamed and key != "name"]
        arguments = [tensors] if function == "concat" else [*tensors, *further]
        return {
            "module": f"keras.src.ops.{module}",
            "class_name": name,
            "config": {"name": layer["name"]} | {renamed[key]: value for key, value in options.items() if key in renamed},
            "registered_name": name,
            "name": layer["name"],
            "inbound_nodes": [{"args": arguments, "kwargs": {}}],
        }


def _batch_shape(layer: Config) -> Any:
    """What a layer that stands first in a model takes, as far as it says so."""
    config = layer["config"]
    if layer["class_name"] in MODELS:
        inner = config if isinstance(config, list) else config["layers"]
        return _batch_shape(inner[0]) if inner else None
    return config.get("batch_input_shape") or config.get("batch_shape")


def _meaningless(argument: str, value: Any) -> bool:
    """Whether an argument that is no more said what Keras does without it, or something that matters in training alone."""
    if argument.endswith(TRAINING):
        return True
    return argument in RETIRED_ARGUMENTS and (not RETIRED_ARGUMENTS[argument] or value in RETIRED_ARGUMENTS[argument])


def _is_reference(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int)


def _listed(references: Any) -> list[Any]:
    return [references] if _is_reference(references) else list(references)


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """All references to what a layer gave, in the calls of a functional model."""
    if _is_reference(value):
        yield value[0], value[1], value[2]
        value = value[3:]
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _references(item)


@cache
def _accepted(cls: type) -> frozenset[str]:
    """The names of all arguments that a class of Keras takes."""
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters  # type: ignore[misc]
            names |= set(parameters)
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return frozenset(names - {"self", "args", "kwargs"})
