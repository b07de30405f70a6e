"""2s-AGCN: graph convolutions whose adjacency is learned, and depends on the skeleton too.

Shi et al., "Two-Stream Adaptive Graph Convolutional Networks for Skeleton-Based Action Recognition", CVPR 2019,
https://arxiv.org/abs/1805.07694. The two streams, joints and bones, are networks of their own whose scores are added.
Published on NTU RGB+D 60 (cross-subject, 3D): joints 88.3, bones 89.2 % top-1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..weights.skeletons import LayoutLike
from ._registry import register_model
from .layers.graph import GraphNetwork, TemporalConv, adjacency, conv_norm


class AdaptiveGraphConv(nn.Module):
    """Convolution over joints, as near as the graph, training and their features make them: (N, C, T, V) -> same."""

    def __init__(self, in_channels: int, out_channels: int, A: Tensor):
        super().__init__()
        self.A = nn.Parameter(A.clone())
        self.alpha = nn.Parameter(torch.zeros(1))  # of the part that depends on the skeleton
        hidden = out_channels // 4
        self.query = nn.ModuleList(nn.Conv2d(in_channels, hidden, 1) for _ in A)
        self.key = nn.ModuleList(nn.Conv2d(in_channels, hidden, 1) for _ in A)
        self.value = nn.ModuleList(nn.Conv2d(in_channels, out_channels, 1) for _ in A)
        self.bn = nn.BatchNorm2d(out_channels)
        self.down = nn.Identity() if in_channels == out_channels else conv_norm(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = 0
        for A, query, key, value in zip(self.A, self.query, self.key, self.value, strict=True):
            q, k = query(x).flatten(1, 2), key(x).flatten(1, 2)  # N, C' * T, V
            similar = (q.transpose(1, 2) @ k / q.shape[1]).tanh()  # N, V, V
            out = out + value((x.flatten(1, 2) @ (A + self.alpha * similar)).view_as(x))
        return F.relu(self.bn(out) + self.down(x), inplace=True)


class AGCN(GraphNetwork):
    """One stream of 2s-AGCN: (B, M, T, V, C) -> (B, num_classes).

    Args:
        layout: the skeleton: a name, or one's own edges (joint, joint nearer the centre).
        depths: blocks of each stage; a stage has twice the channels and half the frames of the one before it.
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
            return AdaptiveGraphConv(in_channels, channels, A), TemporalConv(channels, channels, 9, stride)

        self.add_head(self.add_blocks(depths, width, parts), dropout)
        for module in self.modules():
            if isinstance(module, AdaptiveGraphConv):
                nn.init.constant_(module.bn.weight, 1e-6)  # training starts from the shortcuts


@register_model
def agcn(**kwargs) -> AGCN:
    """2s-AGCN, one stream: (B, 2, 100, 25, 3) -> (B, num_classes)."""
    return AGCN(**kwargs)
