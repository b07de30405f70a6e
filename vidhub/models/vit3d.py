"""ViT on video: a plain vision transformer on tubelets of 2 frames, as VideoMAE pre-trains it.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training", NeurIPS
2022, https://arxiv.org/abs/2203.12602; Wang et al., "VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking",
CVPR 2023, https://arxiv.org/abs/2303.16727. Published on Kinetics-400 (15 views): VideoMAE S 79.0, B 81.3, L 85.3, H
86.6; distilled from VideoMAE V2's giant S 83.6, B 86.6 % top-1.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import check_choice
from ._registry import register_model
from .layers.attention import Bias, Block, Gelu, drop_path_rates, init_transformer, layer_norm
from .layers.pos_embed import Grid, grid_of, resize_positions, sinusoid_table
from .layers.tokens import TokenHead, TokenRecognizer


class ViT3D(TokenRecognizer):
    """Vision transformer on video: (B, C, T, H, W) -> (B, num_classes).

    Clips of other lengths and sizes than ``num_frames`` and ``img_size`` get resized position embeddings.

    Args:
        num_frames: frames of a clip.
        img_size: height and width of a clip.
        tubelet_size: frames of a token.
        positions: fixed sinusoids, or learned embeddings.
        class_token: whether a token stands in front of the clip's.
        pool: what is classified: the mean of the tokens, normalised after it, or the first token, normalised before.
        bias: of attention; see ``Attention``.
        gelu: as it is, or in its tanh approximation.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        num_frames: int = 16,
        img_size: int = 224,
        patch_size: int = 16,
        tubelet_size: int = 2,
        dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        positions: Literal["sinusoid", "learned"] = "sinusoid",
        class_token: bool = False,
        pool: Literal["mean", "first"] = "mean",
        bias: Bias = "qv",
        gelu: Gelu = "exact",
        drop_path_rate: float = 0.0,
    ):
        super().__init__()
        check_choice("positions", positions, ("sinusoid", "learned"))
        check_choice("pool", pool, ("mean", "first"))
        self.num_classes, self.in_chans, self.min_frames = num_classes, in_chans, tubelet_size
        self.num_front = int(class_token)
        self.grid = (num_frames // tubelet_size, img_size // patch_size, img_size // patch_size)
        tubelet = (tubelet_size, patch_size, patch_size)
        self.patch_embed = nn.Conv3d(in_chans, dim, tubelet, tubelet)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim)) if class_token else None
        table = sinusoid_table(self.num_front + math.prod(self.grid), dim)
        if positions == "learned":
            self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty_like(table), std=0.02))
        else:
            self.register_buffer("pos_embed", table)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, bias, rate, gelu) for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.norm = layer_norm(dim) if pool == "first" else nn.Identity()
        self.head = TokenHead(dim, num_classes, dropout, mean=pool == "mean")
        self.describe_stages(dim, (tubelet_size, patch_size))
        init_transformer(self)

    def embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        x = self.patch_embed(x)  # (B, C, t, h, w)
        grid = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        if self.class_token is not None:
            x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), 1)
        return x + resize_positions(self.pos_embed, self.grid, grid), grid

    def adapt_state_dict(self, state: dict[str, Tensor], source: ViT3D | None = None) -> dict[str, Tensor]:
        """``state`` with its position embeddings resized to this network's frames and size.

        Sinusoids are resized too: with those computed for another grid, the trained blocks would take a token's number
        for another place. Published checkpoints leave them out; they are those of 16 frames of 224 pixels. ``source``
        is the network that the state is of, where it is known.
        """
        time, height, width = self.grid
        side = 224 // self.patch_embed.kernel_size[1]  # of what is published
        table = state.get("pos_embed")
        if table is None and "pos_embed" in dict(self.named_buffers()):
            table = sinusoid_table(8 * side * side, self.pos_embed.shape[2])
        if table is None or table.shape == self.pos_embed.shape:
            return state if table is None else {**state, "pos_embed": table}
        length = table.shape[1] - self.num_front
        if source is not None and length == math.prod(source.grid):
            return {**state, "pos_embed": resize_positions(table, source.grid, self.grid)}
        # a length fits several grids: one of the published side, or that differs from ours in space or in time alone
        times = [length / side**2, time, length / (height * width), 8, 16]
        old = grid_of(table, [int(t) for t in times if t >= 1 and t == int(t)], self.num_front)
        return {**state, "pos_embed": resize_positions(table, old, self.grid)}


@register_model
def vit3d_small(**kwargs) -> ViT3D:
    """ViT-S/16 on video: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return ViT3D(**{"dim": 384, "num_heads": 6, **kwargs})


@register_model
def vit3d_base(**kwargs) -> ViT3D:
    """ViT-B/16 on video: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return ViT3D(**kwargs)


@register_model
def vit3d_large(**kwargs) -> ViT3D:
    """ViT-L/16 on video: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return ViT3D(**{"dim": 1024, "depth": 24, "num_heads": 16, **kwargs})


@register_model
def vit3d_huge(**kwargs) -> ViT3D:
    """ViT-H/16 on video: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return ViT3D(**{"dim": 1280, "depth": 32, "num_heads": 16, **kwargs})


@register_model
def vit3d_giant(**kwargs) -> ViT3D:
    """ViT-g/14 on video: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    giant = {"patch_size": 14, "dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 48 / 11}
    return ViT3D(**{**giant, **kwargs})
