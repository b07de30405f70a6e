"""Losses and targets of action detection: boxes of persons, labels (N, classes) of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou


def box_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    multilabel: bool = True,
    background: bool = True,
    alpha: float = 1.0,
    gamma: float = 0.0,
    share_labels: bool = True,
) -> Tensor:
    """Mean loss of the boxes that have a label at all; 0 if none has.

    Args:
        logits, labels: (N, classes).
        multilabel: each class on its own; False: cross entropy, labels sharing a box equally.
        share_labels: False: without ``multilabel`` each label of a box counts in full, as in MMAction2 where there is
            no background.
        background: whether the first class is none; it is left out of the loss.
        alpha, gamma: focal loss: each value v becomes ``alpha * (1 - exp(-v)) ** gamma * v``.
    """
    logits, labels = _labelled(logits, labels.to(logits), background)
    if not len(logits):
        return logits.sum()
    if multilabel:
        values = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    else:
        labels = labels / labels.sum(1, keepdim=True) if share_labels else labels
        values = F.cross_entropy(logits, labels, reduction="none")
    if gamma or alpha != 1:
        values = alpha * (1 - torch.exp(-values)) ** gamma * values
    return values.mean()


def box_recall_precision(
    logits: Tensor,
    labels: Tensor,
    *,
    multilabel: bool = True,
    background: bool = True,
    topk: Sequence[int] = (3, 5),
) -> dict[str, float]:
    """Recall and precision of each labelled box, averaged: of classes above 0.5, and of the ``topk`` likeliest.

    With one class a box, "thr=0.5" is the likeliest class.
    """
    logits, labels = _labelled(logits, labels.to(logits), background)
    chosen = {"thr=0.5": logits.sigmoid() > 0.5 if multilabel else _likeliest(logits, 1)}
    chosen |= {f"top{k}": _likeliest(logits, k) for k in topk}
    scores = {}
    for name, picked in chosen.items():
        right = (picked & (labels > 0)).sum(1)
        scores[f"recall@{name}"] = (right / labels.sum(1)).mean().item()
        scores[f"prec@{name}"] = (right / (picked.sum(1) + 1e-6)).mean().item()
    return scores


def _labelled(logits: Tensor, labels: Tensor, background: bool) -> tuple[Tensor, Tensor]:
    if background:
        logits, labels = logits[:, 1:], labels[:, 1:]
    known = (labels > 0).any(1)
    return logits[known], labels[known]


def _likeliest(logits: Tensor, k: int) -> Tensor:
    best = logits.topk(min(k, logits.shape[1]), 1).indices
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, best, True)


class Assignment(NamedTuple):
    """Which ground truth each of N proposals shows."""

    matched: Tensor  # int64 (N,): 0 background, k the k-th ground truth counted from 1, -1 neither
    overlaps: Tensor  # (N,): IoU with the ground truth it overlaps most
    labels: Tensor  # (N, classes): of the match, zeros otherwise


def assign_boxes(
    proposals: Tensor,
    boxes: Tensor,
    labels: Tensor,
    *,
    positive: float = 0.9,
    negative: float | tuple[float, float] = 0.9,
    match_low_quality: bool = True,
    min_positive: float = 0.9,
    all_best: bool = True,
) -> Assignment:
    """Match proposals (N, 4) with ground truth boxes (M, 4) of labels (M, classes).

    Args:
        positive: IoU from which a proposal shows the ground truth that it overlaps most.
        negative: IoU under which it is background, or the interval [low, high) that is.
        match_low_quality: each ground truth also claims the proposal that overlaps it most, from ``min_positive`` on;
            later ones take it from earlier ones.
        all_best: claim all proposals that overlap as much, not only the first.
    """
    matched = torch.full((len(proposals),), -1, dtype=torch.int64, device=proposals.device)
    if not len(boxes) or not len(proposals):
        matched[:] = 0
        empty = labels.new_zeros(len(proposals), labels.shape[1])
        return Assignment(matched, proposals.new_zeros(len(proposals)), empty)
    iou = box_iou(boxes, proposals).nan_to_num(0.0)  # of boxes without an area
    overlaps, which = iou.max(0)
    low, high = (0.0, negative) if isinstance(negative, (int, float)) else negative
    matched[(overlaps >= low) & (overlaps < high)] = 0
    matched = torch.where(overlaps >= positive, which + 1, matched)
    if match_low_quality:
        best, where = iou.max(1)
        for i in range(len(boxes)):
            if best[i] >= min_positive:
                matched[iou[i] == best[i] if all_best else where[i]] = i + 1
    found = labels[(matched - 1).clamp(min=0)] * (matched > 0)[:, None].to(labels)
    return Assignment(matched, overlaps, found)


def box_targets(
    positive_labels: Tensor, num_negative: int, *, positive_weight: float = 1.0, weigh_lone_positives: bool = True
) -> tuple[Tensor, Tensor]:
    """Labels (P + num_negative, classes), zeros for the negatives, and weights (P + num_negative,).

    Args:
        positive_labels: (P, classes).
        positive_weight: of positives, 1 if not above 0; negatives weigh 1.
        weigh_lone_positives: False: positives without a negative beside them weigh 1 too, as in MMAction2.
    """
    count = len(positive_labels)
    labels = F.pad(positive_labels, (0, 0, 0, num_negative))
    weights = labels.new_ones(count + num_negative)
    if positive_weight > 0 and (num_negative or weigh_lone_positives):
        weights[:count] = positive_weight
    return labels, weights
