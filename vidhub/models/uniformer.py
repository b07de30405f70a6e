"""UniFormer: local relations by depthwise convolutions in the first half, global ones by attention in the second.

Li et al., "UniFormer: Unified Transformer for Efficient Spatial-Temporal Representation Learning", ICLR 2022,
https://arxiv.org/abs/2201.04676. Published on Kinetics-400 (4 clips): S with 16 frames 80.9, B with 16 frames 82.0, B
with 32 frames 83.1 % top-1.
"""

from __future__ import annotations

from timm.layers import DropPath
from torch import Tensor, nn

from ._registry import register_model
from .layers.attention import Attention, drop_path_rates, init_transformer, mlp
from .layers.recognizer import ClassifierHead, Recognizer


class PatchEmbed(nn.Module):
    """A strided convolution, its outputs normalised over the channels: (B, C, T, H, W) -> (B, D, t, h, w)."""

    def __init__(self, in_channels: int, channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]):
        super().__init__()
        self.proj = nn.Conv3d(in_channels, channels, kernel, stride, padding=(kernel[0] // 2, 0, 0))
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x).movedim(1, -1)).movedim(-1, 1)


class LocalBlock(nn.Module):
    """Depthwise 3x3x3 positions, depthwise 5x5x5 relations and an MLP, each added: maps (B, C, t, h, w)."""

    def __init__(self, dim: int, mlp_ratio: float, drop_path: float):
        super().__init__()
        self.pos_embed = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.BatchNorm3d(dim)
        self.conv1 = nn.Conv3d(dim, dim, 1)
        self.attn = nn.Conv3d(dim, dim, 5, padding=2, groups=dim)
        self.conv2 = nn.Conv3d(dim, dim, 1)
        self.norm2 = nn.BatchNorm3d(dim)
        hidden = round(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Conv3d(dim, hidden, 1), nn.GELU(), nn.Conv3d(hidden, dim, 1))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class GlobalBlock(nn.Module):
    """Depthwise 3x3x3 positions, attention over the whole map and an MLP, each added: maps (B, C, t, h, w)."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, drop_path: float):
        super().__init__()
        self.pos_embed = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = mlp(dim, mlp_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        grid = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)  # (B, N, C)
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x.transpose(1, 2).unflatten(2, grid)


class UniFormer(Recognizer):
    """UniFormer network: (B, C, T, H, W) -> (B, num_classes), for clips of any length and size.

    Args:
        depths: blocks of the four stages; those of the first two are local.
        dims: their channels.
        head_dim: channels of an attention head.
        num_frames, img_size: of the clips it is meant for; they change the data configuration alone.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    stages = ("layer1", "layer2", "layer3", "layer4")

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        depths: tuple[int, int, int, int] = (3, 4, 8, 3),
        dims: tuple[int, int, int, int] = (64, 128, 320, 512),
        head_dim: int = 64,
        mlp_ratio: float = 4.0,
        num_frames: int = 16,
        img_size: int = 224,
        drop_path_rate: float = 0.0,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.feature_info = []
        channels = in_chans
        for i, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
            kernel, stride = ((3, 4, 4), (2, 4, 4)) if i == 0 else ((1, 2, 2), (1, 2, 2))
            blocks = [PatchEmbed(channels, dim, kernel, stride)]
            for _ in range(depth):
                rate = next(rates)
                if i < 2:
                    blocks.append(LocalBlock(dim, mlp_ratio, rate))
                else:
                    blocks.append(GlobalBlock(dim, dim // head_dim, mlp_ratio, rate))
            if i == 3:
                blocks.append(nn.BatchNorm3d(dim))
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            self.feature_info.append({"module": f"layer{i + 1}", "num_chs": dim, "reduction": (2, 4 * 2**i)})
            channels = dim
        self.head = ClassifierHead(channels, num_classes, dropout)
        init_transformer(self)


@register_model
def uniformer_small(**kwargs) -> UniFormer:
    """UniFormer-S: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return UniFormer(**kwargs)


@register_model
def uniformer_base(**kwargs) -> UniFormer:
    """UniFormer-B: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return UniFormer(**{"depths": (5, 8, 20, 7), **kwargs})
