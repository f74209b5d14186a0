"""How the networks for thumbnails are trained."""

import dataclasses
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a run, but for the data."""

    architecture: str
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "sgd"]  # sgd: Nesterov 0.9, one cycle
    learning_rate: float  # the peak, where a schedule is used
    weight_decay: float = 0.0  # decoupled: w -= learning rate * weight decay * w
    label_smoothing: float = 0.0
    augmentation: bool = False
    outliers: int = 0  # pictures without a garment, of each kind that is trained on
    easy_share: float = 1.0  # of the pictures that the initial network finds easy, so many are seen an epoch
    precision: str = "float32"
    seed: int = 0


RESNET = Recipe(
    "resnet",
    epochs=16,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=2e-3,
    label_smoothing=0.05,
    augmentation=True,
)
RECIPES: dict[str, Recipe] = {
    "ann": Recipe("ann", epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3),
    "cnn": Recipe("cnn", epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3),
    "resnet": RESNET,
    "resnet-continued": dataclasses.replace(RESNET, epochs=40, learning_rate=0.06, outliers=400, easy_share=0.3),
}
