"""UniFormerV2: CLIP's image transformer, frame by frame, with a query that looks at its last layers in all frames.

Li et al., "UniFormerV2: Spatiotemporal Learning by Arming Image ViTs with Video UniFormer", ICCV 2023,
https://arxiv.org/abs/2211.09552. Published on Kinetics-400 (4 clips, 3 crops): B/16 84.3, after Kinetics-710 85.8;
L/14 with 8, 16 and 32 frames 88.7, 89.0 and 89.3, with 32 frames of 336 pixels (2 clips) 89.5 % top-1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from ._registry import register_model
from .layers.attention import Attention, drop_path_rates, init_transformer
from .layers.frames import fold_frames
from .layers.pos_embed import Grid, grid_of, resize_positions
from .layers.tokens import TokenHead, TokenRecognizer

Pair = tuple[Tensor, Tensor]  # (tokens of the frames, the video's query)


class QuickGELU(nn.Module):
    """CLIP's approximation of the GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class LocalTime(nn.Module):
    """Each patch mixed with those at its place in the frames beside it: (B, C, T, H, W); it starts as nothing."""

    def __init__(self, dim: int, reduction: float):
        super().__init__()
        inner = int(dim / reduction)
        self.norm = nn.BatchNorm3d(dim)
        self.reduce = nn.Conv3d(dim, inner, 1)
        self.mix = nn.Conv3d(inner, inner, (3, 1, 1), padding=(1, 0, 0), groups=inner)
        self.expand = nn.Conv3d(inner, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.expand(self.mix(self.reduce(self.norm(x))))


class FrameBlock(nn.Module):
    """CLIP's transformer block, within each frame: (tokens (B * T, 1 + H * W, C), query (B, 1, C)) -> the same.

    Args:
        local: let the frames meet before and after attention; their channels are divided by ``reduction`` for it.
        gather: what the video's query then does with the tokens.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        drop_path: float,
        local: bool = False,
        reduction: float = 1.5,
        gather: nn.Module | None = None,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim, act_layer=QuickGELU)
        self.local1 = LocalTime(dim, reduction) if local else None
        self.local2 = LocalTime(dim, reduction) if local else None
        self.drop_path = DropPath(drop_path)
        self.gather = gather

    def forward(self, pair: Pair, grid: Grid) -> Pair:
        x, query = pair
        x = self.meet(x, grid, self.local1)
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = self.meet(x, grid, self.local2)
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x, query if self.gather is None else self.gather(query, x, grid)

    def meet(self, x: Tensor, grid: Grid, local: LocalTime | None) -> Tensor:
        if local is None:
            return x
        mixed = from_clips(self.drop_path(local(to_clips(x[:, 1:], grid))))
        return x + F.pad(mixed, (0, 0, 1, 0))


def to_clips(x: Tensor, grid: Grid) -> Tensor:
    """Patches of frames (B * T, H * W, C) -> (B, C, T, H, W)."""
    return x.unflatten(0, (-1, grid[0])).unflatten(2, grid[1:]).permute(0, 4, 1, 2, 3)


def from_clips(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> patches of frames (B * T, H * W, C)."""
    return x.permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)


class GlobalBlock(nn.Module):
    """The video's query (B, 1, C) gathers from the tokens of all frames (B * T, 1 + H * W, C), then an MLP."""

    def __init__(self, dim: int, num_heads: int, dropout: float, drop_path: float):
        super().__init__()
        self.num_heads = num_heads
        self.pos_embed = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm_tokens = nn.LayerNorm(dim)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim, act_layer=QuickGELU, drop=(dropout, 0.0))
        self.drop_path = DropPath(drop_path)

    def forward(self, query: Tensor, x: Tensor, grid: Grid) -> Tensor:
        x = x + F.pad(from_clips(self.pos_embed(to_clips(x[:, 1:], grid))), (0, 0, 1, 0))
        x = x.unflatten(0, (len(query), -1)).flatten(1, 2)  # (B, T * (1 + H * W), C)
        query = query + self.drop_path(self.gather(self.norm1(query), self.norm_tokens(x)))
        return query + self.drop_path(self.mlp(self.norm2(query)))

    def gather(self, query: Tensor, x: Tensor) -> Tensor:
        q = self.q(query).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.kv(x).unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class UniFormerV2(TokenRecognizer):
    """UniFormerV2 network: (B, C, T, H, W) -> (B, num_classes).

    Clips of other sizes than ``img_size`` get resized position embeddings; any number of frames will do.

    Args:
        num_frames: of the clips it is meant for; it changes the data configuration alone.
        img_size: height and width of a clip.
        dim, depth, num_heads: of CLIP's transformer.
        num_global: how many of its last blocks the video's query looks at.
        local: let frames meet within the blocks also.
        local_reduction: how many times fewer channels do so.
        global_dropout: in the MLPs of the video's query.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
        global_drop_path_rate: the same for the blocks of the video's query.
    """

    num_front = 1

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        num_frames: int = 8,
        img_size: int = 224,
        patch_size: int = 16,
        dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        num_global: int = 4,
        local: bool = False,
        local_reduction: float = 1.5,
        global_dropout: float = 0.5,
        drop_path_rate: float = 0.0,
        global_drop_path_rate: float = 0.0,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.grid = (1, img_size // patch_size, img_size // patch_size)
        self.patch_embed = nn.Conv2d(in_chans, dim, patch_size, patch_size, bias=False)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[1] * self.grid[2], dim))
        self.norm_embed = nn.LayerNorm(dim)
        self.video_query = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = nn.ModuleList()
        global_rates = drop_path_rates(global_drop_path_rate, num_global)
        for i, rate in enumerate(drop_path_rates(drop_path_rate, depth)):
            j = i - depth + num_global
            gather = GlobalBlock(dim, num_heads, global_dropout, global_rates[j]) if j >= 0 else None
            self.blocks.append(FrameBlock(dim, num_heads, rate, local, local_reduction, gather))
        self.balance = nn.Parameter(torch.zeros(dim))
        self.norm = nn.LayerNorm(dim)
        self.head = TokenHead(dim, num_classes, dropout)
        self.describe_stages(dim, (1, patch_size))
        init_transformer(self)
        nn.init.normal_(self.pos_embed, std=dim**-0.5)
        nn.init.normal_(self.class_token, std=dim**-0.5)
        for module in self.modules():
            # at the start frames do not meet, and the video is the mean of its frames
            if isinstance(module, GlobalBlock):
                last = (module.proj, module.mlp.fc2)
            else:
                last = (module.expand,) if isinstance(module, LocalTime) else ()
            for layer in last:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def embed(self, x: Tensor) -> tuple[Pair, Grid]:
        batch, time = len(x), x.shape[2]
        x = self.patch_embed(fold_frames(x))  # (B * T, C, h, w)
        grid = (time, *x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(len(x), -1, -1), x), 1)
        x = x + resize_positions(self.pos_embed, self.grid, (1, *grid[1:]))
        return (self.norm_embed(x), self.video_query.expand(batch, -1, -1)), grid

    def finish(self, pair: Pair, grid: Grid) -> Tensor:
        x, query = pair
        frames = x[:, :1].unflatten(0, (-1, grid[0])).mean(1)  # of their class tokens
        weight = self.balance.sigmoid()
        return self.norm((1 - weight) * query + weight * frames)

    def to_map(self, pair: Pair, grid: Grid) -> Tensor:
        return super().to_map(pair[0], grid)

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """``state`` with its position embeddings resized to this network's size."""
        state = dict(state)
        if "pos_embed" in state:
            table = state["pos_embed"].reshape(1, -1, state["pos_embed"].shape[-1])
            state["pos_embed"] = resize_positions(table, grid_of(table, (1,), front=1), self.grid)
        return state

    def no_weight_decay(self) -> set[str]:
        return {*super().no_weight_decay(), "video_query"}


@register_model
def uniformerv2_base(**kwargs) -> UniFormerV2:
    """UniFormerV2-B/16: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return UniFormerV2(**kwargs)


@register_model
def uniformerv2_large(**kwargs) -> UniFormerV2:
    """UniFormerV2-L/14: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return UniFormerV2(**{"patch_size": 14, "dim": 1024, "depth": 24, "num_heads": 16, **kwargs})
