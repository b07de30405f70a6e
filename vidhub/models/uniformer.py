"""UniFormer: depthwise convolutions as attention among neighbours in two stages, attention among all in two more.

Li et al., "UniFormer: Unified Transformer for Efficient Spatiotemporal Representation Learning", ICLR 2022,
https://arxiv.org/abs/2201.04676. Published on Kinetics-400 (4 clips): S 16x4 80.9, B 16x4 82.0, B 32x4 83.1 % top-1.
"""

from __future__ import annotations

from collections.abc import Sequence

from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from ._registry import register_model
from .layers.attention import Attention, drop_path_rates, init_transformer
from .layers.pyramid import ChannelNorm, NormHead, PyramidRecognizer


def depthwise(dim: int, kernel: int) -> nn.Conv3d:
    """Cubic convolution of each channel for itself, that keeps the extent."""
    return nn.Conv3d(dim, dim, kernel, padding=kernel // 2, groups=dim)


class LocalBlock(nn.Module):
    """A convolution in the place of attention, and an MLP of 1x1x1 convolutions: (B, C, T, H, W)."""

    def __init__(self, dim: int, drop_path: float):
        super().__init__()
        self.pos_embed = depthwise(dim, 3)
        self.norm1 = nn.BatchNorm3d(dim)
        self.conv1 = nn.Conv3d(dim, dim, 1)
        self.attn = depthwise(dim, 5)
        self.conv2 = nn.Conv3d(dim, dim, 1)
        self.norm2 = nn.BatchNorm3d(dim)
        self.mlp = nn.Sequential(nn.Conv3d(dim, 4 * dim, 1), nn.GELU(), nn.Conv3d(4 * dim, dim, 1))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class GlobalBlock(nn.Module):
    """Attention of all to all and an MLP, with positions from a convolution: (B, C, T, H, W)."""

    def __init__(self, dim: int, num_heads: int, drop_path: float):
        super().__init__()
        self.pos_embed = depthwise(dim, 3)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        grid = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)  # (B, N, C)
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x.transpose(1, 2).unflatten(2, grid)


class Stage(nn.Module):
    """Patches joined into one token each, layer norm, blocks: (B, C, T, H, W) -> (B, dim, t, h, w)."""

    def __init__(self, embed: nn.Conv3d, blocks: Sequence[nn.Module]):
        super().__init__()
        self.embed = embed
        self.norm = ChannelNorm(embed.out_channels)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.norm(self.embed(x)))


class UniFormer(PyramidRecognizer):
    """UniFormer network: (B, C, T, H, W) -> (B, num_classes), for clips of any length and size.

    Args:
        depths: blocks of the four stages.
        dims: channels of the four stages.
        head_dim: channels of an attention head.
        num_frames, img_size: of the clips it is meant for; they change the data configuration alone.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        depths: Sequence[int] = (3, 4, 8, 3),
        dims: Sequence[int] = (64, 128, 320, 512),
        head_dim: int = 64,
        num_frames: int = 16,
        img_size: int = 224,
        drop_path_rate: float = 0.1,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.stages = ("layer1", "layer2", "layer3", "layer4")
        self.feature_info = []
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        width = in_chans
        for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            if i == 0:  # the only one that joins frames, which overlap
                embed = nn.Conv3d(width, dim, (3, 4, 4), (2, 4, 4), (1, 0, 0))
            else:
                embed = nn.Conv3d(width, dim, (1, 2, 2), (1, 2, 2))
            if i < 2:
                blocks = [LocalBlock(dim, next(rates)) for _ in range(depth)]
            else:
                blocks = [GlobalBlock(dim, dim // head_dim, next(rates)) for _ in range(depth)]
            setattr(self, f"layer{i + 1}", Stage(embed, blocks))
            self.feature_info.append({"module": f"layer{i + 1}", "num_chs": dim, "reduction": (2, 4 << i)})
            width = dim
        self.head = NormHead(width, num_classes, dropout, nn.BatchNorm3d(width))
        init_transformer(self)


@register_model
def uniformer_small(**kwargs) -> UniFormer:
    """UniFormer-S: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return UniFormer(**kwargs)


@register_model
def uniformer_base(**kwargs) -> UniFormer:
    """UniFormer-B: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return UniFormer(**{"depths": (5, 8, 20, 7), "drop_path_rate": 0.3, **kwargs})
