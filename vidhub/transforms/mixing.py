"""Mixup and cutmix of a batch of clips."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import InputError
from ._random import integer, uniform


def mixup(clips: Tensor, targets: Tensor, lam: float, permutation: Tensor) -> tuple[Tensor, Tensor]:
    """``lam`` of each clip and target, the rest of its partner's (https://arxiv.org/abs/1710.09412).

    Args:
        clips: float (B, ...).
        targets: float (B, classes).
        permutation: int64 (B,), the partner of each clip.
    """
    return clips.lerp(clips[permutation], 1 - lam), targets.lerp(targets[permutation], 1 - lam)


def cutmix(
    clips: Tensor, targets: Tensor, lam: float, permutation: Tensor, centre: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Each clip with a box of its partner's pixels; targets by area (https://arxiv.org/abs/1905.04899).

    Args:
        clips: float (B, ..., H, W); the box is the same in all frames.
        targets: float (B, classes).
        lam: share of the picture that is kept, if the box does not reach over its border.
        permutation: int64 (B,), the partner of each clip.
        centre: x and y of the box.
    """
    x1, y1, x2, y2 = cut_box(tuple(clips.shape[-2:]), lam, centre)
    mixed = clips.clone()
    mixed[..., y1:y2, x1:x2] = clips[permutation][..., y1:y2, x1:x2]
    pasted = (x2 - x1) * (y2 - y1) / (clips.shape[-1] * clips.shape[-2])
    return mixed, targets.lerp(targets[permutation], pasted)


def cut_box(size: tuple[int, int], lam: float, centre: tuple[int, int]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 (exclusive) of cutmix's box in a picture of ``size`` (height, width).

    >>> cut_box((100, 200), 0.75, (10, 50))
    (0, 25, 60, 75)
    """
    (height, width), (x, y) = size, centre
    half_width, half_height = (int(side * math.sqrt(1 - lam)) // 2 for side in (width, height))
    return max(x - half_width, 0), max(y - half_height, 0), min(x + half_width, width), min(y + half_height, height)


def random_mix(
    clips: Tensor,
    targets: Tensor,
    *,
    mixup_alpha: float = 0.0,
    cutmix_alpha: float = 0.0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Mixup or cutmix with a share from Beta(alpha, alpha), by turns of chance where both have an alpha above 0.

    The partner of a clip is its neighbour, 2k of 2k + 1, so that it does not matter how a batch is spread over
    processes; an odd last clip stays as it is. The draws do not depend on the batch.

    Args:
        clips: float (B, ..., H, W).
        targets: float (B, classes).

    Raises:
        InputError: an alpha is negative, or none is positive.
    """
    if min(mixup_alpha, cutmix_alpha) < 0 or not max(mixup_alpha, cutmix_alpha):
        raise InputError(f"mixup and cutmix take an alpha above 0, not {mixup_alpha} and {cutmix_alpha}.")
    cut = cutmix_alpha > 0 and (not mixup_alpha or uniform(1, generator)[0] < 0.5)
    lam = _beta(cutmix_alpha if cut else mixup_alpha, generator)
    partner = torch.arange(len(clips), device=clips.device) ^ 1
    partner = partner.where(partner < len(clips), partner ^ 1)
    if not cut:
        return mixup(clips, targets, lam, partner)
    height, width = clips.shape[-2:]
    centre = integer(0, width - 1, generator), integer(0, height - 1, generator)
    return cutmix(clips, targets, lam, partner, centre)


def _beta(alpha: float, generator: torch.Generator | None) -> float:
    """One draw of Beta(alpha, alpha)."""
    # torch's own distributions take no generator; its gamma sampler does
    gamma = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator)
    return float(gamma[0] / gamma.sum())
