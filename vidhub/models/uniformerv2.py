"""UniFormerV2: an image transformer frame by frame, armed with queries that gather from all frames.

Li et al., "UniFormerV2: Spatiotemporal Learning by Arming Image ViTs with Video UniFormer", ICCV 2023,
https://arxiv.org/abs/2211.09552. Published with CLIP's transformers, on Kinetics-400 (12 views): B/16 with 8 frames
85.8, L/14 with 8 frames 88.7, with 32 frames of 336 pixels 89.5 % top-1 (6 views).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import InputError
from ._registry import register_model
from .layers.attention import Block, CrossBlock, drop_path_rates, init_transformer, layer_norm
from .layers.frames import fold_frames
from .layers.pos_embed import Grid, grid_of, resize_positions
from .layers.tokens import TokenHead, TokenRecognizer

EPS = 1e-5  # of CLIP's norms


class Gather(nn.Module):
    """Depthwise positions on all frames' tokens, then a query that gathers from them.

    Query (B, 1, C) and tokens (B * t, 1 + h*w, C) -> query.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float):
        super().__init__()
        self.pos_embed = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.query = CrossBlock(dim, num_heads, "quick", EPS, dropout=dropout)

    def forward(self, query: Tensor, x: Tensor, grid: Grid) -> Tensor:
        x = x.unflatten(0, (-1, grid[0]))  # (B, t, 1 + h*w, C)
        first, patches = x[:, :, :1], x[:, :, 1:]
        maps = patches.unflatten(2, grid[1:]).permute(0, 4, 1, 2, 3)  # (B, C, t, h, w)
        patches = patches + self.pos_embed(maps).flatten(3).permute(0, 2, 3, 1)
        return self.query(query, torch.cat((first, patches), 2).flatten(1, 2))


class UniFormerV2(TokenRecognizer):
    """UniFormerV2 network: (B, C, T, H, W) -> (B, num_classes), for clips of any length.

    What is classified is a mean, with learned weights, of the query and of the frames' class tokens.

    Args:
        num_frames: frames of a clip, for its data configuration alone.
        img_size: height and width of a clip; others get resized position embeddings.
        num_gathers: the query gathers after each of the last so many blocks.
        query_dropout: of the hidden layers of its MLPs.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
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
        num_gathers: int = 4,
        query_dropout: float = 0.5,
        drop_path_rate: float = 0.0,
    ):
        super().__init__()
        if not 0 < num_gathers <= depth:
            raise InputError(f"num_gathers must be 1 to {depth}, the number of blocks, not {num_gathers}.")
        self.num_classes, self.in_chans = num_classes, in_chans
        self.grid = (1, img_size // patch_size, img_size // patch_size)
        self.patch_embed = nn.Conv2d(in_chans, dim, patch_size, patch_size, bias=False)
        self.class_token = nn.Parameter(torch.zeros(dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[1] * self.grid[2], dim))
        self.norm_pre = layer_norm(dim, EPS)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, drop_path=rate, gelu="quick", eps=EPS)
            for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.gathers = nn.ModuleList(Gather(dim, num_heads, query_dropout) for _ in range(num_gathers))
        self.query_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.balance = nn.Parameter(torch.zeros(dim))
        self.norm = layer_norm(dim, EPS)
        self.head = TokenHead(dim, num_classes, dropout)
        self.describe_stages(dim, (1, patch_size))
        init_transformer(self)
        for parameter in (self.pos_embed, self.class_token):
            nn.init.trunc_normal_(parameter, std=0.02)
        for gather in self.gathers:  # at the start the network is the image transformer
            nn.init.zeros_(gather.pos_embed.weight)
            nn.init.zeros_(gather.pos_embed.bias)

    def embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        time = x.shape[2]
        x = self.patch_embed(fold_frames(x))  # (B * T, C, h, w)
        grid = (time, *x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], 1, -1), x), 1)
        return self.norm_pre(x + resize_positions(self.pos_embed, self.grid, (1, *grid[1:]))), grid

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The normalised token to be classified (B, 1, C) and the maps of the blocks in ``indices``, in order."""
        self._check_input(x)
        wanted = self.stage_indices(indices)
        x, grid = self.embed(x)
        query = self.query_token.expand(x.shape[0] // grid[0], -1, -1)
        maps = []
        for i, block in enumerate(self.blocks):
            x = self.run_block(block, x)
            if i in wanted:
                maps.append(self.to_map(x.unflatten(0, (-1, grid[0])), grid))
            if (j := i - len(self.blocks) + len(self.gathers)) >= 0:
                query = self.run_block(self.gathers[j], query, x, grid)
        frames = x[:, :1].unflatten(0, (-1, grid[0])).mean(1)  # (B, 1, C)
        return self.norm(torch.lerp(query, frames, self.balance.sigmoid())), maps

    def forward_map(self, x: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> the last block's map (B, D, t, h, w); the query has none."""
        return self.forward_intermediates(x, indices=1)[1][0]

    def _drop_stages_from(self, position: int) -> None:
        super()._drop_stages_from(position)
        self.gathers = nn.ModuleList()  # feature maps do not look at the query

    def to_map(self, x: Tensor, grid: Grid) -> Tensor:
        """Tokens (B, t, 1 + h*w, C) -> (B, C, t, h, w)."""
        return x[:, :, 1:].unflatten(2, grid[1:]).permute(0, 4, 1, 2, 3)

    def adapt_state_dict(self, state: dict[str, Tensor], source: UniFormerV2 | None = None) -> dict[str, Tensor]:
        """``state`` with its position embeddings resized to this network's size."""
        if "pos_embed" not in state:
            return state
        old = grid_of(state["pos_embed"], (1,), front=1)
        return {**state, "pos_embed": resize_positions(state["pos_embed"], old, self.grid)}


@register_model
def uniformerv2_base(**kwargs) -> UniFormerV2:
    """UniFormerV2-B/16: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return UniFormerV2(**kwargs)


@register_model
def uniformerv2_large(**kwargs) -> UniFormerV2:
    """UniFormerV2-L/14: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return UniFormerV2(**{"patch_size": 14, "dim": 1024, "depth": 24, "num_heads": 16, **kwargs})
