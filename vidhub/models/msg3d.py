"""MS-G3D: graph convolutions to joints at several distances, and across windows of frames.

Liu et al., "Disentangling and Unifying Graph Convolutions for Skeleton-Based Action Recognition", CVPR 2020,
https://arxiv.org/abs/2003.14111. Reported on NTU RGB+D 60 (cross-subject, 3D): joints 89.4, joints and bones 91.5 %
top-1. Written from the paper: MMAction2's folder of projects has weights, but of a network that differs in details.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..weights.skeletons import LayoutLike
from ._registry import register_model
from .layers.graph import GraphNetwork, TemporalConv, adjacency, conv_norm, matrix_hops, shortcut


def scales(matrix: Tensor, count: int) -> Tensor:
    """(count, V, V): pairs exactly 0, 1, 2 ... hops apart, with the diagonal, normalised by degree on both sides."""
    eye, hops = torch.eye(len(matrix), dtype=torch.float64), matrix_hops(matrix, count - 1)
    parts = torch.stack([torch.maximum((hops == k).double(), eye) for k in range(count)])
    root = parts.sum(-1).rsqrt()
    return root[:, :, None] * parts * root[:, None]


class MultiScaleGraph(nn.Module):
    """Features of joints at each distance, joined and mixed: (N, C, T, V) -> (N, C', T, V)."""

    def __init__(self, in_channels: int, out_channels: int, A: Tensor):
        super().__init__()
        self.register_buffer("A", A.float())
        self.offset = nn.Parameter(torch.empty_like(self.A).uniform_(-1e-6, 1e-6))
        self.mix = conv_norm(in_channels * len(A), out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("kvu,nctu->nkctv", self.A + self.offset, x)
        return F.relu(self.mix(x.flatten(1, 2)), inplace=True)


class MultiScaleTime(nn.Module):
    """Kernels of 3 frames at four dilations, pooling and a pointwise convolution, side by side around a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, act: bool = True):
        super().__init__()
        width = channels // 6

        def reduce() -> list[nn.Module]:
            return [*conv_norm(in_channels, width), nn.ReLU(inplace=True)]

        self.branches = nn.ModuleList(
            nn.Sequential(*reduce(), TemporalConv(width, width, 3, stride, dilation)) for dilation in (1, 2, 3, 4)
        )
        pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.branches.append(nn.Sequential(*reduce(), pool, nn.BatchNorm2d(width)))
        self.branches.append(TemporalConv(in_channels, width, 1, stride))
        self.residual = shortcut(in_channels, channels, stride)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        out = torch.cat([branch(x) for branch in self.branches], 1) + self.residual(x)
        return F.relu(out, inplace=True) if self.act else out


class Window(nn.Module):
    """Graph convolution over all joints of ``size`` neighbouring frames at once: (N, C, T, V) -> (N, C', T', V)."""

    def __init__(self, in_channels: int, channels: int, neighbours: Tensor, num_scales: int, size: int, stride: int):
        super().__init__()
        self.size, self.stride = size, stride
        hidden = channels if in_channels < 16 else in_channels  # coordinates become features
        self.graph = MultiScaleGraph(in_channels, hidden, scales(neighbours.tile(size, size), num_scales))
        self.collapse = nn.Conv3d(hidden, channels, (1, size, 1))
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        joints, pad = x.shape[-1], self.size // 2
        x = F.pad(x, (0, 0, pad, pad)).unfold(2, self.size, self.stride)  # N, C, T', V, size
        x = self.graph(x.transpose(-1, -2).flatten(-2))  # N, C, T', size * V
        return self.bn(self.collapse(x.unflatten(-1, (self.size, joints))).squeeze(3))


class Stage(nn.Module):
    """Windows of 3 and 5 frames beside joints alone, added up, then convolutions over frames."""

    def __init__(self, in_channels: int, channels: int, stride: int, layout: LayoutLike, num_scales: tuple[int, int]):
        super().__init__()
        edges = adjacency(layout, "binary")[0]
        near = edges + torch.eye(len(edges), dtype=torch.float64)
        middle = channels if in_channels < 16 else in_channels
        self.windows = nn.ModuleList(
            Window(in_channels, channels, near, num_scales[1], size, stride) for size in (3, 5)
        )
        self.joints = nn.Sequential(
            MultiScaleGraph(in_channels, middle, scales(edges, num_scales[0])),
            MultiScaleTime(middle, channels, stride),
            MultiScaleTime(channels, channels, act=False),
        )
        self.time = MultiScaleTime(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.joints(x) + sum(window(x) for window in self.windows)
        return self.time(F.relu(out, inplace=True))


class MSG3D(GraphNetwork):
    """MS-G3D: (B, M, T, V, C) -> (B, num_classes).

    Args:
        layout: the skeleton: a name, or one's own edges (joint, joint nearer the centre).
        width: channels of the first stage, a multiple of 6; the three stages double them.
        num_scales: distances of joints that are told apart, within a frame and across frames.
        num_persons: M, which the first batch norm tells apart.
    """

    def __init__(
        self,
        num_classes: int = 60,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        layout: LayoutLike = "nturgb+d",
        width: int = 96,
        num_scales: tuple[int, int] = (13, 6),
        num_persons: int = 2,
    ):
        super().__init__(num_classes, in_chans, layout, num_persons)
        in_channels = in_chans
        for i in range(3):
            stage = Stage(in_channels, width << i, 2 if i else 1, self.layout, num_scales)
            in_channels = width << i
            self.add_stage(stage, in_channels, 1 << i)
        self.add_head(in_channels, dropout)

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Parameter groups by depth: each stage's branches, then what follows them."""
        inner = [(r"^layer(\d+)\.(?:windows|joints)\.", None), (r"^layer(\d+)\.time\.", (1,))]
        return {"stem": r"^data_bn\.", "blocks": r"^layer(\d+)\." if coarse else inner}


@register_model
def msg3d(**kwargs) -> MSG3D:
    """MS-G3D: (B, 2, 100, 25, 3) -> (B, num_classes)."""
    return MSG3D(**kwargs)
