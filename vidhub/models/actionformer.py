"""ActionFormer: every step of a pyramid of features tells what happens there, since when and until when.

Zhang et al., "ActionFormer: Localizing Moments of Actions with Transformers", ECCV 2022,
https://arxiv.org/abs/2202.07925. Published on THUMOS14 with I3D features: 66.8 % mean mAP at IoUs of 0.3 to 0.7.

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
from .layers.attention import ChannelNorm
from .layers.localizer import (
    ConvLayers,
    MaskedConv,
    PointHead,
    PointOutput,
    check_features,
    check_ranges,
    max_pool,
    pyramid_points,
    zero_biases,
)
from .layers.recognizer import place_like

RANGES = ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10_000))
_BLOCK = 64  # queries that share their keys in local attention


def local_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int) -> Tensor:
    """Attention of every step to the ``window`` steps around it: (B, heads, T, d) each, mask bool (B, T)."""
    batch, heads, steps, _ = q.shape
    reach, block = window // 2, min(_BLOCK, steps)
    blocks = -(-steps // block)
    extra = blocks * block - steps
    q = F.pad(q, (0, 0, 0, extra)).unflatten(2, (blocks, block))
    # the keys of each block of queries: those of the block and as many before and after as the window reaches
    k, v = (F.pad(x, (0, 0, reach, reach + extra)).unfold(2, block + 2 * reach, block).transpose(3, 4) for x in (k, v))
    known = F.pad(mask, (reach, reach + extra)).unfold(1, block + 2 * reach, block)[:, None, :, None]
    distance = torch.arange(block + 2 * reach, device=q.device) - torch.arange(block, device=q.device)[:, None]
    # every step may see itself: one outside the video has nothing else
    allowed = ((distance >= 0) & (distance <= 2 * reach) & known) | (distance == reach)
    allowed = allowed.expand(batch, heads, -1, -1, -1)
    q, k, v, allowed = (x.flatten(1, 2) for x in (q, k, v, allowed))
    x = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    return x.unflatten(1, (heads, blocks)).flatten(2, 3)[:, :, :steps]


class ConvAttention(nn.Module):
    """Local self-attention of steps mixed with their neighbours, which may halve their number."""

    def __init__(self, dim: int, num_heads: int, window: int, stride: int):
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.mix = nn.ModuleList(MaskedConv(dim, dim, 3, stride, groups=dim, bias=False) for _ in range(3))
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(3))
        self.qkv = nn.ModuleList(nn.Conv1d(dim, dim, 1) for _ in range(3))
        self.proj = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        heads = []
        for mix, norm, project in zip(self.mix, self.norms, self.qkv, strict=True):
            mixed, shorter = mix(x, mask)
            heads.append(project(norm(mixed)).unflatten(1, (self.num_heads, -1)).transpose(2, 3))
        x = local_attention(*heads, shorter[:, 0], self.window)
        return self.proj(x.transpose(2, 3).flatten(1, 2)) * shorter, shorter


class Block(nn.Module):
    """Transformer block on (B, C, T); with a stride of 2 the shortcut keeps the larger of neighbours."""

    def __init__(self, dim: int, num_heads: int, window: int, stride: int = 1, drop_path: float = 0.0):
        super().__init__()
        self.stride = stride
        self.norm1, self.norm2 = ChannelNorm(dim), ChannelNorm(dim)
        self.attn = ConvAttention(dim, num_heads, window, stride)
        self.mlp = nn.Sequential(nn.Conv1d(dim, 4 * dim, 1), nn.GELU(), nn.Conv1d(4 * dim, dim, 1))
        self.scale1, self.scale2 = LayerScale(dim, 1e-4), LayerScale(dim, 1e-4)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        attended, shorter = self.attn(self.norm1(x), mask)
        x = x if self.stride == 1 else max_pool(x, mask, self.stride)[0]
        x = x * shorter + self.drop_path(_scaled(self.scale1, attended))
        return x + self.drop_path(_scaled(self.scale2, self.mlp(self.norm2(x)) * shorter)), shorter


def _scaled(scale: LayerScale, x: Tensor) -> Tensor:
    return scale(x.transpose(1, 2)).transpose(1, 2)


class ActionFormer(nn.Module):
    """Features (B, C, T), and which of the steps are inside the video -> ``PointOutput``.

    Args:
        feature_dim: channels of the features.
        dim: channels inside.
        depths: convolutions before, blocks at full length, blocks that halve the length.
        window: steps that attention looks at.
        ranges: for each level the shortest and the longest segment meant for it: the longer of its two sides, in steps.
    """

    default_data_config = SegmentConfig(
        feature_dim=2048, num_steps=None, soft_nms_alpha=0.5, soft_nms_low=0.0, soft_nms_high=0.0, top_k=200,
        min_score=0.001,
    )  # fmt: skip
    num_steps = None

    def __init__(
        self,
        num_classes: int = 20,
        feature_dim: int = 2048,
        *,
        dim: int = 512,
        depths: tuple[int, int, int] = (2, 2, 5),
        num_heads: int = 4,
        window: int = 19,
        head_depth: int = 3,
        drop_path: float = 0.1,
        ranges: Sequence[tuple[float, float]] = RANGES,
    ):
        super().__init__()
        self.num_classes, self.feature_dim, self.ranges = num_classes, feature_dim, tuple(map(tuple, ranges))
        convs, plain, halving = depths
        check_ranges(self.ranges, halving)
        if dim % num_heads:
            raise InputError(f"dim must be a multiple of the {num_heads} heads, not {dim}.")
        self.embed = ConvLayers(feature_dim, dim, 3, convs)
        strides = [1] * plain + [2] * halving
        self.blocks = nn.ModuleList(Block(dim, num_heads, window, stride, drop_path) for stride in strides)
        zero_biases(self.blocks)
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(halving + 1))
        self.head = PointHead(dim, num_classes, halving + 1, depth=head_depth, prior=0.01)
        self.offsets = PointHead(dim, 2, halving + 1, depth=head_depth, positive=True)
        # a moving average of how many points of a batch have a segment, by which the losses are divided
        self.register_buffer("num_positive", torch.tensor(100.0))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> PointOutput:
        check_features(x, self.feature_dim)
        mask = torch.ones_like(x[:, :1], dtype=torch.bool) if mask is None else mask[:, None]
        levels, masks = self.pyramid(self.embed(x, mask), mask)
        logits, offsets = (torch.cat(head(levels, masks), 2).transpose(1, 2) for head in (self.head, self.offsets))
        points = pyramid_points([level.shape[2] for level in levels], self.ranges, x)
        return PointOutput(logits, offsets, points, torch.cat(masks, 2)[:, 0])

    def pyramid(self, x: Tensor, mask: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, dim, T) -> the levels and their masks, each half as long as the one before."""
        levels, masks = [], []
        first = len(self.blocks) - len(self.norms)
        for i, block in enumerate(self.blocks):
            x, mask = block(x, mask)
            if i >= first:
                levels.append(self.norms[i - first](x) * mask)
                masks.append(mask)
        return levels, masks

    def get_classifier(self) -> nn.Module:
        return self.head.out

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one."""
        self.num_classes = num_classes
        self.head.reset(num_classes)
        place_like(self.head.out, self)


@register_model
def actionformer(**kwargs) -> ActionFormer:
    """ActionFormer on I3D features: (B, 2048, T) -> points of six levels, (B, N, num_classes) and (B, N, 2)."""
    return ActionFormer(**kwargs)
