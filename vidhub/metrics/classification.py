"""Metrics of classification. All are fractions in [0, 1]; scores are (samples, classes), the larger the likelier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, topk: Sequence[int] = (1, 5)) -> list[float]:
    """How often the true class is among the k likeliest, for every k.

    Args:
        labels: (samples,) class indices.

    Raises:
        InputError: wrong shapes, no samples, or a label that is no class.

    >>> top_k_accuracy(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([0, 1]), topk=(1, 2))
    [0.5, 1.0]
    """
    scores, labels = _checked(scores, labels)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : max(topk)]
    hits = best == labels[:, None]
    return [float(hits[:, :k].any(axis=1).mean()) for k in topk]


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy of each class, averaged over the classes that occur in labels or predictions.

    A class that is only predicted counts as 0, as in the published figures of MMAction2.

    >>> mean_class_accuracy(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1]))
    0.75
    """
    scores, labels = _checked(scores, labels)
    matrix = confusion_matrix(scores.argmax(axis=1), labels)
    return float(np.mean(np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)))


def top_k_classes(scores: np.ndarray, labels: np.ndarray, k: int = 10, *, best: bool = True) -> list[tuple[int, float]]:
    """The k classes with the best (or worst) top-1 accuracy: [(class, accuracy), ...], the extreme first.

    Classes that occur in neither labels nor predictions are left out, one that is only predicted has accuracy 0. Of
    equal ones the lower index comes first.

    >>> top_k_classes(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1]), 1)
    [(0, 1.0)]
    """
    scores, labels = _checked(scores, labels)
    predicted = scores.argmax(axis=1)
    classes = np.union1d(labels, predicted)
    ratios = np.diag(confusion_matrix(predicted, labels, normalize="true"))
    order = np.argsort(-ratios if best else ratios, kind="stable")[:k]
    return [(int(classes[i]), float(ratios[i])) for i in order]


def confusion_matrix(
    predicted: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int | None = None,
    normalize: Literal["true", "pred", "all"] | None = None,
) -> np.ndarray:
    """How often each true class (row) was taken for each class (column).

    Args:
        predicted, labels: (samples,) class indices.
        num_classes: None: only the classes that occur in either, in order.
        normalize: divide by the sums of rows, of columns, or by all; None: int64 counts. Empty ones give 0.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    predicted, labels = _whole(predicted), _whole(labels)
    if predicted.shape != labels.shape or predicted.ndim != 1 or not predicted.size:
        raise InputError(f"expected as many predictions as labels, not {predicted.shape} and {labels.shape}.")
    if num_classes is None:
        classes, pairs = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
        labels, predicted, num_classes = pairs[: len(labels)], pairs[len(labels) :], len(classes)
    elif min(labels.min(), predicted.min()) < 0 or max(labels.max(), predicted.max()) >= num_classes:
        raise InputError(f"labels and predictions must be from 0 to {num_classes - 1}.")
    counts = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    matrix = counts.reshape(num_classes, num_classes)
    if normalize is None:
        return matrix
    if normalize not in ("true", "pred", "all"):
        raise InputError(f"normalize must be 'true', 'pred', 'all' or None, not {normalize!r}.")
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    return matrix / np.maximum(matrix.sum(axis=axis, keepdims=True), 1)


def precision_recall_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and the thresholds that give them, ascending, from the highest with full recall.

    A sample is found where its score is at least the threshold; equal scores are one threshold. Precision and recall
    have one more value at the end: 1 and 0, found by no threshold.

    Args:
        scores: (samples,).
        positive: (samples,) zeros and ones.

    >>> precision_recall_curve(np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]))
    (array([0.66666667, 0.5       , 1.        , 1.        ]), array([1. , 0.5, 0.5, 0. ]), array([0.1, 0.8, 0.9]))
    """
    scores, positive = rankable(scores), np.asarray(positive)
    if scores.shape != positive.shape or scores.ndim != 1 or not scores.size:
        raise InputError(f"expected as many scores as labels, not {scores.shape} and {positive.shape}.")
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order] > 0
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of each run of equal scores
    found = np.cumsum(positive)[last]
    precision = found / (last + 1)
    recall = found / max(found[-1], 1)
    stop = int(np.argmax(found == found[-1])) + 1
    return (
        np.append(precision[:stop][::-1], 1.0),
        np.append(recall[:stop][::-1], 0.0),
        scores[last][:stop][::-1],
    )


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """The area under the precision-recall curve by steps, not interpolated; NaN without a positive sample.

    >>> round(average_precision(np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1])), 4)
    0.8333
    """
    if not np.any(np.asarray(positive) > 0):
        return float("nan")
    precision, recall, _ = precision_recall_curve(scores, positive)
    return float(-np.sum(np.diff(recall) * precision[:-1]))


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """:func:`average_precision` of each class, averaged over the classes that have a positive sample.

    Args:
        targets: (samples, classes) zeros and ones; samples where a class is NaN do not count for it.

    Raises:
        InputError: wrong shapes, or no positive sample at all.
    """
    scores, targets = _checked_pair(scores, targets)
    known = ~np.isnan(targets)
    values = [average_precision(s[k], t[k]) for s, t, k in zip(scores.T, targets.T, known.T, strict=True)]
    if np.isnan(values).all():
        raise InputError("no class has a positive sample, so there is no average precision.")
    return float(np.nanmean(values))


def mmit_mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """:func:`average_precision` of each sample over its classes, averaged (Multi-Moments in Time, arXiv:1911.00232)."""
    scores, targets = _checked_pair(scores, targets)
    return mean_average_precision(scores.T, targets.T)


def hvu_mean_average_precision(scores: np.ndarray, targets: np.ndarray, categories: dict[str, int]) -> dict[str, float]:
    """:func:`mean_average_precision` of each category over the videos annotated for it: {"action_mAP": ...}.

    Args:
        targets: (samples, tags of all categories) zeros and ones, NaN where the category is not annotated.
        categories: number of tags in each, in the order of the columns. One without any annotation is left out.
    """
    scores, targets = _checked_pair(scores, targets)
    if sum(categories.values()) != targets.shape[1]:
        raise InputError(f"the categories have {sum(categories.values())} tags, the targets {targets.shape[1]}.")
    found, first = {}, 0
    for name, size in categories.items():
        part = slice(first, first := first + size)
        if np.nanmax(targets[:, part], initial=0) > 0:
            found[f"{name}_mAP"] = mean_average_precision(scores[:, part], targets[:, part])
    return found


def fuse_scores(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The weighted sum of several networks' scores of the same samples.

    >>> fuse_scores([np.array([1.0, 2.0]), np.array([4.0, 0.0])], [1, 0.5])
    array([3., 2.])
    """
    if len(scores) != len(weights) or len({np.shape(s) for s in scores}) != 1:
        raise InputError("scores to fuse must have the same shape, and one weight each.")
    return sum(weight * rankable(part) for part, weight in zip(scores, weights, strict=True))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Probabilities from logits."""
    x = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return x / x.sum(axis=axis, keepdims=True)


def rankable(scores: ArrayLike) -> np.ndarray:
    """Scores as float64, of which every one can be ranked, and negated.

    Raises:
        InputError: some are NaN.
    """
    scores = np.asarray(scores, np.float64)
    if np.isnan(scores).any():
        raise InputError("some scores are NaN, so that they cannot be ranked: look at what made them.")
    return scores


def _whole(labels: ArrayLike) -> np.ndarray:
    """Class indices as int64: products of narrower ones overflow."""
    labels = np.asarray(labels)
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.int64)
    if (whole != labels).any():
        raise InputError(f"labels must be whole numbers, not {labels[whole != labels][0]}.")
    return whole


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = rankable(scores), _whole(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not labels.size:
        raise InputError(f"expected scores (samples, classes) and a label each, not {scores.shape} and {labels.shape}.")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise InputError(f"labels must be from 0 to {scores.shape[1] - 1}, not {labels.min()} to {labels.max()}.")
    return scores, labels


def _checked_pair(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, targets = rankable(scores), np.asarray(targets, dtype=np.float64)
    if scores.ndim != 2 or targets.shape != scores.shape or not scores.size:
        raise InputError(f"expected scores and targets (samples, classes), not {scores.shape} and {targets.shape}.")
    return scores, targets
