"""Losses of temporal localization: what networks give and what is true in, a scalar out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.bmn import BMNOutput
from ..models.layers.localizer import PointOutput
from ..models.ssn import SSNOutput

_EPS = 1e-5  # inside logarithms, as published
POSITIVE, INCOMPLETE, BACKGROUND = 0, 1, 2  # kinds of SSN's proposals


# -------------------------------------------------------------------------------------------------------- BMN and BSN


def binary_logistic(scores: Tensor, labels: Tensor, threshold: float = 0.5, where: Tensor | None = None) -> Tensor:
    """Cross entropy of probabilities, weighted so that both sides of ``threshold`` count alike.

    Args:
        labels: like ``scores``; those above the threshold are positive.
        where: 1 for what counts, 0 for what does not; where nothing is positive, the mean is then, as published, over
            one more.
    """
    positive = (labels > threshold).to(scores)
    counted = torch.ones_like(scores) if where is None else where.to(scores).expand_as(scores)
    positive = positive * counted
    found = positive.sum().clamp(min=1)
    total = counted.sum() if where is None else found + (counted - positive).sum()
    ratio = (total / found).clamp(1.05, 21)
    hit = 0.5 * ratio * positive * torch.log(scores + _EPS)
    miss = 0.5 * ratio / (ratio - 1) * (counted - positive) * torch.log(1 - scores + _EPS)
    return -(hit + miss).sum() / total


def bmn_loss(
    output: BMNOutput,
    confidence: Tensor,
    start: Tensor,
    end: Tensor,
    draws: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """BMN's loss and its parts: {"loss", "boundary", "regression", "classification"}.

    Args:
        confidence, start, end: of ``transforms.localization.bmn_labels``, (B, T, T), (B, T) and (B, T).
        draws: uniform numbers (B, T, T) that choose among cells of middle and low IoU; None: drawn here.
    """
    steps = confidence.shape[-1]
    index = torch.arange(steps, device=confidence.device)
    valid = (index[:, None] + index < steps).to(confidence)
    confidence = confidence * valid
    regressed, classified = output.confidence_map.unbind(1)
    boundary = binary_logistic(output.start, start) + binary_logistic(output.end, end)
    regression = _regression_loss(regressed, confidence, draws)
    classification = binary_logistic(classified, confidence, 0.9, valid)
    total = boundary + 10 * regression + classification
    return {"loss": total, "boundary": boundary, "regression": regression, "classification": classification}


def _regression_loss(predicted: Tensor, iou: Tensor, draws: tuple[Tensor, Tensor] | None) -> Tensor:
    """Squared error over all cells of high IoU and about as many of middle and of low IoU.

    As published, where there are more high ones than of another kind, every cell counts once more for that kind.
    """
    draws = draws or (torch.rand_like(iou), torch.rand_like(iou))
    high = (iou > 0.7).to(iou)
    weights = high
    for kind, draw in zip((((iou > 0.3) & (iou <= 0.7)), ((iou > 0) & (iou <= 0.3))), draws, strict=True):
        share = high.sum() / kind.sum()
        weights = weights + (draw * kind > 1 - share).to(iou)
    return 0.5 * (weights * (predicted - iou)).square().sum() / weights.sum().clamp(min=1)


def tem_loss(probabilities: Tensor, labels: Tensor, threshold: float = 0.5) -> dict[str, Tensor]:
    """Loss of BSN's temporal evaluation, (B, 3, T) each: {"loss", "action", "start", "end"}; action counts twice."""
    action, start, end = (
        binary_logistic(*pair, threshold) for pair in zip(probabilities.unbind(1), labels.unbind(1), strict=True)
    )
    return {"loss": 2 * action + start + end, "action": 2 * action, "start": start, "end": end}


def pem_loss(predicted: Tensor, iou: Tensor) -> Tensor:
    """Loss of BSN's proposal evaluation, (N,) or (N, 1) each: mean smooth L1."""
    return F.smooth_l1_loss(predicted.flatten(), iou.flatten())


# ----------------------------------------------------------------------------------------------------------------- SSN


def ohem_hinge(scores: Tensor, labels: Tensor, sign: int, ratio: float, group: int) -> Tensor:
    """Sum of max(0, 1 - sign * score of the label's class) over the hardest of every ``group`` rows.

    Args:
        labels: int64 (N,), from 1 on.
        sign: 1 for what should score high, -1 for what should score low.
        ratio: share of each group that counts, rounded down.
    """
    losses = (1 - sign * scores.gather(1, labels[:, None] - 1).squeeze(1)).clamp(min=0).view(-1, group)
    return losses.topk(int(group * ratio), 1).values.sum()


def ssn_loss(
    output: SSNOutput,
    kinds: Tensor,
    labels: Tensor,
    targets: Tensor,
    *,
    per_video: tuple[int, int, int] = (1, 6, 1),
    weights: tuple[float, float] = (0.1, 0.1),
) -> dict[str, Tensor]:
    """SSN's loss and its parts: {"loss", "activity", "completeness", "regression"}.

    Args:
        kinds: (P,) POSITIVE, INCOMPLETE or BACKGROUND; each video's proposals are together, in this order.
        labels: int64 (P,), 0 for the background.
        targets: (P, 2) normalised changes of centre and length, of the positive ones.
        per_video: how many proposals of each kind a video has.
        weights: of completeness and regression.
    """
    positive, incomplete = kinds == POSITIVE, kinds == INCOMPLETE
    shown = ~incomplete
    activity = F.cross_entropy(output.activity[shown], labels[shown])
    num_positive, num_incomplete, _ = per_video
    ratio = num_positive / num_incomplete
    hinge = ohem_hinge(output.completeness[positive], labels[positive], 1, 1.0, num_positive)
    hinge = hinge + ohem_hinge(output.completeness[incomplete], labels[incomplete], -1, ratio, num_incomplete)
    completeness = hinge / (int(positive.sum()) + int(int(incomplete.sum()) * ratio))
    rows = torch.arange(int(positive.sum()), device=labels.device)
    own = output.regression[positive][rows, labels[positive] - 1]
    regression = 2 * F.smooth_l1_loss(own, targets[positive])
    parts = {"activity": activity, "completeness": weights[0] * completeness, "regression": weights[1] * regression}
    return {"loss": sum(parts.values()), **parts}


# -------------------------------------------------------------------------------------------- ActionFormer and TriDet


def assign_points(
    points: Tensor, segments: Tensor, labels: Tensor, num_classes: int, radius: float = 1.5
) -> tuple[Tensor, Tensor]:
    """What each point of a video should tell: classes (N, classes) of zeros and ones, offsets (N, 2) in its strides.

    A point near the middle of a segment (``radius`` strides), of a level whose range holds the longer of its distances
    to the segment's ends, stands for that segment; of several for the shortest.

    Args:
        points: of ``PointOutput``.
        segments: (M, 2) in steps.
        labels: int64 (M,).
    """
    classes = torch.zeros(len(points), num_classes, device=points.device)
    if not len(segments):
        return classes, torch.zeros(len(points), 2, device=points.device)
    place, low, high, stride = (column[:, None] for column in points.T)
    start, end = segments.to(points).T
    middle = (start + end) / 2
    near = (place - torch.maximum(start, middle - radius * stride) > 0) & (
        torch.minimum(end, middle + radius * stride) - place > 0
    )
    offsets = torch.stack((place - start, end - place), -1)  # (N, M, 2)
    longest = offsets.amax(-1)
    fits = near & (longest >= low) & (longest <= high)
    length = torch.where(fits, end - start, torch.inf)
    shortest, chosen = length.min(1)
    # segments of the same length share the point
    same = (length <= shortest[:, None] + 1e-3) & fits
    classes.scatter_add_(1, labels.expand(len(points), -1), same.to(classes)).clamp_(max=1)
    rows = torch.arange(len(points), device=points.device)
    return classes, offsets[rows, chosen] / stride


def sigmoid_focal(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss of every cell, https://arxiv.org/abs/1708.02002."""
    probability = logits.sigmoid()
    wrong = probability * (1 - targets) + (1 - probability) * targets
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * wrong**gamma * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def offset_iou(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) offsets from the same points: IoU of the segments, and that less the square of their centres' distance."""
    common = torch.minimum(predicted, true).sum(-1)
    union = predicted.sum(-1) + true.sum(-1) - common
    iou = common / union.clamp(min=1e-8)
    around = torch.maximum(predicted, true).sum(-1).clamp(min=1e-8)
    apart = ((predicted[..., 1] - predicted[..., 0]) - (true[..., 1] - true[..., 0])) / 2
    return iou, iou - (apart / around).square()


def point_loss(
    output: PointOutput, classes: Tensor, offsets: Tensor, num_positive: Tensor, *, iou_power: float = 0.0
) -> dict[str, Tensor]:
    """Loss of an anchor-free network: {"loss", "classification", "regression"}; both are divided by a moving average.

    Offsets for each class learn at every class of a point, others once a point.

    Args:
        classes, offsets: of :func:`assign_points` for each video, (B, N, classes) and (B, N, 2).
        num_positive: that average, of the points with a segment, which this updates.
        iou_power: of networks with offsets for each class, by which power of the IoU that was reached there a positive
            classification counts (TriDet).
    """
    cells = (classes > 0) & output.mask[..., None]
    positive = cells.any(-1)
    with torch.no_grad():
        num_positive.mul_(0.9).add_(0.1 * positive.sum().clamp(min=1))
    focal = sigmoid_focal(output.logits, classes)
    if output.offsets.ndim == 3:
        _, distance_iou = offset_iou(output.offsets[positive], offsets[positive])
    else:
        true = offsets[:, :, None].expand_as(output.offsets)
        iou, distance_iou = offset_iou(output.offsets[cells], true[cells])
        reached = iou.clamp(min=_EPS).pow(iou_power)  # a root has no slope at 0
        focal = focal * torch.ones_like(focal).index_put((cells,), reached.to(focal))
    classification = (focal * output.mask[..., None]).sum() / num_positive
    regression = (1 - distance_iou).sum() / num_positive
    return {"loss": classification + regression, "classification": classification, "regression": regression}
