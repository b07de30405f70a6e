"""Skeletons as graphs: adjacency matrices, and what the networks on them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError, check_choice
from ...weights.skeletons import Edge, LayoutLike, find_layout
from ...weights.types import SkeletonConfig
from .recognizer import ClassifierHead, Recognizer

# ---------------------------------------------------------------------------------------------------------- adjacency


def edge_matrix(edges: Sequence[Edge], num_joints: int) -> Tensor:
    """Float64 (V, V): 1 at [j, i] for each edge (i, j)."""
    matrix = torch.zeros(num_joints, num_joints, dtype=torch.float64)
    for i, j in edges:
        matrix[j, i] = 1
    return matrix


def per_column(matrix: Tensor) -> Tensor:
    """Each column divided by its sum; columns of zeros stay."""
    total = matrix.sum(-2, keepdim=True)
    return matrix / torch.where(total > 0, total, 1)


def hop_distances(edges: Sequence[Edge], num_joints: int, max_hop: int | None = None) -> Tensor:
    """Int64 (V, V): edges on the shortest way between two joints; -1 where there is none, or more than ``max_hop``."""
    step = edge_matrix(edges, num_joints)
    return matrix_hops(step + step.T, max_hop)


def matrix_hops(neighbours: Tensor, max_hop: int | None = None) -> Tensor:
    """:func:`hop_distances` where ``neighbours`` (V, V) is not zero for joints one hop apart."""
    num_joints = len(neighbours)
    step = ((neighbours + torch.eye(num_joints, dtype=torch.float64)) > 0).double()
    distances = torch.full((num_joints, num_joints), -1)
    reached = torch.eye(num_joints, dtype=torch.float64)
    for hop in range((num_joints if max_hop is None else max_hop) + 1):
        distances[(distances < 0) & (reached > 0)] = hop
        reached = ((reached @ step) > 0).double()
    return distances


def k_adjacency(edges: Sequence[Edge], num_joints: int, k: int, with_self: bool = True) -> Tensor:
    """Float64 (V, V): 1 for the pairs of joints exactly ``k`` edges apart, and with ``with_self`` the diagonal."""
    matrix = (hop_distances(edges, num_joints, k) == k).double()
    return torch.maximum(matrix, torch.eye(num_joints, dtype=torch.float64)) if with_self else matrix


Strategy = Literal["spatial", "distance_spatial", "binary"]


def adjacency(
    layout: LayoutLike,
    strategy: Strategy = "spatial",
    max_hop: int = 1,
) -> Tensor:
    """The adjacency matrices of a skeleton: float64 (K, V, V).

    Args:
        strategy: "spatial": identity, edges towards the centre and edges away from it, the latter two with columns that
            sum to one. "distance_spatial" (of ST-GCN): pairs of joints at each number of hops up to ``max_hop``, split
            into those where the second one is no further from the centre, and the others. "binary": both directions
            in one matrix.

    Raises:
        UnknownNameError: no such layout or strategy.
    """
    check_choice("adjacency strategy", strategy, get_args(Strategy))
    layout = find_layout(layout)
    count, inward = layout.num_joints, edge_matrix(layout.edges, layout.num_joints)
    if strategy == "spatial":
        return torch.stack([torch.eye(count, dtype=torch.float64), per_column(inward), per_column(inward.T)])
    if strategy == "binary":
        return (inward + inward.T)[None]

    hops = hop_distances(layout.edges, count, max_hop)
    weights = per_column((hops >= 0).double())
    from_center = hops[:, layout.center].clone()
    from_center[from_center < 0] = count  # out of reach: further away than any
    closer = from_center[:, None] >= from_center[None]
    parts = []
    for hop in range(max_hop + 1):
        at_hop = torch.where(hops == hop, weights, 0)
        parts += [at_hop * closer] if hop == 0 else [at_hop * closer, at_hop * ~closer]
    return torch.stack(parts)


# ----------------------------------------------------------------------------------------------------------- networks


class GraphNetwork(Recognizer):
    """Base of the networks on skeleton graphs: skeletons (B, M, T, V, C) -> logits (B, num_classes).

    M is persons, V joints, C coordinates. Stages take and give (B * M, C', T', V); feature maps come out as
    (B, C', T', V, M).

    Args:
        in_chans: C, of all streams together.
        layout: a name of ``LAYOUTS``, or edges of one's own; see ``find_layout``.
        num_persons: M, where the first batch norm tells persons apart, which it then has M * V * C channels for; None:
            any number of them, and V * C channels.
    """

    default_data_config = SkeletonConfig()

    def __init__(self, num_classes: int, in_chans: int, layout: LayoutLike, num_persons: int | None = None):
        super().__init__()
        found = find_layout(layout)
        self.layout, self.num_joints = layout if isinstance(layout, str) else found.edges, found.num_joints
        self.num_classes, self.in_chans, self.num_persons = num_classes, in_chans, num_persons
        self.data_bn = nn.BatchNorm1d((num_persons or 1) * self.num_joints * in_chans)
        self.feature_info = []

    def add_stage(self, stage: nn.Module, channels: int, reduction: int) -> None:
        """Append a stage, with the channels of its output and the frames that one of its frames stands for."""
        name = f"layer{len(self.feature_info) + 1}"
        setattr(self, name, stage)
        self.feature_info.append({"module": name, "num_chs": channels, "reduction": (reduction, 1)})
        self.stages = tuple(info["module"] for info in self.feature_info)

    def add_blocks(
        self, depths: Sequence[int], width: int, parts: Callable[[int, int, int], tuple[nn.Module, nn.Module]]
    ) -> int:
        """Append stages of these many blocks, each with twice the channels and half the frames of the one before it.

        Args:
            width: channels of the first stage.
            parts: from channels, new channels and stride to the convolutions over joints and over frames.

        Returns:
            The channels of the last stage.
        """
        channels = self.in_chans
        for i, depth in enumerate(depths):
            stage = nn.Sequential()
            for j in range(depth):
                stride, shape = 2 if i > 0 and j == 0 else 1, (channels, width << i)
                stage.append(Block(*shape, stride, *parts(*shape, stride), residual=i > 0 or j > 0))
                channels = width << i
            self.add_stage(stage, channels, 1 << i)
        return channels

    def add_head(self, in_features: int, dropout: float) -> None:
        self.head = ClassifierHead(in_features, self.num_classes, dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Skeletons -> the last feature map and those of the stages in ``indices``, each (B, C', T', V, M)."""
        self._check_input(x)
        persons = x.shape[1]

        def unfold(x: Tensor) -> Tensor:
            return x.unflatten(0, (-1, persons)).movedim(1, -1)

        x, maps = self._run_stages(self._normalized(x), indices)
        return unfold(x), [unfold(m) for m in maps]

    def _normalized(self, x: Tensor) -> Tensor:
        """(B, M, T, V, C) -> (B * M, C, T, V)."""
        batch, persons, frames, joints, channels = x.shape
        x = x.permute(0, 1, 3, 4, 2)  # B, M, V, C, T
        x = self.data_bn(x.reshape(-1, self.data_bn.num_features, frames))
        return x.reshape(batch * persons, joints, channels, frames).permute(0, 2, 3, 1).contiguous()

    def _check_input(self, x: Tensor) -> None:
        if torch.jit.is_tracing():
            return
        wanted = (self.num_persons or "persons", "frames", self.num_joints, self.in_chans)
        if x.ndim != 5 or any(isinstance(n, int) and n != m for n, m in zip(wanted, x.shape[1:], strict=True)):
            raise InputError(
                f"expected skeletons of shape (batch, {', '.join(map(str, wanted))}), got {tuple(x.shape)}."
            )
        if min(x.shape[1:3]) < 1:
            raise InputError(f"these skeletons have no frames or no persons: their shape is {tuple(x.shape)}.")

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Parameter groups by depth, as timm's layer decay takes them."""
        return {"stem": r"^data_bn\.", "blocks": r"^layer(\d+)\." if coarse else [(r"^layer(\d+)\.(\d+)\.", None)]}


class TemporalConv(nn.Module):
    """Convolution over frames, and batch norm: (N, C, T, V) -> (N, C', T / stride, V)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 9, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = (kernel + (kernel - 1) * (dilation - 1) - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Zero(nn.Module):
    """No shortcut."""

    def forward(self, x: Tensor) -> int:
        return 0


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity, or a 1x1 convolution with batch norm where the shape changes."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return TemporalConv(in_channels, out_channels, 1, stride)


def conv_norm(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1 convolution and batch norm."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))


class Block(nn.Module):
    """Over joints, then over frames, around a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int, gcn: nn.Module, tcn: nn.Module, residual: bool):
        super().__init__()
        self.gcn, self.tcn = gcn, tcn
        self.residual = shortcut(in_channels, channels, stride) if residual else Zero()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.tcn(self.gcn(x)) + self.residual(x), inplace=True)
