"""Heatmaps of joints and limbs, drawn all at once: on any device, for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FAINT = 1e-4  # joints of a lower score are not drawn
_NEAR = 5.3  # a limb's ridge is below 1e-6 of its height so many sigma from it


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
    a, along = a.float(), (b - a).float()
    length = along.square().sum(-1)
    slope = along / length.sqrt().clamp(min=1e-6)[:, None]  # of length 1, or 0 for a joint

    # the rows of each line, and the part of each row that is near it
    line, y = _ranges(low[:, 1], extent[:, 1])
    from_y, lean = y - a[line, 1], slope[line, 1]
    middle = a[line, 0] + from_y * slope[line, 0] / torch.where(lean == 0, 1, lean)
    width_near = torch.where(lean == 0, torch.inf, _NEAR * sigma / lean.abs())
    left = torch.maximum(low[line, 0], (middle - width_near).clamp(-1, width).floor().long())
    right = torch.minimum((low + extent)[line, 0], (middle + width_near).clamp(-1, width).ceil().long() + 1)
    row, x = _ranges(left, (right - left).clamp(min=0))

    share = along / length.clamp(min=1e-12)[:, None]
    of_row = torch.stack(
        (a[line, 0], from_y, share[line, 0], from_y * share[line, 1], *along[line].T, score[line].float()), -1
    )
    ax, from_y, share_x, share_y, along_x, along_y, peak = of_row.index_select(0, row).unbind(-1)
    from_x = x - ax
    part = (from_x * share_x + share_y).clamp_(0, 1)
    distance = (from_x - part * along_x).square_() + (from_y - part * along_y).square_()
    value = distance.mul_(-0.5 / sigma**2).exp_() * peak

    out = torch.zeros(_product(batch) * count * frames * height * width, device=device)
    index = ((target[line] * height + y) * width).index_select(0, row) + x
    out.scatter_reduce_(0, index, value, "amax")
    return out.view(*batch, count, frames, height, width)


def _ranges(first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers first, first + 1, ... of each of many ranges, all in one row, and which range each is of."""
    which = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    before = count.cumsum(0) - count
    # index_select is several times faster than indexing
    return which, torch.arange(len(which), device=count.device) + (first - before).index_select(0, which)


def _product(numbers: Sequence[int]) -> int:
    out = 1
    for number in numbers:
        out *= number
    return out
