"""Why a network answers as it does, by asking it about pictures of which random parts are blurred.

After RISE (Petsiuk, Das, Saenko 2018, arXiv 1806.07421): a place matters as far as answers to pictures in which it is sharp
differ from the others. What blurring takes away there tells more of where in a cell that is than a few hundred answers could:
like a gradient times its input, the map is the one times the other.
"""

import cv2
import numpy as np
from numpy.random import default_rng

from fashion_classifier.blurring import Blurring, Float32Array
from fashion_classifier.confidence import Float64Array

CELLS = 8  # across what is seen, each sharp or blurred by chance
SMALLEST_CELL = 4  # px: in a thumbnail there are seven across
SEED = 0
SAME = 1e-6  # standard deviation of the answers, below which all are the same


def perturbation_map(blurring: Blurring, target: int, against: int | None, looks: int) -> Float32Array:
    """(side, side): what speaks for a name is positive, and what speaks for another one, if one is given, negative.

    Args:
        blurring: The picture.
        target: The name's place among the labels.
        against: That of the name it is compared with; None for all others, and a map without negative values.
        looks: How often a network is asked.
    """
    kept = random_masks(looks, blurring.side)
    answers = blurring.answers(kept)
    if against is None:
        importance = _importance(kept, answers[:, target])
        importance -= importance.min()  # the least of many uncertain differences is as good as none
    else:
        importance = _importance(kept, np.log(answers[:, target] / answers[:, against]))
    return importance * blurring.prominence


def random_masks(n: int, side: int) -> Float32Array:
    """(n, side, side) in [0, 1]: grids of cells that are 0 or 1 by chance, shifted by chance, smooth in between."""
    rng = default_rng(SEED)
    cell = max(SMALLEST_CELL, side // CELLS)
    cells = -(-side // cell) + 1
    masks = np.empty((n, side, side), np.float32)
    for mask in masks:
        grid = rng.integers(0, 2, (cells, cells)).astype(np.float32)
        enlarged = cv2.resize(grid, (cells * cell, cells * cell), interpolation=cv2.INTER_LINEAR)
        row, column = rng.integers(0, cell, 2)
        mask[:] = enlarged[row : row + side, column : column + side]
    return masks


def _importance(kept: Float32Array, answers: Float64Array) -> Float32Array:
    """The covariance of (n,) answers with how sharp each place was, (side, side); zero where all answers are the same."""
    if answers.std() < SAME:
        return np.zeros_like(kept[0])
    deviations = (answers - answers.mean()).astype(np.float32)
    return (np.tensordot(deviations, kept, 1) / len(kept)).astype(np.float32)
