"""Heatmaps of joints and limbs, drawn all at once: on any device, for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FAINT = 1e-4  # joints of a lower score are not drawn


def joint_heatmaps(
    keypoints: Tensor, scores: Tensor | None = None, *, size: tuple[int, int], sigma: float = 0.6
) -> Tensor:
    """A Gaussian around each joint, as high as its score; the highest of several persons.

    Args:
        keypoints: float (..., M, T, V, 2) in pixels.
        scores: (..., M, T, V); None: all 1.
        size: (height, width) of the heatmaps.
        sigma: of the Gaussians; they end three of it from the joint.

    Returns:
        Float32 (..., V, T, H, W), on the device of ``keypoints``.

    >>> joint_heatmaps(torch.tensor([2.0, 1.0]).view(1, 1, 1, 2), size=(3, 4), sigma=0.5).squeeze().argmax().item()
    6
    """
    scores = torch.ones_like(keypoints[..., 0]) if scores is None else scores
    return _draw(keypoints, keypoints, scores, scores, size, sigma)


def limb_heatmaps(
    keypoints: Tensor,
    scores: Tensor | None = None,
    *,
    limbs: Sequence[tuple[int, int]],
    size: tuple[int, int],
    sigma: float = 0.6,
) -> Tensor:
    """A ridge along each limb, as high as the lower score of its ends: float32 (..., limbs, T, H, W).

    The other arguments are those of ``joint_heatmaps``. A limb shorter than a pixel is drawn as its first joint.
    """
    scores = torch.ones_like(keypoints[..., 0]) if scores is None else scores
    first, second = (list(ends) for ends in zip(*limbs, strict=True))
    return _draw(
        keypoints[..., first, :], keypoints[..., second, :], scores[..., first], scores[..., second], size, sigma
    )


def mirror_heatmaps(heatmaps: Tensor, order: Sequence[int]) -> Tensor:
    """Heatmaps (..., V, T, H, W) of the mirrored picture; ``order`` says which channel each one is there."""
    return heatmaps.flip(-1)[..., list(order), :, :, :]


def _draw(start: Tensor, end: Tensor, start_score: Tensor, end_score: Tensor, size: tuple[int, int], sigma: float):
    """Lines from ``start`` to ``end``, (..., M, T, K, 2): float32 (..., K, T, H, W).

    Only pixels near a line are computed: a list of all of them, whatever line they are of.
    """
    *batch, _, frames, count, _ = start.shape
    height, width = size
    device = start.device
    # where each line is drawn: (..., M, T, K)
    lead = torch.arange(max(1, _product(batch)), device=device).view(*batch, 1, 1, 1) if batch else 0
    channel = torch.arange(count, device=device)
    frame = torch.arange(frames, device=device)[:, None]
    target = ((lead * count + channel) * frames + frame).expand(start.shape[:-1])

    score = torch.minimum(start_score, end_score)
    short = (end - start).square().sum(-1) < 1
    drawn = score >= _FAINT
    score = torch.where(short, start_score, score)
    drawn &= score >= _FAINT
    end = torch.where(short[..., None], start, end)

    reach = 3 * sigma
    limit = torch.tensor([width, height], device=device)
    low = (torch.minimum(start, end) - reach).trunc().clamp(min=-1e6, max=1e6).long().clamp(min=0)
    high = (torch.maximum(start, end) + reach).trunc().clamp(min=-1e6, max=1e6).long() + 1
    extent = (torch.minimum(high, limit) - low).clamp(min=0)
    drawn &= (extent > 0).all(-1)

    a, b, low, extent, score, target = (v[drawn] for v in (start, end, low, extent, score, target))
    area = extent.prod(-1)
    line = torch.repeat_interleave(torch.arange(len(area), device=device), area)
    place = torch.arange(len(line), device=device) - (area.cumsum(0) - area)[line]
    pixel_x = low[line, 0] + place % extent[line, 0]
    pixel_y = low[line, 1] + torch.div(place, extent[line, 0], rounding_mode="floor")

    (ax, ay), along = a.float().unbind(-1), (b - a).float()
    length = along.square().sum(-1).clamp(min=1e-12)
    from_x, from_y = pixel_x - ax[line], pixel_y - ay[line]
    along_x, along_y = along[line].unbind(-1)
    part = ((from_x * along_x + from_y * along_y) / length[line]).clamp(0, 1)
    distance = (from_x - part * along_x).square() + (from_y - part * along_y).square()
    value = torch.exp(distance / (-2 * sigma**2)) * score[line].float()

    out = torch.zeros(_product(batch) * count * frames * height * width, device=device)
    index = (target[line] * height + pixel_y) * width + pixel_x
    out.scatter_reduce_(0, index, value, "amax")
    return out.view(*batch, count, frames, height, width)


def _product(numbers: Sequence[int]) -> int:
    out = 1
    for number in numbers:
        out *= number
    return out
