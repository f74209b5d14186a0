"""The comparison's figures as plots for every screen: HTML and SVG, from what the report measured."""

import html
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from fashion_classifier import LABELS

Network = Mapping[str, Any]
"""One of comparison.json's networks."""

NAMES = {"ann": "the dense network", "cnn": "the convolutional network", "resnet": "our residual network"}
SHORT = {"ann": "Dense", "cnn": "Convolutional", "resnet": "Ours"}
WIDTH = 320  # of a plot, in units that are pixels on a phone
CELL, LEFT, TOP, SLANT = 24, 62, 54, 26  # of a confusion matrix: a cell's side, and what the names take
MOST_INK = 0.45  # opacity, of the cell with the most errors: the number in it can still be read
NOTED = 5  # errors from which on a cell has its number
WORST_PAIRS = 6
HEIGHT, MARGIN = 200, 34  # of the curves


def accuracies(networks: Sequence[Network]) -> str:
    """How often each network is right, as bars from 80% to 100%, with the interval."""
    rows = []
    for network in networks:
        measured = network["evaluation"]
        low, high = measured["interval"]
        rows.append(
            f'<li><span>{_short(network)}</span><span class="bar"><span style="width:{(measured["accuracy"] - 0.8) / 0.2:.1%}">'
            f'</span></span><span class="share">{measured["accuracy"]:.1%}</span>'
            f'<span class="note">95% interval {low:.1%} to {high:.1%}; {network["parameters"]:,} weights</span></li>'
        )
    return f'<ol class="bars">{"".join(rows)}</ol><p class="quiet">The bars begin at 80%.</p>'


def confusions(networks: Sequence[Network]) -> str:
    """The pairs of classes that the first network confuses most, and how often each network does, as bars."""
    errors = [_errors_between(network["evaluation"]["confusion"]) for network in networks]
    worst = sorted(errors[0], key=lambda pair: -errors[0][pair])[:WORST_PAIRS]
    most = max((found[pair] for found in errors for pair in worst), default=1)
    groups = []
    for a, b in worst:
        rows = "".join(
            f'<li><span>{_short(network)}</span><span class="bar"><span style="width:{found[a, b] / max(most, 1):.1%}">'
            f'</span></span><span class="share">{found[a, b]:,}</span></li>'
            for network, found in zip(networks, errors, strict=True)
        )
        groups.append(f'<div><h4>{LABELS[a]} and {LABELS[b]}</h4><ol class="bars">{rows}</ol></div>')
    return f'<div class="plots">{"".join(groups)}</div>'


def matrix(network: Network) -> str:
    """A confusion matrix: a row for each true name, a column for each answer, the errors inked, as SVG."""
    confusion = network["evaluation"]["confusion"]
    most = max(n for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j)
    cells = []
    for i, row in enumerate(confusion):
        for j, n in enumerate(row):
            if n:
                cells.append(_cell(i, j, n, sum(row), n / max(most, 1)))
    names = "".join(
        f'<text x="{LEFT - 6}" y="{TOP + (i + 0.65) * CELL:.1f}" text-anchor="end">{label}</text>'
        f'<text transform="translate({LEFT + (i + 0.65) * CELL:.1f} {TOP - 6}) rotate(-55)">{label}</text>'
        for i, label in enumerate(LABELS)
    )
    size = f"{LEFT + 10 * CELL + SLANT} {TOP + 10 * CELL}"
    return f'<svg viewBox="0 0 {size}" role="img" aria-label="{_matrix_in_words(network)}">{names}{"".join(cells)}</svg>'


def curves(networks: Sequence[Network]) -> str:
    """Accuracy on the validation images after each epoch, one line for each network that has a history, as SVG."""
    lines = [
        (network, [row["val_fashion_mnist_accuracy"] for row in network["history"]])
        for network in networks
        if network["history"]
    ]
    if not lines:
        return ""
    low = min(value for _, values in lines for value in values)
    bottom = int(low * 50) / 50  # the next 2% below
    epochs = max(2, *(len(values) for _, values in lines))
    right, height = WIDTH - 8, HEIGHT - MARGIN

    def point(epoch: int, value: float) -> tuple[float, float]:
        return MARGIN + epoch / (epochs - 1) * (right - MARGIN), 8 + (1 - value) / (1 - bottom) * (height - 8)

    drawn = []
    for tick in range(round(bottom * 50), 51):
        _, y = point(0, tick / 50)
        drawn.append(f'<line class="grid" x1="{MARGIN}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if tick % 2 == 0:
            drawn.append(f'<text x="{MARGIN - 4}" y="{y + 4:.1f}" text-anchor="end">{tick * 2}%</text>')
    drawn += [
        f'<text x="{point(epoch - 1, 1)[0]:.1f}" y="{height + 14}" text-anchor="middle">{epoch}</text>'
        for epoch in (1, *range(5, epochs + 1, 5))
    ]
    drawn.append(f'<text x="{(MARGIN + right) / 2}" y="{HEIGHT - 4}" text-anchor="middle">epoch</text>')
    for number, (network, values) in enumerate(lines):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (point(*pair) for pair in enumerate(values)))
        x, y = point(len(values) - 1, values[-1])
        drawn.append(f'<polyline class="line-{number}" points="{path}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="end">{_short(network)} {values[-1]:.1%}</text>')
    told = "; ".join(f"{_short(network)} {values[0]:.1%} to {values[-1]:.1%}" for network, values in lines)
    label = f"Accuracy on the validation images from the first to the last epoch: {told}"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def pairs(report: Mapping[str, Any]) -> list[str]:
    """What the test images say of every two networks, in a sentence each; none is called better that may be luck."""
    sentences = []
    for pair in report["pairs"]:
        one, other = (html.escape(NAMES.get(name, name)) for name in pair["networks"])
        chance = "p&nbsp;&lt;&nbsp;0.0001" if pair["p"] < 0.0001 else f"p&nbsp;=&nbsp;{pair['p']:.4f}"
        more = one if pair["first"] > pair["second"] else other
        meant = f"{more} is the more often right" if pair["differ"] else "which is the more often right, these do not tell"
        sentences.append(
            f"{_capital(one)} is right and {other} wrong on {pair['first']:,} images, the other way round on "
            f"{pair['second']:,}: {meant} ({chance})."
        )
    return sentences


def name(network: Network) -> str:
    """What a network is called on the page, within a sentence."""
    return html.escape(NAMES.get(str(network["name"]), str(network["name"])))


def title(network: Network) -> str:
    """What a network is called on the page, by itself."""
    return _capital(name(network).removeprefix("the "))


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _short(network: Network) -> str:
    return html.escape(SHORT.get(str(network["name"]), str(network["name"])))


def _errors_between(confusion: Sequence[Sequence[int]]) -> dict[tuple[int, int], int]:
    return {(i, j): confusion[i][j] + confusion[j][i] for i, j in combinations(range(len(LABELS)), 2)}


def _cell(row: int, column: int, n: int, of: int, share: float) -> str:
    """A cell with its number; share is that of the cell with the most errors."""
    right = row == column
    x, y = LEFT + column * CELL, TOP + row * CELL
    fill = 'class="right"' if right else f'class="wrong" fill-opacity="{MOST_INK * share**0.5:.2f}"'
    number = f'<text x="{x + CELL / 2}" y="{y + 16}" text-anchor="middle">{n}</text>' if right or n >= NOTED else ""
    told = f"{LABELS[row]} named {LABELS[column]}: {n:,} of {of:,}"
    return f'<g><title>{told}</title><rect {fill} x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}"/>{number}</g>'


def _matrix_in_words(network: Network) -> str:
    confusion = network["evaluation"]["confusion"]
    errors = {(i, j): n for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j}
    i, j = max(errors, key=lambda pair: errors[pair])
    recall = {label: confusion[k][k] / max(sum(confusion[k]), 1) for k, label in enumerate(LABELS)}
    best, worst = max(recall, key=lambda label: recall[label]), min(recall, key=lambda label: recall[label])
    return (
        f"Confusion matrix, {name(network)}: named right are {recall[best]:.1%} of the class {best} and {recall[worst]:.1%} of "
        f"{worst}; the most frequent error is {LABELS[i]} named {LABELS[j]}, {errors[i, j]:,} times"
    )
