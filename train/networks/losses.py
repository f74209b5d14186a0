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


class OpenSetCrossEntropy(keras.losses.Loss):
    """Cross-entropy over ten classes and an eleventh outcome, none of them, whose logit is always 0; with label smoothing.

    p_k = exp(l_k) / (1 + sum_j exp(l_j)), and 1 / (1 + sum_j exp(l_j)) for none. So the log of the sum of the exponentials of
    the logits, the energy score by which pictures are refused (Liu et al. 2020, arXiv 2010.03759, equation 4), is trained to be
    the log of the odds that a picture shows one of the ten at all. For a target set S, none where it is empty, and smoothing s:
    -(1 - s) log sum_{k in S} p_k - s mean over the eleven of log p_k.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "open_set_cross_entropy") -> None:
        super().__init__(name=name)
        self.label_smoothing = label_smoothing

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        logits, members = ops.cast(y_pred, "float32"), ops.cast(y_true, "float32")
        none = ops.zeros_like(logits[:, :1])
        log_probabilities = ops.log_softmax(ops.concatenate([logits, none], axis=-1), axis=-1)
        members = ops.concatenate([members, 1.0 - ops.max(members, axis=-1, keepdims=True)], axis=-1)
        # outside the set a large negative number stands for log 0
        inside = -ops.logsumexp(log_probabilities + (1.0 - members) * -1e4, axis=-1)
        return (1.0 - self.label_smoothing) * inside - self.label_smoothing * ops.mean(log_probabilities, axis=-1)
