"""BMN: how likely an action begins, ends, and fills every possible segment of a video, in one pass over its features.

Lin et al., "BMN: Boundary-Matching Network for Temporal Action Proposal Generation", ICCV 2019,
https://arxiv.org/abs/1907.09702. Published on ActivityNet 1.3: AUC 67.25, AR@100 75.29 %.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._registry import register_model
from .layers.localizer import check_features


class BMNOutput(NamedTuple):
    """What BMN gives; all probabilities."""

    confidence_map: Tensor  # (B, 2, D, T): how well the segment from s of d + 1 steps fits an action, at [..., d, s]
    start: Tensor  # (B, T)
    end: Tensor  # (B, T)


def sample_mask(steps: int, boundary_ratio: float, num_samples: int, samples_per_bin: int) -> np.ndarray:
    """How much each step counts in each sample of each segment: (T, N, D, T) of (step, sample, duration, start).

    A segment of d + 1 steps, longer by ``boundary_ratio`` of that on both sides, is read at ``num_samples`` places;
    each is the mean of ``samples_per_bin`` linear interpolations. Segments past the end have no weights at all. As in
    the published network, points just before the first step count as the first one in full.
    """
    mask = np.zeros((steps, num_samples, steps, steps), np.float32)
    for duration in range(steps):
        starts = np.arange(steps - duration)
        margin = (duration + 1) * boundary_ratio
        # rounding decides which step a point falls on, hence no linspace
        spacing = (starts + duration + margin - (starts - margin)) / (num_samples * samples_per_bin - 1)
        points = (starts - margin)[:, None] + spacing[:, None] * np.arange(num_samples * samples_per_bin)
        whole = np.trunc(points)
        share = points - whole
        for step, weight in (
            (whole, np.where(share < 0, 1.0, 1 - share)),
            (whole + 1, np.where(share < 0, 0.0, share)),
        ):
            inside = (step >= 0) & (step < steps) & (points > -1)
            start, point = np.nonzero(inside)
            rows = step[inside].astype(np.int64)
            np.add.at(mask, (rows, point // samples_per_bin, duration, start), weight[inside] / samples_per_bin)
    return mask


class BoundaryMatching(nn.Module):
    """Samples every segment's features and joins its samples: (B, C, T) -> (B, out, D, T).

    The samples' weights are applied before the samples are taken, and only for segments that end inside the video: an
    order of magnitude less arithmetic than sampling first, for the same result.
    """

    def __init__(self, in_channels: int, out_channels: int, steps: int, ratio: float, num_samples: int, per_bin: int):
        super().__init__()
        self.steps, self.num_samples = steps, num_samples
        self.conv = nn.Conv3d(in_channels, out_channels, (num_samples, 1, 1))
        mask = sample_mask(steps, ratio, num_samples, per_bin)
        valid = np.flatnonzero(np.add.outer(np.arange(steps), np.arange(steps)) < steps)  # cells d * T + s
        mask = mask.reshape(steps * num_samples, steps * steps)[:, valid].T
        cell, source = np.nonzero(mask)
        buffers = {
            "cells": torch.as_tensor(valid),
            "sources": torch.as_tensor(source),
            "targets": torch.as_tensor(cell),
            "offsets": torch.as_tensor(np.searchsorted(cell, np.arange(len(valid)))),
            "weights": torch.as_tensor(mask[cell, source]),
        }
        for name, value in buffers.items():  # made anew, so that they are where the parameters are
            self.register_buffer(name, torch.empty_like(value, device=self.conv.weight.device), persistent=False)
            if not getattr(self, name).is_meta:
                getattr(self, name).copy_(value)

    def forward(self, x: Tensor) -> Tensor:
        batch, out = x.shape[0], self.conv.out_channels
        kernel = self.conv.weight[..., 0, 0]  # (out, C, N)
        x = torch.einsum("bct,ocn->tnbo", x, kernel).flatten(2).flatten(0, 1)  # (T * N, B * out)
        x = self.weighted_sums(x, self.weights.to(x.dtype))  # (cells, B * out)
        full = x.new_zeros(self.steps**2, batch * out).index_copy(0, self.cells, x)
        full = full.view(self.steps, self.steps, batch, out).permute(2, 3, 0, 1)
        return full + self.conv.bias[:, None, None]

    def weighted_sums(self, x: Tensor, weights: Tensor) -> Tensor:
        """Of the rows that each cell takes."""
        if _is_exporting():  # ONNX has no sums over bags of rows, which are many times faster
            return x.new_zeros(len(self.cells), x.shape[1]).index_add(
                0, self.targets, x[self.sources] * weights[:, None]
            )
        return F.embedding_bag(self.sources, x, self.offsets, mode="sum", per_sample_weights=weights)


def _is_exporting() -> bool:
    return hasattr(torch.compiler, "is_exporting") and torch.compiler.is_exporting()  # PyTorch 2.6


class BMN(nn.Module):
    """Boundary-matching network: features (B, C, T) -> ``BMNOutput``.

    Args:
        feature_dim: channels of the features.
        num_steps: T, into which a video of any length is divided.
        boundary_ratio: of a segment's length, looked at before and after it.
        num_samples: places at which a segment is read.
        samples_per_bin: interpolations averaged at each.
        hidden_dims: channels of the convolutions over time, over the samples, and over the map of segments.
    """

    num_classes = 0

    def __init__(
        self,
        feature_dim: int = 400,
        *,
        num_steps: int = 100,
        boundary_ratio: float = 0.5,
        num_samples: int = 32,
        samples_per_bin: int = 3,
        hidden_dims: tuple[int, int, int] = (256, 512, 128),
    ):
        super().__init__()
        self.feature_dim, self.num_steps = feature_dim, num_steps
        wide, sampled, flat = hidden_dims

        def over_time(in_channels: int, groups: int = 4) -> list[nn.Module]:
            groups = math.gcd(groups, in_channels)  # features may have any number of channels
            return [nn.Conv1d(in_channels, wide, 3, padding=1, groups=groups), nn.ReLU(inplace=True)]

        def boundary() -> nn.Sequential:
            return nn.Sequential(*over_time(wide), nn.Conv1d(wide, 1, 1))

        def over_map(in_channels: int, out_channels: int, kernel: int) -> list[nn.Module]:
            return [nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]

        self.base = nn.Sequential(*over_time(feature_dim), *over_time(wide))
        self.start, self.end = boundary(), boundary()
        self.proposal = nn.Sequential(*over_time(wide, groups=1))
        self.matching = BoundaryMatching(wide, sampled, num_steps, boundary_ratio, num_samples, samples_per_bin)
        self.map = nn.Sequential(
            *over_map(sampled, flat, 1), *over_map(flat, flat, 3), *over_map(flat, flat, 3), nn.Conv2d(flat, 2, 1)
        )

    def forward(self, x: Tensor) -> BMNOutput:
        check_features(x, self.feature_dim, self.num_steps)
        x = self.base(x)
        confidence_map = self.map(F.relu(self.matching(self.proposal(x)))).sigmoid()
        return BMNOutput(confidence_map, self.start(x).squeeze(1).sigmoid(), self.end(x).squeeze(1).sigmoid())


@register_model
def bmn(**kwargs) -> BMN:
    """BMN on two-stream features of 400 classes: (B, 400, 100) -> maps of (B, 2, 100, 100), (B, 100) and (B, 100)."""
    return BMN(**kwargs)
