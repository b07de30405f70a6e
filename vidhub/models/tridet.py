"""TriDet: a convolutional pyramid whose points find boundaries among the steps around them.

Shi et al., "TriDet: Temporal Action Detection with Relative Boundary Modeling", CVPR 2023,
https://arxiv.org/abs/2303.07347. Published on THUMOS14 with I3D features: 69.3 % mean mAP at IoUs of 0.3 to 0.7.

The arguments' defaults are that configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import DropPath, LayerScale
from torch import Tensor, nn

from ..errors import InputError
from ..weights.types import SegmentConfig
from ._registry import register_model
from .actionformer import RANGES
from .layers.attention import ChannelNorm
from .layers.localizer import (
    ConvLayers,
    PointHead,
    PointOutput,
    check_features,
    check_ranges,
    max_pool,
    pyramid_points,
    zero_biases,
)
from .layers.recognizer import place_like

_GROUPS = 16  # of the group norms


class SGP(nn.Module):
    """Scalable-granularity perception: every step against the video's mean and against two windows around it.

    Args:
        kernel: of the smaller window.
        growth: how many times wider the larger one is.
        std: of the weights at the start. At 0, as published, both factors of each product are 0 and neither ever gets
            a gradient: what comes out is what went in.
    """

    def __init__(self, dim: int, kernel: int, growth: float, std: float):
        super().__init__()
        wide = round((kernel + 1) * growth) // 2 * 2 + 1

        def each(size: int) -> nn.Conv1d:
            conv = nn.Conv1d(dim, dim, size, padding=size // 2, groups=dim)
            nn.init.normal_(conv.weight, std=std)
            return conv

        self.instant, self.mean = each(1), each(1)
        self.window, self.small, self.large = each(kernel), each(kernel), each(wide)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x * mask
        mean = x.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
        return self.instant(x) * F.relu(self.mean(mean)) + (self.small(x) + self.large(x)) * self.window(x) + x


class MaskedGroupNorm(nn.GroupNorm):
    """Group norm of (B, C, T) over the steps inside the video."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        groups = x.unflatten(1, (self.num_groups, -1))
        inside = mask[:, None]
        count = (inside.sum(-1, keepdim=True) * groups.shape[2]).clamp(min=1)
        mean = (groups * inside).sum((2, 3), keepdim=True) / count
        variance = ((groups - mean).square() * inside).sum((2, 3), keepdim=True) / count
        normal = ((groups - mean) * (variance + self.eps).rsqrt()).flatten(1, 2)
        return normal * self.weight[:, None] + self.bias[:, None]


class Block(nn.Module):
    """SGP and a perceptron of two layers on (B, C, T); with a stride of 2 it takes the larger of neighbours first.

    What a block with a stride adds is small at the start and dropped at random; a plain one adds all it finds.
    """

    def __init__(self, dim: int, hidden: int, kernel: int, growth: float, std: float, stride: int, drop_path: float):
        super().__init__()
        self.stride = stride
        self.norm1, self.norm2 = ChannelNorm(dim), MaskedGroupNorm(_GROUPS, dim)
        self.sgp = SGP(dim, kernel, growth, std)
        self.mlp = nn.Sequential(nn.Conv1d(dim, hidden, 1), nn.GELU(), nn.Conv1d(hidden, dim, 1))
        self.scale1, self.scale2 = (LayerScale(dim, 1e-4) if stride > 1 else None for _ in range(2))
        self.drop_path = DropPath(drop_path if stride > 1 else 0.0)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if self.stride > 1:
            x, mask = max_pool(x, mask, self.stride)
        x = x * mask + self._weighted(self.scale1, self.sgp(self.norm1(x), mask))
        return (x + self._weighted(self.scale2, self.mlp(self.norm2(x, mask)))) * mask, mask

    def _weighted(self, scale: LayerScale | None, x: Tensor) -> Tensor:
        return x if scale is None else self.drop_path(scale(x.transpose(1, 2)).transpose(1, 2))


class TriDet(nn.Module):
    """Features (B, C, T), and which of the steps are inside the video -> ``PointOutput``, with offsets for each class.

    Args:
        feature_dim: channels of the features.
        dim: channels inside; ``hidden`` in the perceptrons.
        depths: convolutions before, blocks at full length, blocks that halve the length.
        kernel, growth, init_std: see ``SGP``; the kernel is that of the blocks that halve the length, of others 1.
        num_bins: steps of its level before and after a point among which its boundaries are.
        ranges: for each level the shortest and the longest segment meant for it: the longer of its two sides, in steps.
        iou_power: by which power of its IoU a positive classification counts in the loss.
        input_noise: standard deviation of what is added to the features in training.
    """

    default_data_config = SegmentConfig(
        feature_dim=2048, num_steps=None, soft_nms_alpha=0.5, soft_nms_low=0.0, soft_nms_high=0.0, top_k=2000,
        min_score=0.001,
    )  # fmt: skip
    num_steps = None

    def __init__(
        self,
        num_classes: int = 20,
        feature_dim: int = 2048,
        *,
        dim: int = 512,
        hidden: int = 768,
        depths: tuple[int, int, int] = (2, 2, 5),
        kernel: int = 1,
        growth: float = 5.0,
        init_std: float = 0.0,
        head_depth: int = 3,
        num_bins: int = 16,
        drop_path: float = 0.1,
        ranges: Sequence[tuple[float, float]] = RANGES,
        iou_power: float = 0.2,
        input_noise: float = 0.0005,
    ):
        super().__init__()
        self.num_classes, self.feature_dim, self.ranges = num_classes, feature_dim, tuple(map(tuple, ranges))
        self.num_bins, self.iou_power, self.head_depth = num_bins, iou_power, head_depth
        self.input_noise = input_noise
        convs, plain, halving = depths
        check_ranges(self.ranges, halving)
        if dim % _GROUPS:
            raise InputError(f"dim must be a multiple of {_GROUPS}, not {dim}.")
        self.embed = ConvLayers(feature_dim, dim, 3, convs)
        sizes = [(1, 1)] * plain + [(kernel, 2)] * halving
        self.blocks = nn.ModuleList(Block(dim, hidden, k, growth, init_std, s, drop_path) for k, s in sizes)
        zero_biases(self.blocks)
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(halving + 1))
        self.center = PointHead(dim, 2 * (num_bins + 1), halving + 1, depth=head_depth, positive=True)
        self.classifier = self._classifier(dim)
        # a moving average of how many points of a batch have a segment, by which the losses are divided
        self.register_buffer("num_positive", torch.tensor(100.0))

    def _classifier(self, dim: int) -> nn.ModuleDict:
        """What has an output a class: the classes themselves, and where their segments start and end."""
        levels = len(self.norms)
        names = ("classes", "start", "end")
        return nn.ModuleDict(
            {name: PointHead(dim, self.num_classes, levels, depth=self.head_depth, prior=0.01) for name in names}
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> PointOutput:
        check_features(x, self.feature_dim)
        mask = torch.ones_like(x[:, :1], dtype=torch.bool) if mask is None else mask[:, None]
        levels, masks = [], []
        if self.training and self.input_noise:
            x = x + self.input_noise * torch.randn_like(x)
        x = self.embed(x, mask)
        first = len(self.blocks) - len(self.norms)
        for i, block in enumerate(self.blocks):
            x, mask = block(x, mask)
            if i >= first:
                levels.append(self.norms[i - first](x) * mask)
                masks.append(mask)
        logits = torch.cat(self.classifier["classes"](levels, masks), 2).transpose(1, 2)
        fixed = [level.detach() for level in levels]  # boundaries do not shape the features
        parts = zip(self.center(levels, masks), *(self.classifier[k](fixed, masks) for k in ("start", "end")),
                    strict=True)  # fmt: skip
        offsets = torch.cat([self.decode(*part) for part in parts], 1)
        points = pyramid_points([level.shape[2] for level in levels], self.ranges, x)
        return PointOutput(logits, offsets, points, torch.cat(masks, 2)[:, 0])

    def decode(self, center: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Mean distances to the boundaries by the bins' probabilities: (B, T, classes, 2).

        Args:
            center: (B, 2 * (bins + 1), T), what each point says of the steps before and after it.
            start, end: (B, classes, T), what each step says of being a boundary.
        """
        bins = self.num_bins
        center = center.transpose(1, 2).unflatten(2, (2, 1, bins + 1))  # (B, T, 2, 1, bins + 1)
        before = F.pad(start, (bins, 0)).unfold(2, bins + 1, 1).transpose(1, 2)  # (B, T, classes, bins + 1)
        after = F.pad(end, (0, bins)).unfold(2, bins + 1, 1).transpose(1, 2)
        distance = torch.arange(bins + 1, device=center.device, dtype=center.dtype)
        left = (before + center[:, :, 0]).softmax(-1) @ distance.flip(0)
        right = (after + center[:, :, 1]).softmax(-1) @ distance
        return torch.stack((left, right), -1)

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replace what has an output a class by new ones."""
        self.num_classes = num_classes
        self.classifier = place_like(self._classifier(self.classifier["classes"].out.in_channels), self)


@register_model
def tridet(**kwargs) -> TriDet:
    """TriDet on I3D features: (B, 2048, T) -> points of six levels, (B, N, num_classes) and (B, N, num_classes, 2)."""
    return TriDet(**kwargs)
