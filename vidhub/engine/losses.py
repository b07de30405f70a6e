"""Losses of classification: logits (B, classes) in, a scalar out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError


def cross_entropy(logits: Tensor, target: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Cross entropy, averaged over the samples; with class weights over the weight of what is true.

    Args:
        target: int64 (B,) classes, or float (B, classes) distributions.
        weight: float (classes,).
        smoothing: share of the target that is spread over all classes.
    """
    if target.ndim == 1 and not smoothing:
        return F.cross_entropy(logits, target, weight)
    target = _smoothed(target, logits, smoothing)
    losses = -target * logits.log_softmax(-1)
    if weight is None:
        return losses.sum() / len(logits)
    return (weight * losses).sum() / (weight * target).sum()


def binary_cross_entropy(
    logits: Tensor, target: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Each class on its own, for several labels: averaged over all samples and classes.

    Args:
        target: float (B, classes) from 0 to 1, or int64 (B,) classes.
        weight: float (classes,), factors.
        smoothing: as in :func:`cross_entropy`.
    """
    return F.binary_cross_entropy_with_logits(logits, _smoothed(target, logits, smoothing), weight)


def class_balanced_weights(samples_per_class: Sequence[int], beta: float = 0.9999) -> Tensor:
    """A weight for each class, inverse to its effective number of samples, on average 1: float32 (classes,).

    (1 - beta) / (1 - beta^n), Cui et al., https://arxiv.org/abs/1901.05555. Classes without a sample get what one has.
    """
    counts = torch.tensor(samples_per_class, dtype=torch.float64).clamp(min=1)
    weights = (1 - beta) / (1 - beta**counts)
    return (weights / weights.sum() * len(weights)).float()


def class_balanced_focal(
    logits: Tensor, target: Tensor, samples_per_class: Sequence[int], *, beta: float = 0.9999, gamma: float = 2.0
) -> Tensor:
    """Focal loss on sigmoids, weighted by :func:`class_balanced_weights`: summed over classes, averaged over samples.

    Args:
        target: int64 (B,) classes.
        samples_per_class: training samples of each class.
        gamma: how much less what is easy counts.
    """
    weights = class_balanced_weights(samples_per_class, beta).to(logits)
    truth = F.one_hot(target, logits.shape[-1]).to(logits)
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    modulator = torch.exp(-gamma * truth * logits - gamma * F.softplus(-logits))
    return (weights[target][:, None] * modulator * losses).sum() / len(logits)


def hvu_loss(
    logits: Tensor,
    target: Tensor,
    categories: dict[str, int],
    *,
    individual: bool = True,
    weights: Sequence[float] | None = None,
    masked: bool = True,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Binary cross entropy of tags by category (HVU, https://arxiv.org/abs/1904.11451).

    Args:
        target: float (B, tags) zeros and ones, NaN in the categories that a video is not annotated for.
        categories: number of tags in each, in the order of the columns.
        individual: the weighted mean of :func:`hvu_category_losses`; False: all tags alike.
        weights: of the categories; None: all equal.
        masked: what is not annotated does not count; False: it counts as absent.
        reduction: mean or sum over the tags of a video; videos are averaged.
    """
    if individual:
        losses, shares = hvu_category_losses(
            logits, target, categories, weights=weights, masked=masked, reduction=reduction
        )
        return sum(shares[name] * loss for name, loss in losses.items())
    losses, known = _tag_losses(logits, target, masked)
    if reduction == "sum":
        return losses.sum(1).mean()
    return (losses.sum(1) / known.sum(1).clamp(min=1)).mean()


def hvu_category_losses(
    logits: Tensor,
    target: Tensor,
    categories: dict[str, int],
    *,
    weights: Sequence[float] | None = None,
    masked: bool = True,
    reduction: Literal["mean", "sum"] = "mean",
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The loss of each category over the videos annotated for it, and the share of each in the total.

    A category that no video of the batch is annotated for has loss and share 0. Arguments as in :func:`hvu_loss`.
    """
    if sum(categories.values()) != logits.shape[1]:
        raise InputError(f"the categories have {sum(categories.values())} tags, the logits {logits.shape[1]}.")
    losses, known = _tag_losses(logits, target, masked)
    wanted = dict(zip(categories, weights or [1.0] * len(categories), strict=True))
    found, first = {}, 0
    for name, size in categories.items():
        part = slice(first, first := first + size)
        per_video = losses[:, part].mean(1) if reduction == "mean" else losses[:, part].sum(1)
        annotated = known[:, part].any(1)
        if not annotated.any():
            wanted[name] = 0.0
        found[name] = per_video.sum() / annotated.sum().clamp(min=1)
    total = sum(wanted.values()) or 1.0
    return found, {name: weight / total for name, weight in wanted.items()}


def _tag_losses(logits: Tensor, target: Tensor, masked: bool) -> tuple[Tensor, Tensor]:
    """(B, tags): the loss of each tag, 0 where it does not count; and whether it counts."""
    known = ~target.isnan() if masked else torch.ones_like(target, dtype=torch.bool)
    losses = F.binary_cross_entropy_with_logits(logits, target.nan_to_num(0.0), reduction="none")
    return losses * known, known


def _smoothed(target: Tensor, logits: Tensor, smoothing: float) -> Tensor:
    """float (B, classes)."""
    classes = logits.shape[-1]
    target = F.one_hot(target, classes).to(logits) if target.ndim == 1 else target.to(logits)
    return (1 - smoothing) * target + smoothing / classes
