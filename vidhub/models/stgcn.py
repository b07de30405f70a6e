"""ST-GCN and ST-GCN++: graph convolutions over the joints of skeletons, convolutions over frames.

ST-GCN: Yan et al., "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition", AAAI 2018,
https://arxiv.org/abs/1801.07455. ST-GCN++: Duan et al., "PYSKL", 2022, https://arxiv.org/abs/2205.09443.
Published on NTU RGB+D 60 (cross-subject, joints in 3D): ST-GCN 88.1, ST-GCN++ 89.1 % top-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import check_choice
from ..weights.skeletons import LayoutLike
from ._registry import register_model
from .layers.graph import GraphNetwork, Strategy, TemporalConv, Zero, adjacency, conv_norm

Learned = Literal["importance", "start"]


class GraphConv(nn.Module):
    """Convolution over neighbouring joints: (N, C, T, V) -> (N, C', T, V).

    Args:
        learned: "importance": each entry of the adjacency matrices gets a weight; "start": the matrices themselves are
            weights, which start as the adjacency.
        residual: add a shortcut before the activation.
    """

    def __init__(self, in_channels: int, out_channels: int, A: Tensor, learned: Learned, residual: bool):
        super().__init__()
        check_choice("learned", learned, get_args(Learned))
        self.importance = nn.Parameter(torch.ones_like(A)) if learned == "importance" else None
        if learned == "importance":
            self.register_buffer("A", A.clone())
        else:
            self.A = nn.Parameter(A.clone())
        self.conv = nn.Conv2d(in_channels, len(A) * out_channels, 1)
        self.bn = nn.BatchNorm2d(out_channels)
        self.down = Zero() if not residual else nn.Identity()
        if residual and in_channels != out_channels:
            self.down = conv_norm(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        A = self.A if self.importance is None else self.A * self.importance
        # with the channels last the sum over matrices and joints is one product, and nothing is copied
        out = self.conv(x).permute(0, 2, 3, 1)  # N, T, V, K * C'
        joints = out.shape[2]
        out = out.unflatten(-1, (len(A), -1)).flatten(2, 3)  # N, T, V * K, C'
        out = A.permute(2, 1, 0).reshape(joints, -1) @ out
        return F.relu(self.bn(out.permute(0, 3, 1, 2)) + self.down(x), inplace=True)


class MultiScaleConv(nn.Module):
    """Convolutions over frames with several dilations, and pooling, side by side: (N, C, T, V) -> (N, C, T', V)."""

    def __init__(self, channels: int, stride: int, dilations: Sequence[int] = (1, 2, 3, 4)):
        super().__init__()
        width = channels // (len(dilations) + 2)
        widths = [channels - width * (len(dilations) + 1)] + [width] * (len(dilations) - 1)  # the first takes the rest

        def reduce(out_channels: int) -> list[nn.Module]:
            return [*conv_norm(channels, out_channels), nn.ReLU(inplace=True)]

        self.branches = nn.ModuleList()
        for out_channels, dilation in zip(widths, dilations, strict=True):
            conv = nn.Conv2d(out_channels, out_channels, (3, 1), (stride, 1), (dilation, 0), (dilation, 1))
            self.branches.append(nn.Sequential(*reduce(out_channels), conv))
        self.branches.append(nn.Sequential(*reduce(width), nn.MaxPool2d((3, 1), (stride, 1), (1, 0))))
        self.branches.append(nn.Conv2d(channels, width, 1, (stride, 1)))
        self.transform = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1)
        )
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.transform(torch.cat([branch(x) for branch in self.branches], 1)))


class STGCN(GraphNetwork):
    """ST-GCN or ST-GCN++: (B, M, T, V, C) -> (B, num_classes).

    Args:
        layout: the skeleton: a name, or one's own edges (joint, joint nearer the centre).
        depths: blocks of each stage; a stage has twice the channels and half the frames of the one before it.
        width: channels of the first stage.
        strategy: how the graph becomes adjacency matrices; see ``adjacency``.
        learned, residual: see ``GraphConv``.
        multi_scale: convolutions of several dilations over frames, not one of 9 frames.
        drop: dropout after the convolutions over frames.
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
        strategy: Strategy = "distance_spatial",
        learned: Learned = "importance",
        residual: bool = False,
        multi_scale: bool = False,
        drop: float = 0.0,
    ):
        super().__init__(num_classes, in_chans, layout)
        A = adjacency(layout, strategy).float()
        tcn = MultiScaleConv if multi_scale else lambda channels, stride: TemporalConv(channels, channels, 9, stride)

        def parts(in_channels: int, channels: int, stride: int) -> tuple[nn.Module, nn.Module]:
            over_time = tcn(channels, stride)
            over_time = nn.Sequential(over_time, nn.Dropout(drop)) if drop else over_time
            return GraphConv(in_channels, channels, A, learned, residual), over_time

        self.add_head(self.add_blocks(depths, width, parts), dropout)


@register_model
def stgcn(**kwargs) -> STGCN:
    """ST-GCN: (B, 2, 100, 25, 3) -> (B, num_classes)."""
    return STGCN(**kwargs)


@register_model
def stgcnpp(**kwargs) -> STGCN:
    """ST-GCN++: (B, 2, 100, 25, 3) -> (B, num_classes)."""
    return STGCN(**{"strategy": "spatial", "learned": "start", "residual": True, "multi_scale": True, **kwargs})
