"""The networks: (n, 28, 28, 1) float32 in [0, 1] in, ten logits out. Functional Keras 3, no backend's own layers."""

from collections.abc import Callable

import keras
from keras import layers

from fashion_classifier.labels import LABELS
from fashion_classifier.preprocessing import SIZE

LOGITS = "logits"


def ann() -> keras.Model:
    """The dense baseline: flatten, one hidden ReLU layer."""
    inputs = keras.Input((SIZE, SIZE, 1))
    x = layers.Flatten()(inputs)
    x = layers.Dense(128, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(len(LABELS), name=LOGITS)(x), name="ann")


def cnn() -> keras.Model:
    """The classic: two convolutions with ReLU and max pooling, dropout, a dense layer."""
    inputs = keras.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(32, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, activation="relu", name="features")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(len(LABELS), name=LOGITS)(x), name="cnn")


def resnet() -> keras.Model:
    """A nine-layer residual network after DAWNBench's ResNet-9, three poolings deep, 1.94 M parameters."""
    inputs = keras.Input((SIZE, SIZE, 1))
    x = _convolution(_convolution(inputs, 32), 64)
    x = layers.MaxPooling2D()(x)
    x = _convolution(_residual(x, 64), 128)
    x = layers.MaxPooling2D()(x)
    x = _convolution(_residual(x, 128), 256, name="features")
    x = layers.MaxPooling2D()(x)
    x = _residual(x, 256)
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dropout(0.2)(x)
    # float32 even under mixed precision: a softmax over bfloat16 logits loses digits
    return keras.Model(inputs, layers.Dense(len(LABELS), name=LOGITS, dtype="float32")(x), name="resnet")


def _convolution(x: keras.KerasTensor, filters: int, name: str | None = None) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU(name=name)(x)


def _residual(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    return layers.Add()([x, _convolution(_convolution(x, filters), filters)])


ARCHITECTURES: dict[str, Callable[[], keras.Model]] = {"ann": ann, "cnn": cnn, "resnet": resnet}
FEATURES = "features"  # the layer whose maps Grad-CAM weighs, where a network has one
