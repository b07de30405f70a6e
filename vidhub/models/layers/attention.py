"""Self-attention and the transformer block around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from .pos_embed import Grid

Rotation = Callable[[Tensor, Grid], Tensor]  # turns queries and keys (B, heads, N, channels) by their positions


class Attention(nn.Module):
    """Multi-head self-attention: tokens (B, N, C) -> (B, N, C).

    ``bias``: "qkv" adds one to queries, keys and values, "qv" leaves the keys' out: in the softmax it cancels.
    ``rotate``: turns queries and keys by where they are in the grid.
    """

    def __init__(self, dim: int, num_heads: int, bias: Literal["qkv", "qv"] = "qkv", rotate: Rotation | None = None):
        super().__init__()
        self.num_heads, self.rotate = num_heads, rotate
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias == "qkv")
        if bias == "qv":
            self.q_bias = nn.Parameter(torch.zeros(dim))
            self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, grid: Grid | None = None) -> Tensor:
        bias = self.qkv.bias
        if bias is None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        x = F.linear(x, self.qkv.weight, bias).unflatten(2, (3, self.num_heads, -1))
        q, k, v = x.permute(2, 0, 3, 1, 4)  # each (B, heads, N, channels)
        if self.rotate is not None:
            q, k = self.rotate(q, grid), self.rotate(k, grid)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and an MLP, each normalised before and added to what came in: tokens (B, N, C) -> (B, N, C)."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        bias: Literal["qkv", "qv"] = "qkv",
        drop_path: float = 0.0,
        tanh_gelu: bool = False,
        rotate: Rotation | None = None,
    ):
        super().__init__()
        self.norm1 = layer_norm(dim)
        self.attn = Attention(dim, num_heads, bias, rotate)
        self.norm2 = layer_norm(dim)
        self.mlp = mlp(dim, mlp_ratio, tanh_gelu)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid | None = None) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), grid))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def layer_norm(dim: int) -> nn.LayerNorm:
    """With the epsilon that vision transformers are trained with."""
    return nn.LayerNorm(dim, eps=1e-6)


def mlp(dim: int, ratio: float = 4.0, tanh_gelu: bool = False) -> Mlp:
    """Two linear layers with a GELU between; ``tanh_gelu`` takes its tanh approximation."""
    return Mlp(dim, round(dim * ratio), act_layer=(lambda: nn.GELU("tanh")) if tanh_gelu else nn.GELU)


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Stochastic depth of each block, rising evenly from 0 to ``rate`` (Huang et al., ECCV 2016)."""
    return torch.linspace(0, rate, depth, device="cpu").tolist()


def init_transformer(model: nn.Module) -> None:
    """Linear layers of standard deviation 0.02 without bias, as all vision transformers start."""
    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
