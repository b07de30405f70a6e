"""CTR-GCN: graph convolutions with an adjacency for every channel, refined by the skeleton.

Chen et al., "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition", ICCV 2021,
https://arxiv.org/abs/2107.12213. Reported on NTU RGB+D 60 (cross-subject, 3D, four streams): 92.4 % top-1. Written from
the paper: MMAction2's folder of projects has weights, but of a network that differs in details.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..weights.skeletons import LayoutLike
from ._registry import register_model
from .layers.graph import GraphNetwork, TemporalConv, adjacency, conv_norm


class Refinement(nn.Module):
    """What refines a topology for each channel, and the features that it joins: (N, C', V, V), (N, C', T, V)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        hidden = max(in_channels // 8, 8)
        self.query = nn.Conv2d(in_channels, hidden, 1)
        self.key = nn.Conv2d(in_channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, out_channels, 1)
        self.value = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k = self.query(x).mean(2), self.key(x).mean(2)  # N, R, V
        related = (q[..., None] - k[..., None, :]).tanh()  # N, R, V, V
        return self.expand(related), self.value(x)


class RefinedGraphConv(nn.Module):
    """The sum over the subsets of neighbours, around a shortcut: (N, C, T, V) -> (N, C', T, V)."""

    def __init__(self, in_channels: int, out_channels: int, A: Tensor):
        super().__init__()
        self.A = nn.Parameter(A.clone())
        self.alpha = nn.Parameter(torch.zeros(1))
        self.subsets = nn.ModuleList(Refinement(in_channels, out_channels) for _ in A)
        self.bn = nn.BatchNorm2d(out_channels)
        self.down = nn.Identity() if in_channels == out_channels else conv_norm(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = 0
        for shared, subset in zip(self.A, self.subsets, strict=True):
            refined, value = subset(x)
            out = out + torch.einsum("ncuv,nctv->nctu", shared + self.alpha * refined, value)
        return F.relu(self.bn(out) + self.down(x), inplace=True)


class MultiScaleTime(nn.Module):
    """Kernels of 5 frames at two dilations, pooling and a pointwise convolution, side by side."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        width = channels // 4

        def reduce() -> list[nn.Module]:
            return [*conv_norm(channels, width), nn.ReLU(inplace=True)]

        self.branches = nn.ModuleList(
            nn.Sequential(*reduce(), TemporalConv(width, width, 5, stride, dilation)) for dilation in (1, 2)
        )
        pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.branches.append(nn.Sequential(*reduce(), pool, nn.BatchNorm2d(width)))
        self.branches.append(TemporalConv(channels, width, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class CTRGCN(GraphNetwork):
    """CTR-GCN: (B, M, T, V, C) -> (B, num_classes).

    Args:
        layout: the skeleton: a name, or one's own edges (joint, joint nearer the centre).
        depths: blocks of each stage; a stage has twice the channels and half the frames of the one before it.
        width: channels of the first stage.
        num_persons: M, which the first batch norm tells apart.
    """

    def __init__(
        self,
        num_classes: int = 60,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        layout: LayoutLike = "nturgb+d",
        depths: Sequence[int] = (4, 3, 3),
        width: int = 64,
        num_persons: int = 2,
    ):
        super().__init__(num_classes, in_chans, layout, num_persons)
        A = adjacency(layout, "spatial").float()

        def parts(in_channels: int, channels: int, stride: int) -> tuple[nn.Module, nn.Module]:
            return RefinedGraphConv(in_channels, channels, A), MultiScaleTime(channels, stride)

        self.add_head(self.add_blocks(depths, width, parts), dropout)
        for module in self.modules():
            if isinstance(module, RefinedGraphConv):
                nn.init.constant_(module.bn.weight, 1e-6)  # training starts from the shortcuts


@register_model
def ctrgcn(**kwargs) -> CTRGCN:
    """CTR-GCN: (B, 2, 100, 25, 3) -> (B, num_classes)."""
    return CTRGCN(**kwargs)
