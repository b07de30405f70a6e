"""Video Swin: a transformer that attends within windows of a clip, shifted by half a window in every other block.

Liu et al., "Video Swin Transformer", CVPR 2022, https://arxiv.org/abs/2106.13230. Published by MMAction2 on
Kinetics-400 (4 clips, 3 crops): T 78.9, S 80.5, B 80.6, L 83.5 % top-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from ._registry import register_model
from .layers.attention import ChannelNorm, drop_path_rates, init_transformer
from .layers.pos_embed import Grid, grid_of, resize_positions
from .layers.recognizer import ClassifierHead, Recognizer


def relative_index(window: Grid, table: Grid, device: torch.device | None = None) -> Tensor:
    """Where in a table of (2t-1, 2h-1, 2w-1) offsets, made for windows of ``table``, those of ``window`` are: (N, N).

    >>> relative_index((1, 1, 2), (1, 1, 2)).tolist()
    [[1, 0], [2, 1]]
    """
    axes = torch.meshgrid(*(torch.arange(n, device=device) for n in window), indexing="ij")
    index = 0
    for axis, size in zip(axes, table, strict=True):
        offset = axis.flatten()[:, None] - axis.flatten() + size - 1
        index = index * (2 * size - 1) + offset
    return index


def shift_mask(grid: Grid, window: Grid, shift: Grid, device: torch.device) -> Tensor:
    """True where two tokens of a window of the shifted grid were neighbours before the shift: (windows, N, N)."""
    region = torch.zeros((), dtype=torch.long, device=device)
    for n, by in zip(grid, shift, strict=True):
        wrapped = torch.arange(n, device=device) >= n - by
        region = region[..., None] * 2 + wrapped
    region = to_windows(region[None, ..., None], window)[0, ..., 0]  # (windows, N)
    return region[:, :, None] == region[:, None]


def to_windows(x: Tensor, window: Grid) -> Tensor:
    """(B, T, H, W, C) -> (B, windows, N, C), where the window divides the grid."""
    t, h, w = window
    x = x.unflatten(3, (-1, w)).unflatten(2, (-1, h)).unflatten(1, (-1, t))
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)


def from_windows(x: Tensor, window: Grid, grid: Grid) -> Tensor:
    """(B, windows, N, C) -> (B, T, H, W, C)."""
    counts = [n // size for n, size in zip(grid, window, strict=True)]
    x = x.unflatten(2, window).unflatten(1, counts).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return x.flatten(5, 6).flatten(3, 4).flatten(1, 2)


class WindowAttention(nn.Module):
    """Self-attention within windows, with a learned bias for every offset of two tokens: (B, T, H, W, C) -> the same.

    Along an axis that is no longer than the window there is one window, and no shift.
    """

    def __init__(self, dim: int, num_heads: int, window: Grid, shifted: bool):
        super().__init__()
        self.num_heads, self.window, self.shifted = num_heads, window, shifted
        self.bias_table = nn.Parameter(torch.zeros(math.prod(2 * n - 1 for n in window), num_heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        nn.init.trunc_normal_(self.bias_table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        inner = x.shape[1:4]
        window = tuple(min(n, size) for n, size in zip(inner, self.window, strict=True))
        shift = tuple(size // 2 if self.shifted and n > size else 0 for n, size in zip(inner, self.window, strict=True))
        padding = [-n % size for n, size in zip(inner, window, strict=True)]
        x = F.pad(x, (0, 0, 0, padding[2], 0, padding[1], 0, padding[0]))
        grid = tuple(x.shape[1:4])
        if any(shift):
            x = x.roll([-by for by in shift], (1, 2, 3))
        x = from_windows(self.attend(to_windows(x, window), self.bias(grid, window, shift)), window, grid)
        if any(shift):
            x = x.roll(shift, (1, 2, 3))
        return x[:, : inner[0], : inner[1], : inner[2]]

    def bias(self, grid: Grid, window: Grid, shift: Grid) -> Tensor:
        """What is added to the scores: (1 or windows, heads, N, N)."""
        index = relative_index(window, self.window, self.bias_table.device)
        bias = self.bias_table[index].permute(2, 0, 1)[None]
        if any(shift):
            mask = shift_mask(grid, window, shift, bias.device)
            bias = bias.masked_fill(~mask[:, None], float("-inf"))
        return bias

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        """(B, windows, N, C) -> the same. Windows are laid beside the heads, where one mask serves the whole batch."""
        batch, windows = x.shape[:2]
        x = self.qkv(x).unflatten(3, (3, self.num_heads, -1))
        q, k, v = x.permute(3, 0, 1, 4, 2, 5).flatten(2, 3)  # each (B, windows * heads, N, channels)
        bias = bias.expand(windows, -1, -1, -1).flatten(0, 1)[None].expand(batch, -1, -1, -1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(x.unflatten(1, (windows, -1)).transpose(2, 3).flatten(3))


class SwinBlock(nn.Module):
    """Attention within windows and an MLP, each normalised before and added to what came in: (B, T, H, W, C)."""

    def __init__(self, dim: int, num_heads: int, window: Grid, shifted: bool, drop_path: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, window, shifted)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """Joins the channels of 2x2 neighbours and halves them: (B, T, H, W, C) -> (B, T, H / 2, W / 2, 2 C)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, T, h, 2, w, 2, C)
        x = x.permute(0, 1, 2, 4, 5, 3, 6).flatten(4)  # the vertical neighbour comes second
        return self.reduction(self.norm(x))


class SwinStage(nn.Module):
    """Patch merging, in all stages but the first, and blocks of which every other one is shifted: (B, C, T, H, W)."""

    def __init__(self, dim: int, num_heads: int, window: Grid, drop_path: Sequence[float], merge: bool):
        super().__init__()
        self.merge = PatchMerging(dim // 2) if merge else nn.Identity()
        self.blocks = nn.Sequential(
            *(SwinBlock(dim, num_heads, window, i % 2 == 1, rate) for i, rate in enumerate(drop_path))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.merge(x.movedim(1, -1))).movedim(-1, 1)


class PatchEmbed(nn.Module):
    """Patches of a clip as normalised tokens: (B, C, T, H, W) -> (B, dim, t, h, w); what is left over is padded."""

    def __init__(self, in_chans: int, dim: int, patch: Grid):
        super().__init__()
        self.patch, self.out_channels = patch, dim
        self.proj = nn.Conv3d(in_chans, dim, patch, patch)
        self.norm = ChannelNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        t, h, w = (-n % size for n, size in zip(x.shape[2:], self.patch, strict=True))
        return self.norm(self.proj(F.pad(x, (0, w, 0, h, 0, t))))


class NormHead(ClassifierHead):
    """Layer norm, average pooling, dropout, linear classifier: (B, C, T, H, W) -> (B, num_classes)."""

    def __init__(self, in_features: int, num_classes: int, dropout: float):
        super().__init__(in_features, num_classes, dropout)
        self.norm = ChannelNorm(in_features)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return super().forward(self.norm(x), pre_logits)


class VideoSwin(Recognizer):
    """Video Swin network: (B, C, T, H, W) -> (B, num_classes), for clips of any length and size.

    Args:
        dim: channels of the first stage; each following one has twice as many.
        depths: blocks of the four stages.
        head_dim: channels of an attention head.
        window: extent of the windows, in tokens along time, height, width. Tables of relative positions for another
            window are resized when weights are loaded.
        patch: extent of a token in frames and pixels.
        num_frames, img_size: of the clips it is meant for; they change the data configuration alone.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        head_dim: int = 32,
        window: Grid = (8, 7, 7),
        patch: Grid = (2, 4, 4),
        num_frames: int = 32,
        img_size: int = 224,
        drop_path_rate: float = 0.1,
    ):
        super().__init__()
        self.num_classes, self.in_chans, self.window = num_classes, in_chans, tuple(window)
        self.stages = ("patch_embed", "layer1", "layer2", "layer3", "layer4")
        self.patch_embed = PatchEmbed(in_chans, dim, tuple(patch))
        self.feature_info = [{"module": "patch_embed", "num_chs": dim, "reduction": (patch[0], patch[1])}]
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        for i, depth in enumerate(depths):
            width = dim << i
            stage = SwinStage(width, width // head_dim, self.window, [next(rates) for _ in range(depth)], merge=i > 0)
            setattr(self, f"layer{i + 1}", stage)
            info = {"module": f"layer{i + 1}", "num_chs": width, "reduction": (patch[0], patch[1] << i)}
            self.feature_info.append(info)
        self.head = NormHead(width, num_classes, dropout)
        init_transformer(self)

    def adapt_state_dict(self, state: dict[str, Tensor], source: VideoSwin | None = None) -> dict[str, Tensor]:
        """``state`` with its tables of relative positions resized to this network's window.

        Of a table of another length the window is that of ``source``, the network that the state is of. Where that is
        not known, the spatial extent is this network's, or else the temporal one is.
        """
        state, new = dict(state), tuple(2 * n - 1 for n in self.window)
        for key in state:
            if key.endswith(".bias_table") and len(state[key]) != math.prod(new):
                table = state[key][None]
                times = max(table.shape[1] // (new[1] * new[2]), 1), new[0]
                old = grid_of(table, times) if source is None else tuple(2 * n - 1 for n in source.window)
                state[key] = resize_positions(table, old, new)[0]
        return state

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Parameter groups by depth, as timm's layer decay takes them."""
        blocks = [(r"^layer(\d)\.blocks\.(\d+)\.", None), (r"^layer(\d)\.", None)]
        return {"stem": r"^patch_embed\.", "blocks": blocks[1:] if coarse else blocks}

    def no_weight_decay(self) -> set[str]:
        return {name for name, _ in self.named_parameters() if name.endswith(".bias_table")}


@register_model
def swin3d_tiny(**kwargs) -> VideoSwin:
    """Video Swin-T: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return VideoSwin(**kwargs)


@register_model
def swin3d_small(**kwargs) -> VideoSwin:
    """Video Swin-S: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return VideoSwin(**{"depths": (2, 2, 18, 2), "drop_path_rate": 0.2, **kwargs})


@register_model
def swin3d_base(**kwargs) -> VideoSwin:
    """Video Swin-B: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return VideoSwin(**{"dim": 128, "depths": (2, 2, 18, 2), "drop_path_rate": 0.3, **kwargs})


@register_model
def swin3d_large(**kwargs) -> VideoSwin:
    """Video Swin-L: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return VideoSwin(**{"dim": 192, "depths": (2, 2, 18, 2), "drop_path_rate": 0.4, **kwargs})
