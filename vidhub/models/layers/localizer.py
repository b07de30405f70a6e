"""What the networks on a video's features share: padded batches, pyramids of steps, the heads of ActionFormer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from .attention import ChannelNorm


def check_features(x: Tensor, feature_dim: int, num_steps: int | None = None) -> None:
    """Features must be (batch, feature_dim, num_steps), or of any number of steps where that is None.

    Raises:
        InputError: they are not.
    """
    if torch.jit.is_tracing():
        return
    if x.ndim != 3 or x.shape[1] != feature_dim or not x.shape[2] or num_steps not in (None, x.shape[2]):
        wanted = f"(batch, {feature_dim}, {num_steps or 'steps'})"
        raise InputError(f"expected features of shape {wanted}, got {tuple(x.shape)}.")


class PointOutput(NamedTuple):
    """What anchor-free networks give of the N points of all levels, the finest first."""

    logits: Tensor  # (B, N, classes)
    # from the point to the segment's start and end, in strides of its level: (B, N, 2), or (B, N, classes, 2)
    offsets: Tensor
    points: Tensor  # (N, 4): place in steps, shortest and longest segment meant for it (half lengths), stride
    mask: Tensor  # (B, N): which are inside the video


class MaskedConv(nn.Conv1d):
    """A convolution that leaves the length (or divides it by the stride), and neither sees nor gives what is padded.

    ``forward(x, mask)`` gives both; the mask is bool (B, 1, T).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, **kwargs):
        super().__init__(in_channels, out_channels, kernel, stride, padding=kernel // 2, **kwargs)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        shorter = mask[..., :: self.stride[0]]
        return super().forward(x * mask) * shorter, shorter


def max_pool(x: Tensor, mask: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """The largest of each ``stride``-th step and the steps beside it, of those inside the video; and their mask."""
    shorter = mask[..., ::stride]
    inside = x.masked_fill(~mask, torch.finfo(x.dtype).min)
    return F.max_pool1d(inside, stride + 1, stride, (stride + 1) // 2) * shorter, shorter


class ConvLayers(nn.Module):
    """``depth`` times convolution, norm, ReLU: (B, C, T) -> (B, dim, T)."""

    def __init__(self, in_channels: int, dim: int, kernel: int, depth: int):
        super().__init__()
        channels = [in_channels, *[dim] * depth]
        self.convs = nn.ModuleList(MaskedConv(a, b, kernel, bias=False) for a, b in itertools.pairwise(channels))
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x, mask)[0]))
        return x


class PointHead(nn.Module):
    """The same convolutions on every level of a pyramid: a list of (B, C, T) -> list of (B, outputs, T).

    Args:
        prior: probability that a classifier starts with; 0: it is none, and each level has a factor of its own.
        positive: outputs are not below 0.
    """

    def __init__(
        self, dim: int, outputs: int, levels: int, *, depth: int = 3, prior: float = 0.0, positive: bool = False
    ):
        super().__init__()
        self.dim, self.prior, self.positive = dim, prior, positive
        self.layers = ConvLayers(dim, dim, 3, depth - 1)
        self.reset(outputs)
        self.scales = None if prior else nn.Parameter(torch.ones(levels))

    def reset(self, outputs: int) -> None:
        self.out = MaskedConv(self.dim, outputs, 3)
        nn.init.constant_(self.out.bias, -math.log((1 - self.prior) / self.prior) if self.prior else 0.0)

    def forward(self, levels: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        found = [self.out(self.layers(x, mask), mask)[0] for x, mask in zip(levels, masks, strict=True)]
        if self.scales is not None:
            found = [x * scale for x, scale in zip(found, self.scales, strict=True)]
        return [F.relu(x) for x in found] if self.positive else found


def zero_biases(module: nn.Module) -> None:
    """Let the convolutions in ``module`` start without biases."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d) and part.bias is not None:
            nn.init.zeros_(part.bias)


def check_ranges(ranges: Sequence[tuple[float, float]], halving: int) -> None:
    """Every level of a pyramid needs a range of lengths.

    Raises:
        InputError: there are more or fewer.
    """
    if len(ranges) != halving + 1:
        raise InputError(
            f"{halving} blocks that halve the length make {halving + 1} levels, but there are {len(ranges)} ranges: "
            "pass ranges with a shortest and a longest segment for each level."
        )


def pyramid_points(lengths: Sequence[int], ranges: Sequence[tuple[float, float]], like: Tensor) -> Tensor:
    """Place, range and stride of each point of a pyramid whose levels halve the steps: (N, 4)."""
    points = []
    for level, (length, (low, high)) in enumerate(zip(lengths, ranges, strict=True)):
        place = torch.arange(length, device=like.device, dtype=torch.float32) * 2**level
        rest = torch.tensor([low, high, 2.0**level], device=like.device).expand(length, 3)
        points.append(torch.cat((place[:, None], rest), 1))
    return torch.cat(points)
