"""Why a network answers as it does, by asking it about pictures of which parts are blurred.

After RISE (Petsiuk, Das, Saenko 2018, arXiv 1806.07421): a place matters as far as answers to pictures in which it is sharp
differ from the others. What blurring takes away there tells more of where in a cell that is than a few hundred answers could:
like a gradient times its input, the map is the one times the other.

Random masks say little of single places. So about a photo most looks follow the two curves by which the same paper measures a
map, insertion and deletion: they put the cells of a grid in one by one, and take them out, in the map's own order. What a cell
adds and takes there is its weight in the map, whose order the next, finer curves follow.
"""

import cv2
import numpy as np
import numpy.typing as npt
from numpy.random import default_rng

from fashion_classifier.blurring import Blurring, Float32Array
from fashion_classifier.confidence import Float64Array

CELLS = 8  # across what is seen, each sharp or blurred by chance
SMALLEST_CELL = 4  # px: in a thumbnail there are seven across
SEED = 0
SAME = 1e-6  # standard deviation of the answers, below which all are the same

GRIDS = (5, 5, 8)  # cells across what is seen, put in and taken out one by one: so many in turn
FEWEST_MASKS = 40  # before the curves: fewer give no order that is worth following
SMALLEST_STEP = 8  # px: where cells are smaller, as in thumbnails, random masks are as good
SOFTNESS = 1 / 64  # standard deviation of the smoothing between cells, of the side of what is seen
EVERYWHERE = 0.1  # of the greatest weight, added to all


def perturbation_map(blurring: Blurring, target: int, against: int | None, looks: int) -> Float32Array:
    """(side, side): what speaks for a name is positive, and what speaks for another one, if one is given, negative.

    Args:
        blurring: The picture.
        target: The name's place among the labels.
        against: That of the name it is compared with; None for all others, and a map without negative values.
        looks: How often a network is asked. About a photo, what is left beyond the fewest masks is spent along the curves,
            each pair as a whole: 52 of at least 92, 104 of 144, 234 of 274.
    """

    def score(answers: Float64Array) -> Float64Array:
        scores: Float64Array = answers[:, target] if against is None else np.log(answers[:, target] / answers[:, against])
        return scores

    grids = _affordable(looks, blurring.side)
    kept = random_masks(looks - sum(map(_along, grids)), blurring.side)
    importance = _importance(kept, score(blurring.answers(kept)))
    if against is None:
        importance -= importance.min()  # the least of many uncertain differences is as good as none
    heat = importance * blurring.prominence
    for across in grids:
        kept, cells = curves(heat, across)
        heat *= _weights(heat, cells, score(blurring.answers(kept, in_a_row=len(kept) // 2)))
    return heat


def _along(across: int) -> int:
    """How many looks the two curves of a grid of so many cells across take, with their starts."""
    return 2 * (across**2 + 1)


def _affordable(looks: int, side: int) -> list[int]:
    """The first grids whose curves leave enough masks, and whose cells are not too small."""
    grids: list[int] = []
    for across in GRIDS:
        if looks - sum(map(_along, [*grids, across])) < FEWEST_MASKS or side < across * SMALLEST_STEP:
            break
        grids.append(across)
    return grids


def curves(heat: Float32Array, across: int) -> tuple[Float32Array, npt.NDArray[np.intp]]:
    """A map (side, side) -> the masks (n, side, side) that put its cells in, then those that take them out, and the cells.

    The cells, (side, side), so many across, are numbered in their order, from 0: what is farthest from zero on average is
    first. Each half of the masks begins with the one before the first cell.
    """
    rows = np.arange(len(heat)) * across // len(heat)
    grid = rows[:, np.newaxis] * across + rows
    cells = np.argsort(np.argsort(-np.abs(_means(heat, grid)), kind="stable"))[grid]
    inserted = (cells < np.arange(across**2 + 1)[:, np.newaxis, np.newaxis]).astype(np.float32)
    return np.concatenate([inserted, 1 - inserted]), cells


def _weights(heat: Float32Array, cells: npt.NDArray[np.intp], scores: Float64Array) -> Float32Array:
    """(side, side), above 0: how far each cell moved (n,) scores along both curves to where the map points there."""
    inserted, deleted = np.split(scores, 2)
    moved = np.diff(inserted) - np.diff(deleted)
    moved = np.where(_means(heat, cells) < 0, -moved, moved)
    spread = (moved - moved.min())[cells]
    weights: Float32Array = cv2.GaussianBlur(spread, (0, 0), SOFTNESS * len(heat)).astype(np.float32)
    return weights / np.float32(max(weights.max(), SAME)) + np.float32(EVERYWHERE)


def _means(heat: Float32Array, cells: npt.NDArray[np.intp]) -> Float64Array:
    """Of a map in each of its numbered cells."""
    means: Float64Array = np.bincount(cells.ravel(), heat.ravel()) / np.bincount(cells.ravel())
    return means


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
