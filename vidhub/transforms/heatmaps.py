"""Heatmaps of joints and limbs, drawn all at once: on any device, for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FAINT = 1e-4  # joints of a lower score are not drawn
_NEAR = 5.3  # a limb's ridge is below 1e-6 of its height so many sigma from it
_ROWS = 4096  # of limbs that a CPU draws at once


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
    fine = torch.float32 if device.type == "mps" else torch.float64  # which Apple's GPUs lack
    a, b = a.to(fine), b.to(fine)
    length = (b - a).square().sum(-1).sqrt()
    slope = (b - a) / length.clamp(min=1e-6)[:, None]  # of length 1
    slope[:, 0] += length == 0  # joints have any
    middle = (a + b) / 2

    # the rows of each line, and the part of each row that is near it
    line, y = _ranges(extent[:, 1])
    x0, y0, lean_x, lean_y, half, low_x, low_y, width_of = (
        v[line] for v in (*middle.T, *slope.T, length / 2, *low.T, extent[:, 0])
    )
    y = y + low_y
    from_y = y - y0
    crossing = x0 + from_y * lean_x / torch.where(lean_y == 0, 1, lean_y)
    near = torch.where(lean_y == 0, torch.inf, _NEAR * sigma / lean_y.abs())
    left = torch.maximum(low_x, (crossing - near).clamp(-1, width).floor().long())
    right = torch.minimum(low_x + width_of, (crossing + near).clamp(-1, width).ceil().long() + 1)
    pixels = (right - left).clamp(min=0)

    # of the first pixel in a row: where it is along the line and across it, and how both change to the next pixel, in
    # units that make the ridge exp(-across**2)
    unit, from_x = 0.5**0.5 / sigma, left - x0
    along, across = from_x * lean_x + from_y * lean_y, from_y * lean_x - from_x * lean_y
    of_row = torch.stack([v * unit for v in (along, lean_x, across, -lean_y, half)]).float()
    peak, first = score[line].float(), (target[line] * height + y) * width + left
    out = torch.zeros(_product(batch) * count * frames * height * width, device=device)
    step = _ROWS if device.type == "cpu" else max(len(pixels), 1)  # as many as stay in a CPU's caches
    for at in range(0, len(pixels), step):
        some = slice(at, at + step)
        row, x = _ranges(pixels[some])
        along, to_along, across, to_across, half = of_row[:, some].index_select(1, row)
        along, across = torch.addcmul(along, to_along, x), torch.addcmul(across, to_across, x)
        beyond = along.abs_().sub_(half).clamp_(min=0)
        value = across.square_().addcmul_(beyond, beyond).neg_().exp_().mul_(peak[some].index_select(0, row))
        out.scatter_reduce_(0, first[some].index_select(0, row).add_(x), value, "amax")
    return out.view(*batch, count, frames, height, width)


def _ranges(count: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers 0, 1, ... of each of many ranges, all in one row: which range each is of, and the numbers."""
    which = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    before = count.cumsum(0) - count
    # index_select is several times faster than indexing
    return which, torch.arange(len(which), device=count.device) - before.index_select(0, which)


def _product(numbers: Sequence[int]) -> int:
    out = 1
    for number in numbers:
        out *= number
    return out
