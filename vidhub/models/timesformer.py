"""TimeSformer: a vision transformer whose blocks attend along time and over space.

Bertasius et al., "Is Space-Time Attention All You Need for Video Understanding?", ICML 2021,
https://arxiv.org/abs/2102.05095. Published on Kinetics-400 (3 crops): divided attention 77.7, joint 77.0, space only
76.9; by the authors 77.9 and, with 16 frames of 448 pixels, 79.6 % top-1.
"""

from __future__ import annotations

from typing import Literal

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from ..errors import check_choice
from ._registry import register_model
from .layers.attention import Attention, Block, drop_path_rates, init_transformer, layer_norm, mlp
from .layers.frames import fold_frames
from .layers.pos_embed import Grid, grid_of, resize_positions
from .layers.tokens import TokenHead, TokenRecognizer


class DividedBlock(nn.Module):
    """Attention of a patch to itself in other frames, then within the frame, then an MLP: (B, 1 + t*h*w, C).

    The class token takes part in space only: in every frame, of which it keeps the mean.
    """

    def __init__(self, dim: int, num_heads: int, drop_path: float = 0.0):
        super().__init__()
        self.time_norm = layer_norm(dim)
        self.time_attn = Attention(dim, num_heads)
        self.time_fc = nn.Linear(dim, dim)
        self.norm1 = layer_norm(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = layer_norm(dim)
        self.mlp = mlp(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        first, patches = x[:, :1], x[:, 1:]
        batch, time, space = x.shape[0], grid[0], grid[1] * grid[2]

        along = patches.unflatten(1, (time, space)).transpose(1, 2).flatten(0, 1)  # (B * space, time, C)
        along = self.time_fc(self.drop_path(self.time_attn(self.time_norm(along))))
        patches = patches + along.unflatten(0, (batch, space)).transpose(1, 2).flatten(1, 2)

        frames = patches.reshape(batch * time, space, -1)
        frames = torch.cat((first.repeat_interleave(time, 0), frames), 1)  # (B * time, 1 + space, C)
        frames = self.drop_path(self.attn(self.norm1(frames))).unflatten(0, (batch, time))
        first = first + frames[:, :, 0].mean(1, keepdim=True)
        patches = patches + frames[:, :, 1:].flatten(1, 2)

        x = torch.cat((first, patches), 1)
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TimeSformer(TokenRecognizer):
    """TimeSformer network: (B, C, T, H, W) -> (B, num_classes).

    Clips of other lengths and sizes than ``num_frames`` and ``img_size`` get resized position embeddings.

    Args:
        attention: divided (time, then space), joint (all tokens at once) or space (frame by frame, then the mean).
        num_frames: frames of a clip.
        img_size: height and width of a clip.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    num_front = 1

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        attention: Literal["divided", "joint", "space"] = "divided",
        num_frames: int = 8,
        img_size: int = 224,
        patch_size: int = 16,
        dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        drop_path_rate: float = 0.0,
    ):
        super().__init__()
        check_choice("attention", attention, ("divided", "joint", "space"))
        self.num_classes, self.in_chans, self.attention = num_classes, in_chans, attention
        self.grid = (num_frames, img_size // patch_size, img_size // patch_size)
        self.patch_embed = nn.Conv2d(in_chans, dim, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[1] * self.grid[2], dim))
        self.time_embed = None if attention == "space" else nn.Parameter(torch.zeros(1, num_frames, dim))
        block = DividedBlock if attention == "divided" else Block
        rates = drop_path_rates(drop_path_rate, depth)
        self.blocks = nn.ModuleList(block(dim, num_heads, drop_path=rate) for rate in rates)
        self.norm = layer_norm(dim)
        self.head = TokenHead(dim, num_classes, dropout)
        self.describe_stages(dim, (1, patch_size))
        init_transformer(self)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        if attention == "divided":  # time plays no part at the start, but in the first block
            for block in self.blocks[1:]:
                nn.init.zeros_(block.time_fc.weight)

    def embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        batch, time = x.shape[0], x.shape[2]
        x = self.patch_embed(fold_frames(x))  # (B * time, C, h, w)
        grid = (time, *x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        positions = resize_positions(self.pos_embed, (1, *self.grid[1:]), (1, *grid[1:]))
        first, x = self.class_token + positions[:, :1], x + positions[:, 1:]
        if self.time_embed is not None:
            times = resize_positions(self.time_embed, (self.grid[0], 1, 1), (time, 1, 1))
            x = (x.unflatten(0, (batch, time)) + times.unsqueeze(2)).flatten(1, 2)  # (B, t * h * w, C)
        return torch.cat((first.expand(x.shape[0], -1, -1), x), 1), grid

    def finish(self, x: Tensor, grid: Grid) -> Tensor:
        if self.attention == "space":
            x = x.unflatten(0, (-1, grid[0])).mean(1)
        return self.norm(x)

    def adapt_state_dict(self, state: dict[str, Tensor], source: TimeSformer | None = None) -> dict[str, Tensor]:
        """``state`` with its position embeddings resized to this network's frames and size."""
        state = dict(state)
        if "pos_embed" in state:
            old = grid_of(state["pos_embed"], (1,), front=1)
            state["pos_embed"] = resize_positions(state["pos_embed"], old, (1, *self.grid[1:]))
        if "time_embed" in state:
            old = (state["time_embed"].shape[1], 1, 1)
            state["time_embed"] = resize_positions(state["time_embed"], old, (self.grid[0], 1, 1))
        return state


@register_model
def timesformer_base_divided(**kwargs) -> TimeSformer:
    """TimeSformer-B, attention divided into time and space: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TimeSformer(**kwargs)


@register_model
def timesformer_base_joint(**kwargs) -> TimeSformer:
    """TimeSformer-B, attention over all of the clip: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TimeSformer(**{"attention": "joint", **kwargs})


@register_model
def timesformer_base_space(**kwargs) -> TimeSformer:
    """TimeSformer-B, attention within frames only: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TimeSformer(**{"attention": "space", **kwargs})
