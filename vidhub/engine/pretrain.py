"""Pre-training without labels: which tokens are hidden, what is to be predicted of them, and the losses.

For the networks of ``vidhub.models.masked``, where the papers are named. Masks are drawn with a ``torch.Generator``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..errors import InputError
from ..models.layers.pos_embed import Grid
from ..models.masked import MaskFeat, VideoMAE


def tube_mask(batch: int, grid: Grid, ratio: float = 0.9, generator: Generator | None = None) -> Tensor:
    """The same random places hidden in all frames: bool (batch, t*h*w), ``ratio`` of them True.

    >>> tube_mask(1, (2, 2, 2), 0.5).sum().item()
    4
    """
    time, height, width = grid
    count = round(ratio * height * width)
    if not 0 < count < height * width:
        raise InputError(f"a ratio of {ratio} leaves nothing hidden, or nothing shown, of {height}x{width} places.")
    order = torch.rand(batch, height * width, generator=generator).argsort(1)
    return (order < count)[:, None].expand(-1, time, -1).flatten(1)


def running_cells(grid: Grid, ratio: float = 0.5) -> Tensor:
    """VideoMAE V2's choice of tokens to predict: ``ratio`` of each 2x2 places, moving on in every frame: bool (t*h*w).

    >>> running_cells((2, 2, 2), 0.5).int().tolist()
    [1, 1, 0, 0, 0, 1, 1, 0]
    """
    time, height, width = (torch.arange(n) for n in grid)
    place = 2 * (height[:, None] % 2) + width % 2  # (h, w), 0 to 3
    return ((place - time[:, None, None]) % 4 < round(4 * ratio)).flatten()


def cube_mask(batch: int, grid: Grid, ratio: float = 0.4, generator: Generator | None = None) -> Tensor:
    """Random cuboids hidden until ``ratio`` of the places is: bool (batch, t, h, w), as many True in every row."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=generator).item()

    count = round(ratio * math.prod(grid))
    masks = torch.zeros(batch, *grid, dtype=torch.bool)
    for mask in masks:
        while (missing := count - int(mask.sum())) > 0:
            length = math.ceil(uniform(0, grid[0]))
            area = uniform(0.1, 0.5) * grid[1] * grid[2]
            shape = math.exp(uniform(math.log(0.3), -math.log(0.3)))
            sides = (length, math.ceil(math.sqrt(area * shape)), math.ceil(math.sqrt(area / shape)))
            sides = tuple(min(side, n) for side, n in zip(sides, grid, strict=True))
            t, h, w = (int(uniform(0, n - side + 1)) for side, n in zip(sides, grid, strict=True))
            box = torch.zeros_like(mask)
            box[t : t + sides[0], h : h + sides[1], w : w + sides[2]] = True
            new = (box & ~mask).flatten().nonzero()[:missing, 0]  # the last cuboid is cut short
            mask.view(-1)[new] = True
    return masks


def normalised_pixels(clips: Tensor, tubelet: tuple[int, int, int]) -> Tensor:
    """Each token's pixels, of mean 0 and variance 1 in every channel: (B, C, T, H, W) -> (B, N, frames*h*w*C)."""
    p, q, r = tubelet
    x = clips.unflatten(4, (-1, r)).unflatten(3, (-1, q)).unflatten(2, (-1, p))  # (B, C, t, p, h, q, w, r)
    x = x.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4, 6).flatten(1, 3)  # (B, N, pixels, C)
    x = (x - x.mean(2, keepdim=True)) / (x.std(2, keepdim=True) + 1e-6)
    return x.flatten(2)


def histograms(frames: Tensor, *, bins: int = 9, cell: int = 8) -> Tensor:
    """Histograms of oriented gradients of frames (B, C, T, H, W): (B, T, H/cell, W/cell, C, bins), each of length 1.

    A gradient (Sobel's, borders mirrored) counts by its length for its orientation, which is that of the line: opposite
    directions are one. Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005, without
    blocks and interpolation, as MaskFeat has them.
    """
    batch, channels, time, height, width = frames.shape
    if height % cell or width % cell:
        raise InputError(f"frames of {height}x{width} pixels do not divide into cells of {cell}.")
    x = F.pad(frames.transpose(1, 2).reshape(-1, 1, height, width).float(), (1, 1, 1, 1), mode="reflect")
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], device=x.device)
    dx, dy = F.conv2d(x, torch.stack((sobel, sobel.T))[:, None]).unbind(1)
    orientation = (torch.atan2(dx, dy) / math.pi * bins).floor().long() % bins
    votes = torch.zeros(len(x), bins, height, width, device=x.device)
    votes.scatter_(1, orientation[:, None], torch.hypot(dx, dy)[:, None])
    votes = F.normalize(F.avg_pool2d(votes, cell), dim=1)
    return votes.unflatten(0, (batch, time, channels)).permute(0, 1, 4, 5, 2, 3)


def videomae_loss(
    model: VideoMAE,
    clips: Tensor,
    *,
    ratio: float = 0.9,
    decode: float = 1.0,
    generator: Generator | None = None,
) -> Tensor:
    """Mean squared error of the predicted normalised pixels of hidden tokens: scalar.

    Args:
        clips: (B, C, T, H, W), normalised.
        ratio: of the tokens that are hidden.
        decode: share of them that is predicted; VideoMAE V2 saves half of the decoder's work with 0.5.
    """
    network = getattr(model, "module", model)
    hidden = tube_mask(len(clips), network.grid, ratio, generator).to(clips.device)
    wanted = hidden
    if decode < 1:
        cells = running_cells(network.grid, decode).to(clips.device)
        # a row may have more of them than another: the surplus is left out
        count = (hidden & cells).sum(1).min()
        wanted = hidden & cells
        wanted &= wanted.cumsum(1) <= count
    target = normalised_pixels(clips, network.encoder.patch_embed.kernel_size)
    target = target[wanted].reshape(len(clips), -1, target.shape[2])
    return F.mse_loss(model(clips, hidden, wanted), target)


def maskfeat_loss(model: MaskFeat, clips: Tensor, *, ratio: float = 0.4, generator: Generator | None = None) -> Tensor:
    """Mean squared error of the predicted histograms of hidden patches, in their first frame: scalar.

    Args:
        clips: (B, C, T, H, W), normalised.
        ratio: of the patches that are hidden.
    """
    network = getattr(model, "module", model)
    time, space = network.reduction
    target = histograms(clips[:, :, ::time], bins=network.bins, cell=network.cell)
    per = space // network.cell
    target = target.unflatten(3, (-1, per)).unflatten(2, (-1, per)).transpose(3, 4).flatten(4)  # (B, t, h, w, ...)
    hidden = cube_mask(len(clips), tuple(target.shape[1:4]), ratio, generator).to(clips.device)
    return F.mse_loss(model(clips, hidden)[hidden], target[hidden])
