"""What training minimises."""

import keras
from keras import ops


class SetCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits against a set of acceptable classes, with label smoothing.

    For a target set S and smoothing s: -(1 - s) log sum_{k in S} p_k - s mean_k log p_k. With one class in S this is the
    usual categorical cross-entropy. For an empty S (a picture of none of the ten) s is 1: the network is asked to be
    undecided, as in Outlier Exposure (Hendrycks, Mazeika, Dietterich 2019, arXiv 1812.04606, section 4.2).
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "set_cross_entropy") -> None:
        super().__init__(name=name)
        self.label_smoothing = label_smoothing

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        log_probabilities = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        members = ops.cast(y_true, "float32")
        some = ops.cast(ops.any(members > 0, axis=-1), "float32")
        # outside the set a large negative number stands for log 0; with an empty set the term is multiplied by 0
        inside = -ops.logsumexp(log_probabilities + (1.0 - members) * -1e4, axis=-1)
        undecided = -ops.mean(log_probabilities, axis=-1)
        smoothing = some * self.label_smoothing + (1.0 - some)
        return (1.0 - smoothing) * inside + smoothing * undecided
