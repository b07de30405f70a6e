"""V-JEPA 2: a vision transformer with rotary positions in time and space, and an attentive probe to classify.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning", 2025,
https://arxiv.org/abs/2506.09985. Published on Something-Something v2 (6 views): L 73.7, g with 384 pixels 77.3 %
top-1; on Diving48 (12 views): L 89.0, g with 384 pixels 90.2 %.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._registry import register_model
from .layers.attention import Block, CrossBlock, drop_path_rates, init_transformer, layer_norm
from .layers.pos_embed import Grid, rotate_by_grid
from .layers.recognizer import ClassifierHead
from .layers.tokens import TokenRecognizer


class AttentiveHead(ClassifierHead):
    """Attentive probe: blocks on the tokens, a learned query that gathers from them, a linear classifier."""

    def __init__(self, dim: int, num_classes: int, num_heads: int, depth: int, dropout: float):
        super().__init__(dim, num_classes, dropout)
        self.blocks = nn.ModuleList(Block(dim, num_heads) for _ in range(depth))
        self.query_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, dim), std=0.02))
        self.query = CrossBlock(dim, num_heads, lean=True)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        for block in self.blocks:
            x = block(x)
        x = self.dropout(self.query(self.query_token.expand(x.shape[0], -1, -1), x)[:, 0])
        return x if pre_logits else self.fc(x)


class VJEPA2(TokenRecognizer):
    """V-JEPA 2's encoder and probe: (B, C, T, H, W) -> (B, num_classes), for clips of any length and size.

    Args:
        num_frames: frames of a clip, for its data configuration alone.
        img_size: height and width of a clip, likewise.
        tubelet_size: frames of a token.
        probe_depth: blocks of the probe before its query.
        probe_heads: attention heads of the probe: 16 for every encoder, as the authors trained it.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    def __init__(
        self,
        num_classes: int = 174,
        in_chans: int = 3,
        dropout: float = 0.0,
        *,
        num_frames: int = 16,
        img_size: int = 256,
        patch_size: int = 16,
        tubelet_size: int = 2,
        dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        probe_depth: int = 3,
        probe_heads: int = 16,
        drop_path_rate: float = 0.0,
    ):
        super().__init__()
        self.num_classes, self.in_chans, self.min_frames = num_classes, in_chans, tubelet_size
        tubelet = (tubelet_size, patch_size, patch_size)
        self.patch_embed = nn.Conv3d(in_chans, dim, tubelet, tubelet)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, drop_path=rate, rotate=rotate_by_grid)
            for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.norm = layer_norm(dim)
        self.head = AttentiveHead(dim, num_classes, probe_heads, probe_depth, dropout)
        self.describe_stages(dim, (tubelet_size, patch_size))
        init_transformer(self)

    def embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        x = self.patch_embed(x)  # (B, C, t, h, w)
        return x.flatten(2).transpose(1, 2), tuple(x.shape[2:])


@register_model
def vjepa2_large(**kwargs) -> VJEPA2:
    """V-JEPA 2 ViT-L/16: (B, 3, 16, 256, 256) -> (B, num_classes)."""
    return VJEPA2(**kwargs)


@register_model
def vjepa2_giant(**kwargs) -> VJEPA2:
    """V-JEPA 2 ViT-g/16: (B, 3, 64, 384, 384) -> (B, num_classes)."""
    giant = {"num_frames": 64, "img_size": 384, "dim": 1408, "depth": 40, "num_heads": 22, "mlp_ratio": 48 / 11}
    return VJEPA2(**{**giant, **kwargs})
